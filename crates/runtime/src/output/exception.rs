//! What Java's producer throws where ours has an error: the names and sentences that dead letters carry.

use kstreams_client::Error;
use kstreams_client::produce::UNEXPLAINED;
use kstreams_topology::exception::Exception;
use kstreams_wire::TopicName;
use kstreams_wire::code::ErrorCode;

/// Of all of them the one that Java keeps in another package.
const INVALID_RECORD: &str = "org.apache.kafka.common.InvalidRecordException";

/// The exception that Java's producer would have for a record that it cannot send to this topic.
pub(super) fn java(error: &Error, topic: &TopicName) -> Exception {
    match error {
        Error::Delivery { source, .. } => java(source, topic),
        Error::RecordTooLarge { size, limit, .. } => named(
            "RecordTooLargeException",
            format!(
                "The message is {size} bytes when serialized which is larger than {limit}, which is the value of the \
                 max.request.size configuration."
            ),
        ),
        Error::Timeout { .. } | Error::RequestTimeout { .. } => named("TimeoutException", error.to_string()),
        Error::Unreachable { .. } | Error::Disconnected { .. } => named("NetworkException", error.to_string()),
        Error::Refused { what, code } => refused(*code, Some(what.as_str()).filter(|what| *what != UNEXPLAINED), topic),
        Error::Topic { code, .. } => refused(*code, None, topic),
        Error::NoSuchPartition { .. } => Exception::new("java.lang.IllegalArgumentException", error.to_string()),
        other => Exception::new("org.apache.kafka.common.KafkaException", other.to_string()),
    }
}

fn refused(code: ErrorCode, said: Option<&str>, topic: &TopicName) -> Exception {
    if code == ErrorCode::TOPIC_AUTHORIZATION_FAILED {
        let text = format!("Not authorized to access topics: [{topic}]");
        return named("TopicAuthorizationException", text);
    }
    if code == ErrorCode::INVALID_RECORD {
        let text = "This record has failed the validation on the broker and hence be rejected.";
        return Exception::new(INVALID_RECORD, said.unwrap_or(text).to_owned());
    }
    let known = REFUSALS.iter().find(|(known, ..)| *known == code);
    let (class, sentence) = known.map_or(("UnknownServerException", code.name()), |(_, class, text)| {
        (*class, *text)
    });
    named(class, said.unwrap_or(sentence).to_owned())
}

fn named(class: &str, message: String) -> Exception {
    Exception::new(format!("org.apache.kafka.common.errors.{class}"), message)
}

/// The codes with which brokers refuse records: Java's class and what it says if the broker says nothing.
const REFUSALS: &[(ErrorCode, &str, &str)] = &[
    (
        ErrorCode::UNKNOWN_SERVER_ERROR,
        "UnknownServerException",
        "The server experienced an unexpected error when processing the request.",
    ),
    (
        ErrorCode::CORRUPT_MESSAGE,
        "CorruptRecordException",
        "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is \
         otherwise corrupt.",
    ),
    (
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        "UnknownTopicOrPartitionException",
        "This server does not host this topic-partition.",
    ),
    (
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        "NotLeaderOrFollowerException",
        "For requests intended only for the leader, this error indicates that the broker is not the current leader. For \
         requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.",
    ),
    (
        ErrorCode::MESSAGE_TOO_LARGE,
        "RecordTooLargeException",
        "The request included a message larger than the max message size the server will accept.",
    ),
    (
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        "InvalidTopicException",
        "The request attempted to perform an operation on an invalid topic.",
    ),
    (
        ErrorCode::RECORD_LIST_TOO_LARGE,
        "RecordBatchTooLargeException",
        "The request included message batch larger than the configured segment size on the server.",
    ),
    (
        ErrorCode::NOT_ENOUGH_REPLICAS,
        "NotEnoughReplicasException",
        "Messages are rejected since there are fewer in-sync replicas than required.",
    ),
    (
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        "NotEnoughReplicasAfterAppendException",
        "Messages are written to the log, but to fewer in-sync replicas than required.",
    ),
    (
        ErrorCode::INVALID_REQUIRED_ACKS,
        "InvalidRequiredAcksException",
        "Produce request specified an invalid value for required acks.",
    ),
    (
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        "ClusterAuthorizationException",
        "Cluster authorization failed.",
    ),
    (
        ErrorCode::INVALID_TIMESTAMP,
        "InvalidTimestampException",
        "The timestamp of the message is out of acceptable range.",
    ),
    (
        ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        "UnsupportedForMessageFormatException",
        "The message format version on the broker does not support the request.",
    ),
    (
        ErrorCode::POLICY_VIOLATION,
        "PolicyViolationException",
        "Request parameters do not satisfy the configured policy.",
    ),
    (
        ErrorCode::KAFKA_STORAGE_ERROR,
        "KafkaStorageException",
        "Disk error when trying to access log file on the disk.",
    ),
    (
        ErrorCode::SECURITY_DISABLED,
        "SecurityDisabledException",
        "Security features are disabled.",
    ),
    (
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        "UnsupportedCompressionTypeException",
        "The requesting client does not support the compression type of given partition.",
    ),
];
