//! User processors as operators of a stream.

use std::sync::Arc;

use kstreams_topology::Nullable;
use kstreams_topology::processor::{FixedKeyNode, FixedKeyProcessor, Processor, ProcessorNode};
use kstreams_topology::stores::StoreId;

use super::{KStream, StreamPlan};
use crate::option::Serdes;
use crate::plan::{Effect, Kind, valid};
use crate::step::Factory;

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Hands each record to a processor, which may keep state, set timers, and forward any records. The closure makes a
    /// processor for each task. Its stores come from [`StreamsBuilder::add_store`](crate::StreamsBuilder::add_store).
    pub fn process<P>(&self, new: impl Fn() -> P + Send + Sync + 'static) -> KStream<P::KOut, P::VOut>
    where
        P: Processor<KIn = K, VIn = V>,
        P::KOut: Nullable,
        P::VOut: Nullable,
    {
        let stores = new().stores();
        let factory: Factory = Arc::new(move || Box::new(ProcessorNode(new())));
        self.processed(
            "KSTREAM-PROCESSOR-",
            Effect::Keys,
            |_| Serdes::default(),
            (factory, stores),
        )
    }

    /// Like [`process`](Self::process), for processors that keep the key: an aggregation below needs no repartition topic.
    pub fn process_values<P>(&self, new: impl Fn() -> P + Send + Sync + 'static) -> KStream<K, P::VOut>
    where
        P: FixedKeyProcessor<K = K, VIn = V>,
        P::VOut: Nullable,
    {
        let stores = new().stores();
        let factory: Factory = Arc::new(move || Box::new(FixedKeyNode(new())));
        self.processed(
            "KSTREAM-PROCESSVALUES-",
            Effect::Values,
            Serdes::with_keys_of,
            (factory, stores),
        )
    }

    fn processed<K2: Nullable, V2: Nullable>(
        &self,
        prefix: &'static str,
        effect: Effect,
        inherit: fn(&Serdes<K, V>) -> Serdes<K2, V2>,
        (factory, stores): (Factory, Vec<StoreId>),
    ) -> KStream<K2, V2> {
        let parent = self.node.clone();
        self.derive(move |draft, child| {
            let above = parent.planned.get(prefix)?;
            // Unlike other operators, a processor with a name of its own draws no number.
            let name = match child.name.take(prefix)? {
                Some(name) => valid(name)?,
                None => draft.names.draw(prefix),
            };
            child.inherit(&inherit(&parent.serdes.borrow()));
            // Java counts processors among the operators that change neither keys nor values when it merges topics.
            let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
                let stores = lowering.store_names(&site.name, stores)?;
                lowering.processor(site, factory, &stores)
            });
            draft.attach(above.node, node);
            Ok(StreamPlan {
                node,
                name,
                key_changed: above.key_changed || effect == Effect::Keys,
            })
        })
    }
}
