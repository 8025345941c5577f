//! Broker error codes: their names, whether trying again may help, whether the metadata is stale.

use std::fmt;

/// An error code of a Kafka response. Zero is success; codes this build does not know are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// The code for success.
    pub const NONE: Self = Self(0);

    /// Whether this is success.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// `Ok` on success, otherwise the code as an error.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }

    /// Kafka's name of the code, such as `NOT_LEADER_OR_FOLLOWER`; `UNKNOWN_CODE` for one this build does not know.
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN_CODE", |row| row.name)
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| !matches!(row.remedy, Remedy::None))
    }

    /// Whether the sender's view of leaders and partitions is stale and is to be fetched again.
    pub fn refreshes_metadata(self) -> bool {
        self.row().is_some_and(|row| matches!(row.remedy, Remedy::Metadata))
    }

    fn row(self) -> Option<&'static Row> {
        let index = usize::try_from(i32::from(self.0) + 1).ok()?;
        ROWS.get(index)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => f.write_str(row.name),
            None => write!(f, "UNKNOWN_CODE({})", self.0),
        }
    }
}

impl std::error::Error for ErrorCode {}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

struct Row {
    name: &'static str,
    remedy: Remedy,
}

/// What can be done about an error.
enum Remedy {
    None,
    Retry,
    Metadata,
}

macro_rules! codes {
    ($($code:literal $name:ident $remedy:ident;)*) => {
        /// The codes of Kafka 4.1, by name.
        impl ErrorCode {
            $(#[doc = concat!("Code ", stringify!($code), ".")] pub const $name: Self = Self($code);)*
        }

        /// By code, beginning with -1.
        static ROWS: &[Row] = &[$(Row { name: stringify!($name), remedy: Remedy::$remedy },)*];
    };
}

codes! {
    -1 UNKNOWN_SERVER_ERROR None;
    0 NO_ERROR None;
    1 OFFSET_OUT_OF_RANGE None;
    2 CORRUPT_MESSAGE Retry;
    3 UNKNOWN_TOPIC_OR_PARTITION Metadata;
    4 INVALID_FETCH_SIZE None;
    5 LEADER_NOT_AVAILABLE Metadata;
    6 NOT_LEADER_OR_FOLLOWER Metadata;
    7 REQUEST_TIMED_OUT Retry;
    8 BROKER_NOT_AVAILABLE None;
    9 REPLICA_NOT_AVAILABLE Metadata;
    10 MESSAGE_TOO_LARGE None;
    11 STALE_CONTROLLER_EPOCH None;
    12 OFFSET_METADATA_TOO_LARGE None;
    13 NETWORK_EXCEPTION Metadata;
    14 COORDINATOR_LOAD_IN_PROGRESS Retry;
    15 COORDINATOR_NOT_AVAILABLE Retry;
    16 NOT_COORDINATOR Retry;
    17 INVALID_TOPIC_EXCEPTION None;
    18 RECORD_LIST_TOO_LARGE None;
    19 NOT_ENOUGH_REPLICAS Retry;
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retry;
    21 INVALID_REQUIRED_ACKS None;
    22 ILLEGAL_GENERATION None;
    23 INCONSISTENT_GROUP_PROTOCOL None;
    24 INVALID_GROUP_ID None;
    25 UNKNOWN_MEMBER_ID None;
    26 INVALID_SESSION_TIMEOUT None;
    27 REBALANCE_IN_PROGRESS None;
    28 INVALID_COMMIT_OFFSET_SIZE None;
    29 TOPIC_AUTHORIZATION_FAILED None;
    30 GROUP_AUTHORIZATION_FAILED None;
    31 CLUSTER_AUTHORIZATION_FAILED None;
    32 INVALID_TIMESTAMP None;
    33 UNSUPPORTED_SASL_MECHANISM None;
    34 ILLEGAL_SASL_STATE None;
    35 UNSUPPORTED_VERSION None;
    36 TOPIC_ALREADY_EXISTS None;
    37 INVALID_PARTITIONS None;
    38 INVALID_REPLICATION_FACTOR None;
    39 INVALID_REPLICA_ASSIGNMENT None;
    40 INVALID_CONFIG None;
    41 NOT_CONTROLLER Retry;
    42 INVALID_REQUEST None;
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT None;
    44 POLICY_VIOLATION None;
    45 OUT_OF_ORDER_SEQUENCE_NUMBER None;
    46 DUPLICATE_SEQUENCE_NUMBER None;
    47 INVALID_PRODUCER_EPOCH None;
    48 INVALID_TXN_STATE None;
    49 INVALID_PRODUCER_ID_MAPPING None;
    50 INVALID_TRANSACTION_TIMEOUT None;
    51 CONCURRENT_TRANSACTIONS Retry;
    52 TRANSACTION_COORDINATOR_FENCED None;
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED None;
    54 SECURITY_DISABLED None;
    55 OPERATION_NOT_ATTEMPTED None;
    56 KAFKA_STORAGE_ERROR Metadata;
    57 LOG_DIR_NOT_FOUND None;
    58 SASL_AUTHENTICATION_FAILED None;
    59 UNKNOWN_PRODUCER_ID None;
    60 REASSIGNMENT_IN_PROGRESS None;
    61 DELEGATION_TOKEN_AUTH_DISABLED None;
    62 DELEGATION_TOKEN_NOT_FOUND None;
    63 DELEGATION_TOKEN_OWNER_MISMATCH None;
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED None;
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED None;
    66 DELEGATION_TOKEN_EXPIRED None;
    67 INVALID_PRINCIPAL_TYPE None;
    68 NON_EMPTY_GROUP None;
    69 GROUP_ID_NOT_FOUND None;
    70 FETCH_SESSION_ID_NOT_FOUND Retry;
    71 INVALID_FETCH_SESSION_EPOCH Retry;
    72 LISTENER_NOT_FOUND Metadata;
    73 TOPIC_DELETION_DISABLED None;
    74 FENCED_LEADER_EPOCH Metadata;
    75 UNKNOWN_LEADER_EPOCH Retry;
    76 UNSUPPORTED_COMPRESSION_TYPE None;
    77 STALE_BROKER_EPOCH None;
    78 OFFSET_NOT_AVAILABLE Retry;
    79 MEMBER_ID_REQUIRED None;
    80 PREFERRED_LEADER_NOT_AVAILABLE Metadata;
    81 GROUP_MAX_SIZE_REACHED None;
    82 FENCED_INSTANCE_ID None;
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Metadata;
    84 ELECTION_NOT_NEEDED Metadata;
    85 NO_REASSIGNMENT_IN_PROGRESS None;
    86 GROUP_SUBSCRIBED_TO_TOPIC None;
    87 INVALID_RECORD None;
    88 UNSTABLE_OFFSET_COMMIT Retry;
    89 THROTTLING_QUOTA_EXCEEDED Retry;
    90 PRODUCER_FENCED None;
    91 RESOURCE_NOT_FOUND None;
    92 DUPLICATE_RESOURCE None;
    93 UNACCEPTABLE_CREDENTIAL None;
    94 INCONSISTENT_VOTER_SET None;
    95 INVALID_UPDATE_VERSION None;
    96 FEATURE_UPDATE_FAILED None;
    97 PRINCIPAL_DESERIALIZATION_FAILURE None;
    98 SNAPSHOT_NOT_FOUND None;
    99 POSITION_OUT_OF_RANGE None;
    100 UNKNOWN_TOPIC_ID Metadata;
    101 DUPLICATE_BROKER_REGISTRATION None;
    102 BROKER_ID_NOT_REGISTERED None;
    103 INCONSISTENT_TOPIC_ID Metadata;
    104 INCONSISTENT_CLUSTER_ID None;
    105 TRANSACTIONAL_ID_NOT_FOUND None;
    106 FETCH_SESSION_TOPIC_ID_ERROR Retry;
    107 INELIGIBLE_REPLICA None;
    108 NEW_LEADER_ELECTED None;
    109 OFFSET_MOVED_TO_TIERED_STORAGE None;
    110 FENCED_MEMBER_EPOCH None;
    111 UNRELEASED_INSTANCE_ID None;
    112 UNSUPPORTED_ASSIGNOR None;
    113 STALE_MEMBER_EPOCH None;
    114 MISMATCHED_ENDPOINT_TYPE None;
    115 UNSUPPORTED_ENDPOINT_TYPE None;
    116 UNKNOWN_CONTROLLER_ID None;
    117 UNKNOWN_SUBSCRIPTION_ID None;
    118 TELEMETRY_TOO_LARGE None;
    119 INVALID_REGISTRATION None;
    120 TRANSACTION_ABORTABLE None;
    121 INVALID_RECORD_STATE None;
    122 SHARE_SESSION_NOT_FOUND Retry;
    123 INVALID_SHARE_SESSION_EPOCH Retry;
    124 FENCED_STATE_EPOCH None;
    125 INVALID_VOTER_KEY None;
    126 DUPLICATE_VOTER None;
    127 VOTER_NOT_FOUND None;
    128 INVALID_REGULAR_EXPRESSION None;
    129 REBOOTSTRAP_REQUIRED None;
    130 STREAMS_INVALID_TOPOLOGY None;
    131 STREAMS_INVALID_TOPOLOGY_EPOCH None;
    132 STREAMS_TOPOLOGY_FENCED None;
    133 SHARE_SESSION_LIMIT_REACHED Retry;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_knows_its_name_and_its_remedy() {
        assert_eq!(ErrorCode(6).name(), "NOT_LEADER_OR_FOLLOWER");
        assert!(ErrorCode::NOT_LEADER_OR_FOLLOWER.refreshes_metadata());
        assert!(ErrorCode::REQUEST_TIMED_OUT.is_retriable());
        assert!(!ErrorCode::REQUEST_TIMED_OUT.refreshes_metadata());
        assert!(!ErrorCode::REBALANCE_IN_PROGRESS.is_retriable());
        assert_eq!(ErrorCode::UNKNOWN_SERVER_ERROR.0, -1);
        assert_eq!(ErrorCode::NO_ERROR, ErrorCode::NONE);
    }

    #[test]
    fn an_unknown_code_is_printed_with_its_number() {
        assert_eq!(ErrorCode(9999).to_string(), "UNKNOWN_CODE(9999)");
        assert_eq!(ErrorCode(i16::MIN).to_string(), "UNKNOWN_CODE(-32768)");
        assert!(!ErrorCode(9999).is_retriable());
    }
}
