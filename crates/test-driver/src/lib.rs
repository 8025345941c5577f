//! Runs a topology without Kafka, record by record.
