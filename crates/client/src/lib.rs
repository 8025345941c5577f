//! The Kafka client: connections, metadata, consumer, producer, group membership, admin.
//!
//! A [`Client`] runs one I/O thread. The handles outside ([`Consumer`], [`Producer`], [`Admin`]) block and are owned by
//! one thread each; everything inside awaits on the I/O thread. Whole batches cross between the two, never single
//! records. It is not a general-purpose client: it has what a stream processor asks of one.
//!
//! | room | what |
//! |---|---|
//! | [`config`], [`error`] | Kafka's keys as types; what can go wrong |
//! | `network` | sockets, clock and threads: the only room that names them |
//! | `mailbox` | how values come back from the I/O thread to a blocking caller |
//! | `connection` | one pipelined connection: handshake, request timeouts, idle close, back-off |
//! | [`cluster`] | brokers, leaders and coordinators; the async handle that everything else sends through |
//! | [`group`] | membership in a group as a machine without I/O, and what drives it; committed offsets |
//! | [`consume`] | fetch sessions, positions, offset resets: batches in |
//! | [`produce`] | accumulator, idempotent sender: batches out |
//! | [`admin`] | topics, offsets, settings, groups: asked and changed |

pub mod admin;
pub mod client;
pub mod cluster;
pub mod config;
mod connection;
pub mod consume;
pub mod error;
pub mod group;
mod mailbox;
mod network;
pub mod produce;

pub use admin::Admin;
pub use client::Client;
pub use cluster::Cluster;
pub use config::{ClientConfig, ConfigError};
pub use consume::{Consumer, ConsumerConfig, ConsumerEvent, Start, Waker};
pub use error::{Error, Result};
pub use group::{Committed, GroupConfig, GroupEvent, GroupMember, GroupMetadata, Leave};
pub use network::Io;
pub use produce::{
    Fate, Lost, LostRecord, OnLoss, Origin, Producer, ProducerConfig, ProducerRecord, ProducerTopic,
    TransactionalConfig,
};
