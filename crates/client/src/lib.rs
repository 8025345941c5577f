//! The Kafka client: connections, metadata, consumer, producer, group membership, admin.
