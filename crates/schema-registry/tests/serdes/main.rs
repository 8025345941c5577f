//! Serdes and a registry: what is on the wire, who is asked when, and what is said when something is wrong.

mod application;
mod avro;
mod protobuf;
mod registry;
mod server;

use kstreams_topology::{Serde, SerdeError};

/// The value's bytes.
fn bytes<T>(serde: &impl Serde<T>, topic: &str, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    serde.serialize(topic, value, &mut bytes).expect("it can be written");
    bytes
}

/// The error in full: with its causes.
fn told(error: &SerdeError) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told += &format!(": {error}");
        cause = error.source();
    }
    told
}
