//! Stores that are filled from a topic by a processor of their own: global ones, and read-only ones.

use kstreams_store::Logging;

use super::{Consumed, ResetPolicy, Topology};
use crate::error::Result;
use crate::processor::Processor;
use crate::record::Nullable;
use crate::stores::{StoreBuilder, StoreHandle, StoreKind};

/// Where a store's records come from, and the names of the nodes between.
pub struct Feed<K: Nullable, V: Nullable> {
    topic: String,
    source: String,
    processor: String,
    consumed: Consumed<K, V>,
}

impl<K: Nullable, V: Nullable> Feed<K, V> {
    /// The records of `topic`, read by the node `source` and put into the store by the node `processor`.
    pub fn new(
        topic: impl Into<String>,
        source: impl Into<String>,
        processor: impl Into<String>,
        consumed: Consumed<K, V>,
    ) -> Self {
        Self {
            topic: topic.into(),
            source: source.into(),
            processor: processor.into(),
            consumed,
        }
    }
}

impl Topology {
    /// Adds a global store: every instance keeps all of it, filled by a processor from all partitions of a topic, and every
    /// processor may read it without being connected. The closure makes the processor, which is to write what it gets, and
    /// to forward nothing. The store has no changelog.
    pub fn add_global_store<S: StoreKind, P>(
        &mut self,
        store: StoreBuilder<S>,
        feed: Feed<P::KIn, P::VIn>,
        new: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<StoreHandle<S>>
    where
        P: Processor<KIn: Nullable, VIn: Nullable>,
    {
        let (handle, name, _) = self.add_fed_store(store, feed, new)?;
        self.make_global(&name)?;
        Ok(handle)
    }

    /// Adds a store that a processor fills from a topic, and others only read (KIP-813). Like other stores it is divided into
    /// tasks by the topic's partitions, but the topic, which should be compacted, is its changelog: after a loss the store is
    /// restored from the topic's records as they are, without the processor. So the store's keys and values have to be those
    /// of the topic. The topic is read from its beginning.
    pub fn add_read_only_store<S: StoreKind, P>(
        &mut self,
        store: StoreBuilder<S>,
        mut feed: Feed<P::KIn, P::VIn>,
        new: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<StoreHandle<S>>
    where
        P: Processor<KIn: Nullable, VIn: Nullable>,
    {
        feed.consumed.reset = Some(ResetPolicy::Earliest);
        let (handle, name, topic) = self.add_fed_store(store, feed, new)?;
        self.use_source_topic_as_changelog(&name, &topic)?;
        Ok(handle)
    }

    /// The handle, and the names of the store and the topic.
    fn add_fed_store<S: StoreKind, P>(
        &mut self,
        store: StoreBuilder<S>,
        feed: Feed<P::KIn, P::VIn>,
        new: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<(StoreHandle<S>, String, String)>
    where
        P: Processor<KIn: Nullable, VIn: Nullable>,
    {
        let handle = store.handle();
        let definition = store.logging(Logging::Disabled).into_definition();
        let name = definition.spec.name.clone();
        self.add_store_definition(definition, &[])?;
        self.add_source(&feed.source, feed.topic.clone(), feed.consumed)?;
        self.add_processor(&feed.processor, new, &[&feed.source])?;
        self.connect(&feed.processor, &[&name])?;
        Ok((handle, name, feed.topic))
    }
}
