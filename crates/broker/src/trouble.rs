//! Trouble on purpose, for tests: what a cluster of many nodes does now and then, and one node never would.

use std::collections::VecDeque;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kstreams_wire::code::ErrorCode;

use crate::error::{Error, Result};

/// Something that goes wrong until it is over.
///
/// ```
/// use kstreams_broker::{Broker, BrokerConfig, Trouble};
/// use kstreams_wire::code::ErrorCode;
///
/// let broker = Broker::start(BrokerConfig::default())?;
/// broker.create_topic("orders", 1, &[])?;
/// // Whoever writes to the topic is refused once, and then no more.
/// broker.make_trouble(Trouble::Refuse {
///     topic: "orders".to_owned(),
///     code: ErrorCode::NOT_ENOUGH_REPLICAS,
///     times: 1,
/// })?;
/// # Ok::<(), kstreams_broker::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The next batches written to a topic are refused. With the code `NOT_ENOUGH_REPLICAS_AFTER_APPEND` they are written
    /// all the same.
    Refuse {
        /// The topic.
        topic: String,
        /// What their producer is told.
        code: ErrorCode,
        /// How many batches.
        times: u32,
    },
    /// Whoever writes or reads is asked to be silent for so long after each answer, as by a quota; zero ends it.
    Throttle(Duration),
}

/// The trouble there is.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    refusals: VecDeque<Refused>,
    throttle: Duration,
}

#[derive(Debug)]
struct Refused {
    topic: String,
    code: ResponseError,
    times: u32,
}

impl Troubles {
    pub(crate) fn add(&mut self, trouble: Trouble) -> Result<()> {
        match trouble {
            Trouble::Refuse { topic, code, times } => {
                let code = ResponseError::try_from_code(code.0).ok_or(Error::NoRefusal { code })?;
                self.refusals.push_back(Refused { topic, code, times });
            }
            Trouble::Throttle(throttle) => self.throttle = throttle,
        }
        Ok(())
    }

    /// Whether the next batch for a topic is refused, and how.
    pub(crate) fn refuse(&mut self, topic: &str) -> Option<ResponseError> {
        let at = self.refusals.iter().position(|refused| refused.topic == topic)?;
        let refused = self.refusals.get_mut(at)?;
        let code = refused.code;
        refused.times = refused.times.saturating_sub(1);
        if refused.times == 0 {
            self.refusals.remove(at);
        }
        Some(code)
    }

    /// How long clients are asked to be silent, in milliseconds.
    pub(crate) fn throttle_ms(&self) -> i32 {
        i32::try_from(self.throttle.as_millis()).unwrap_or(i32::MAX)
    }
}
