//! The right side of a foreign-key join as nodes: from the registration topic to the answers.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_store::{EngineKind, Kind, Logging, StoreSpec};
use kstreams_topology::Data;
use kstreams_topology::graph::{Node, Partitioner, Partitions};
use kstreams_topology::serde::VecSerde;
use kstreams_topology::stores::{KeyValueFront, StoreBuilder, StoreDefinition, StoreHandle};

use super::KeyPartitioner;
use super::answer::{AnswerNode, NotifyNode, ReceiveNode, StoreKeys, SubscriptionStore};
use super::message::Subscription;
use super::plan::{Messages, Names, below};
use crate::option::SharedSerde;
use crate::plan::{Draft, NodeId};
use crate::step::Factory;
use crate::table::TablePlan;

/// What is known of the right side when it is drafted.
pub(super) struct Right<K, KO, VO> {
    pub(super) names: Rc<Names>,
    pub(super) serdes: Messages<K, KO, VO>,
    pub(super) table: TablePlan<KO, VO>,
    pub(super) partitioner: Option<KeyPartitioner<KO>>,
}

impl<K: Data, KO: Data, VO: Data> Right<K, KO, VO> {
    /// Drafts the nodes; those that give answers.
    pub(super) fn draft(self, draft: &mut Draft, send: NodeId) -> [NodeId; 2] {
        let source = self.registration(draft, send);
        let Self { names, serdes, .. } = &self;
        let (store, definition) = subscription_store(&names.store, serdes.subscription.clone());
        let topic = names.registration_topic.clone();
        let keys = StoreKeys::new(serdes.foreign.clone(), serdes.primary.clone(), topic);
        let (store_keys, stores) = (keys.clone(), [names.store.clone()]);
        let receive = below(draft, source, &names.receive, move |lowering, site| {
            let mut definition = definition;
            definition.spec.engine = lowering.default_engine();
            lowering.store(definition)?;
            let new: Factory = Arc::new(move || {
                Box::new(ReceiveNode {
                    store,
                    keys: store_keys.clone(),
                })
            });
            lowering.processor(site, new, &stores)
        });
        let rows = self.table.rows.clone();
        let answer = below(draft, receive, &names.answer, move |lowering, site| {
            let rows = rows.lower(&site.name)?;
            let stores = rows.stores().to_vec();
            let new: Factory = Arc::new(move || {
                Box::new(AnswerNode::<K, KO, VO> {
                    rows: rows.open(),
                    primary: PhantomData,
                })
            });
            lowering.processor(site, new, &stores)
        });
        [answer, self.notify(draft, (store, keys))]
    }

    /// The registration topic; the node of its source.
    fn registration(&self, draft: &mut Draft, send: NodeId) -> NodeId {
        let Self { names, serdes, .. } = self;
        let partitioner = self.partitioner.clone().map(|choose| {
            let choose: Partitioner<Option<KO>, Subscription<K>> =
                Arc::new(move |topic, key, _, partitions| match key {
                    Some(key) => choose(topic, key, partitions),
                    None => Partitions::Default,
                });
            choose
        });
        let serdes = (serdes.foreign.clone(), serdes.subscription.clone());
        let (topic, own) = (names.registration_topic.clone(), serdes.clone());
        let sink = below(draft, send, &names.registration_sink, move |lowering, site| {
            lowering.internal_topic(&topic, None);
            lowering.internal_sink::<Option<KO>, _>(site, &topic, own, partitioner)
        });
        let topic = names.registration_topic.clone();
        below(draft, sink, &names.registration_source, move |lowering, site| {
            lowering.internal_source::<Option<KO>, Subscription<K>>(&site.name, &topic, serdes)
        })
    }

    /// The node that tells subscribers of changes.
    fn notify(
        &self,
        draft: &mut Draft,
        (store, keys): (StoreHandle<SubscriptionStore<K>>, StoreKeys<K, KO>),
    ) -> NodeId {
        let (names, versioned) = (self.names.clone(), self.table.versioned);
        let table = self.table.name.clone();
        below(draft, self.table.node, &self.names.notify, move |lowering, site| {
            let new = Arc::new(move || -> Box<dyn Node> {
                Box::new(NotifyNode::<K, KO, VO> {
                    store,
                    keys: keys.clone(),
                    versioned,
                    values: PhantomData,
                })
            });
            lowering.processor(site, new, std::slice::from_ref(&names.store))?;
            lowering.copartition(&[&table, &names.registration_source])
        })
    }
}

/// The store of the subscriptions. On which engine it is kept is said when it is written.
fn subscription_store<K: Data>(
    name: &str,
    serde: SharedSerde<Subscription<K>>,
) -> (StoreHandle<SubscriptionStore<K>>, StoreDefinition) {
    let spec = StoreSpec {
        name: name.to_owned(),
        kind: Kind::TimestampedKeyValue,
        engine: EngineKind::Persistent,
        caching: false,
        logging: Logging::enabled(),
    };
    let builder = StoreBuilder::<SubscriptionStore<K>>::new(spec, move |topic| {
        KeyValueFront::new(topic, Arc::new(VecSerde), serde.clone())
    });
    (builder.handle(), builder.into_definition())
}
