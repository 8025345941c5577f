//! Proof by violence: an exactly-once application in several processes, hurt at random, compared with one pass over its input.
//!
//! | room | what |
//! |---|---|
//! | [`model`] | the input as a function of its index, and what one pass over it gives |
//! | [`application`] | the topology under test, as a process |
//! | [`brokers`] | the broker under the processes: embedded or a real Kafka, both to be killed |
//! | [`fleet`] | the processes: started, killed, frozen |
//! | [`feed`] | writes the input all along |
//! | [`event`] | what happens in a round, from a seed |
//! | [`watch`] | whether every output partition still moves |
//! | [`outputs`] | what is committed, read back |
//! | [`evidence`] | what the processes' logs and state directories say of restored and of wiped state |
//! | [`run`] | the rounds one after the other, and the verdict |
//!
//! # Why the output is known, however the processes run
//!
//! Every record of a group is in one input partition, one task at a time reads that in order and writes it to the
//! repartition topic in order; so the group's records arrive in the order of their index, and its counts, sums and digests
//! are those of one pass. The join of the same stream with the table of these totals sees the row that the very record
//! made: both happen in one task, the table's part first. The streams `left` and `right` are joined by a key that each has
//! once, within a window longer than any run: each pair comes about once, whoever comes first.

pub mod application;
pub mod brokers;
pub mod event;
pub mod evidence;
pub mod feed;
pub mod fleet;
pub mod model;
pub mod outputs;
pub mod run;
pub mod watch;

use std::collections::BTreeMap;

use kstreams_client::{Client, ClientConfig};

/// A client of our own with these limits: a broker that is down is found out soon.
pub fn client(bootstrap: &str) -> Client {
    let properties = BTreeMap::from([
        ("bootstrap.servers".to_owned(), bootstrap.to_owned()),
        ("client.id".to_owned(), "chaos".to_owned()),
        ("request.timeout.ms".to_owned(), "5000".to_owned()),
        ("reconnect.backoff.max.ms".to_owned(), "200".to_owned()),
    ]);
    Client::start(ClientConfig::from_properties(&properties).expect("a good configuration")).expect("a client")
}
