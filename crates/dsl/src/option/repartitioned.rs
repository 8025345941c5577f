//! How a stream is repartitioned.

use std::sync::Arc;

use kstreams_topology::graph::{Partitioner, Partitions};

/// Options of [`KStream::repartition`](crate::KStream::repartition). `()` takes the defaults, a text is a name.
pub struct Repartitioned<K, V> {
    pub(crate) name: Option<String>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
}

impl<K, V> Repartitioned<K, V> {
    /// A topic with a generated name and as many partitions as the sources above it.
    pub fn new() -> Self {
        Self {
            name: None,
            partitions: None,
            partitioner: None,
        }
    }

    /// Names the topic `<application id>-<name>-repartition`.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The topic's number of partitions.
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Chooses partitions by topic, key, value and number of partitions. By default the key's hash decides.
    pub fn partitioner(mut self, choose: impl Fn(&str, &K, &V, i32) -> Partitions + Send + Sync + 'static) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }
}

impl<K, V> Default for Repartitioned<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> From<()> for Repartitioned<K, V> {
    fn from((): ()) -> Self {
        Self::new()
    }
}

impl<K, V> From<&str> for Repartitioned<K, V> {
    fn from(name: &str) -> Self {
        Self::new().named(name)
    }
}
