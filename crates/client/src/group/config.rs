//! The settings of a member.

use std::time::Duration;

/// How one member takes part in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupConfig {
    /// `group.id`.
    pub group_id: String,
    /// `group.instance.id`: the name of a static member, which may restart within its session without a rebalance.
    pub instance_id: Option<String>,
    /// The name of the assignor, which must be the same for all members.
    pub protocol: String,
    /// `client.rack`, told to the leader.
    pub rack: Option<String>,
    /// `session.timeout.ms`: the coordinator forgets a member it has not heard for so long.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: a member whose application does not poll for so long leaves the group until it does. It
    /// is also the time that a rebalance waits for each member.
    pub poll_interval_max: Duration,
    /// `retry.backoff.ms`: the pause after the first failure, doubled by every further one.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
}

impl GroupConfig {
    /// A dynamic member of the group, with Kafka's default times and the assignor that Kafka Streams names `stream`.
    pub fn new(group_id: impl Into<String>) -> Self {
        Self {
            group_id: group_id.into(),
            instance_id: None,
            protocol: "stream".to_owned(),
            rack: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            poll_interval_max: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// What becomes of the membership when the member closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leave {
    /// A dynamic member leaves at once, so that its partitions move without waiting for its session to end; a static
    /// member stays, because it is expected back.
    #[default]
    IfDynamic,
    /// Leave in any case.
    Always,
    /// Stay until the session ends.
    Never,
}
