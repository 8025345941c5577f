//! What a broker is told when it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How to run a broker. The default listens on a free loopback port and keeps everything in memory.
///
/// The fields carry the meaning and the defaults of the Kafka server properties that their comments name.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where to listen. Port 0 takes a free one; [`crate::Broker::addr`] tells which. Clients are told the address
    /// through which they came, so that an unspecified address (`0.0.0.0`) works too.
    pub listen: SocketAddr,
    /// The directory that keeps topics, records and committed offsets; without one they live in memory.
    pub data: Option<PathBuf>,
    /// Whether a topic that a client asks for comes into being (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// Partitions of a topic whose creator names no number (`num.partitions`).
    pub default_partitions: i32,
    /// Defaults of topic configs, by Kafka's topic config keys: `retention.ms` and the like.
    pub topic_defaults: Vec<(String, String)>,
    /// The longest request that is read (`socket.request.max.bytes`).
    pub request_bytes_max: usize,
    /// How long an empty group waits for more members before its first generation (`group.initial.rebalance.delay.ms`).
    pub group_initial_rebalance_delay: Duration,
    /// The shortest session time-out a member may ask for (`group.min.session.timeout.ms`).
    pub group_session_timeout_min: Duration,
    /// The longest session time-out a member may ask for (`group.max.session.timeout.ms`).
    pub group_session_timeout_max: Duration,
    /// The longest time that a transaction may ask for (`transaction.max.timeout.ms`).
    pub transaction_timeout_max: Duration,
    /// How often transactions that have taken too long are looked for and aborted
    /// (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
    pub transaction_check_interval: Duration,
    /// Which version of the transaction protocol clients are offered: 2 ends every transaction with a new epoch
    /// (KIP-890), 1 does not (the feature `transaction.version`).
    pub transaction_version: i16,
    /// How often retention looks for work (`log.retention.check.interval.ms`).
    pub retention_check_interval: Duration,
    /// How often compaction looks for work (`log.cleaner.backoff.ms`).
    pub compaction_interval: Duration,
    /// A segment is at most this long, whatever `segment.bytes` allows: retention and compaction work on whole
    /// segments, and a broker for development is to give memory back early.
    pub segment_bytes_max: u64,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: None,
            auto_create_topics: false,
            default_partitions: 1,
            topic_defaults: Vec::new(),
            request_bytes_max: 100 * 1024 * 1024,
            group_initial_rebalance_delay: Duration::ZERO,
            group_session_timeout_min: Duration::from_secs(6),
            group_session_timeout_max: Duration::from_secs(1800),
            transaction_timeout_max: Duration::from_secs(900),
            transaction_check_interval: Duration::from_secs(1),
            transaction_version: 2,
            retention_check_interval: Duration::from_secs(300),
            compaction_interval: Duration::from_secs(15),
            segment_bytes_max: 16 * 1024 * 1024,
        }
    }
}
