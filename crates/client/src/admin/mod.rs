//! Questions about topics, offsets and groups, and changes to them: blocking calls with a time limit, answers by item.
//!
//! | file | what |
//! |---|---|
//! | `round` | one round of attempts: what is left, what is done, when the time is up |
//! | `topics` | create, delete, describe, list topics; add partitions |
//! | `offsets` | first and last offsets, offsets by time; delete records |
//! | `configs` | settings of topics and brokers |
//! | `groups` | list, describe, delete groups; their committed offsets |

mod configs;
mod groups;
mod offsets;
mod round;
mod topics;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use kafka_protocol::messages::{GroupId, TopicName as Name};
use kafka_protocol::protocol::StrBytes;
use kstreams_wire::TopicName;
use kstreams_wire::code::ErrorCode;

pub use configs::{ConfigEntry, Resource};
pub use groups::{DescribedMember, GroupDescription, GroupListing};
pub use offsets::{ListedOffset, OffsetSpec};
pub use topics::{NewTopic, PartitionDescription, TopicDescription, TopicListing};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// What came of each item of a call.
pub type Outcomes<K, T> = BTreeMap<K, Result<T>>;

/// Asks and changes what a cluster keeps. Every call blocks up to a time limit (`default.api.timeout.ms`, or the one of
/// [`Admin::within`]) and tries again, as long as that lasts, what may succeed later. What does not succeed is an error
/// of the item concerned; an error of the whole call means that nobody could be asked.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Keeps the I/O thread.
    client: Client,
    cluster: Cluster,
    limit: Duration,
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        let cluster = client.cluster().clone();
        let limit = cluster.config().api_timeout;
        Self { client, cluster, limit }
    }

    /// The same with another time limit for each call.
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// How long a broker may work on a request: it must answer before the connection is given up.
    fn wait_ms(&self) -> i32 {
        let wait = self.limit.min(self.cluster.config().request_timeout);
        i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
    }

    fn run<T: Send + 'static>(
        &self,
        what: &str,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        // Rounds keep the limit themselves, because they know what stood in the way: they get a moment to say so.
        let limit = self.limit + Duration::from_millis(500);
        self.client.io().run(what, limit, future)
    }
}

fn wire_name(topic: &TopicName) -> Name {
    Name(text(topic.as_str()))
}

fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The broker's verdict on one item, with its own words if it found some.
fn verdict(what: &str, code: i16, message: Option<&StrBytes>) -> Result<()> {
    ErrorCode(code).ok().map_err(|code| Error::Refused {
        what: match message.filter(|message| !message.is_empty()) {
            Some(message) => format!("{what} ({message})"),
            None => what.to_owned(),
        },
        code,
    })
}
