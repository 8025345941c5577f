//! Joins of streams: with streams, tables and global tables.

use std::ops::Deref;
use std::rc::Rc;

use kstreams_topology::{Nullable, Serde};

use super::KStream;

mod global;
mod grace;
mod lookup;
mod names;
mod pair;
mod plan;
mod self_join;
mod side;
mod stream;
mod table;
mod windowed;
mod windows;

pub use stream::StreamJoin;
pub use table::TableJoin;
pub use windows::JoinWindows;

/// The stream that a join results in. Until the program is built, the join's options can be set on it; other than that it
/// is a [`KStream`].
pub struct Joined<K: Nullable, V: Nullable, O> {
    stream: KStream<K, V>,
    options: Rc<O>,
}

impl<K: Nullable, V: Nullable, O> Clone for Joined<K, V, O> {
    fn clone(&self) -> Self {
        Self {
            stream: self.stream.clone(),
            options: self.options.clone(),
        }
    }
}

impl<K: Nullable, V: Nullable, O> Deref for Joined<K, V, O> {
    type Target = KStream<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.stream
    }
}

impl<K: Nullable, V: Nullable, O> Joined<K, V, O> {
    /// Names the join: its nodes, and the repartition topics that it needs.
    pub fn named(&self, name: impl Into<String>) -> Self {
        self.stream.named(name);
        self.clone()
    }

    /// The serde of the keys: in the join's stores and topics, and for all operators below that keep the key. By default
    /// the left stream's, or the type's own.
    pub fn key_serde(&self, serde: impl Serde<K::Inner>) -> Self {
        self.stream.key_serde(serde);
        self.clone()
    }

    /// The serde of the result's values, for all operators below that keep the value. By default the type's own.
    pub fn value_serde(&self, serde: impl Serde<V::Inner>) -> Self {
        self.stream.value_serde(serde);
        self.clone()
    }
}
