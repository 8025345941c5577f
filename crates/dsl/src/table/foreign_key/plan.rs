//! The names of a foreign-key join, and its ten nodes.

use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::Data;
use kstreams_topology::graph::{Partitioner, Partitions};

use super::message::{Answer, AnswerSerde, Subscription, SubscriptionNames, SubscriptionSerde};
use super::resolve::{Joiner, ResolveNode};
use super::right::Right;
use super::send::{ForeignKey, RowHasher, Rows, SendNode, Sending};
use super::{KeyPartitioner, TableJoined};
use crate::error::Result;
use crate::option::{Serdes, SharedSerde};
use crate::plan::{Draft, Effect, Kind, Late, Lowering, NodeId, Site};
use crate::step::Factory;
use crate::table::convert::take_row;
use crate::table::source::{SourceTable, lower_source_table};
use crate::table::{Demand, TableNode, TablePlan};

const PREFIX: &str = "KTABLE-FK-JOIN-OUTPUT-";

/// A join as it was recorded.
pub(super) struct ForeignJoin<K: Data, V: Data, KO: Data, VO: Data, V2> {
    pub(super) this: Rc<TableNode<K, V>>,
    pub(super) other: TableJoined<K, KO, VO>,
    pub(super) rows: Rows,
    pub(super) foreign_key: ForeignKey<K, V, KO>,
    pub(super) joiner: Joiner<V, VO, V2>,
}

/// The names of the nodes, in the order in which Java draws them.
pub(super) struct Names {
    pub(super) registration_topic: String,
    pub(super) send: String,
    pub(super) registration_sink: String,
    pub(super) registration_source: String,
    pub(super) store: String,
    pub(super) receive: String,
    pub(super) answer: String,
    pub(super) notify: String,
    pub(super) response_topic: String,
    pub(super) response_sink: String,
    pub(super) response_source: String,
    pub(super) resolve: String,
    pub(super) result: String,
}

impl Names {
    fn draw(draft: &mut Draft, given: &Late<String>) -> Result<Self> {
        const REGISTRATION: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-";
        const PROCESSOR: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-";
        const RESPONSE: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-";
        const RESOLVER: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-";
        let given = given.take(PREFIX)?;
        let mut draw = |prefix, suffix| {
            let given = given.as_ref().map(|name| format!("{name}-{suffix}"));
            draft.names.or_draw(given, prefix)
        };
        Ok(Self {
            registration_topic: draw(REGISTRATION, "subscription-registration")? + "-topic",
            send: draw(REGISTRATION, "subscription-registration-processor")?,
            registration_sink: draw("KTABLE-SINK-", "subscription-registration-sink")?,
            registration_source: draw("KTABLE-SOURCE-", "subscription-registration-source")?,
            store: draw("KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-", "subscription-store")?,
            receive: draw(PROCESSOR, "subscription-receive")?,
            answer: draw(PROCESSOR, "subscription-join-foreign")?,
            notify: draw(PROCESSOR, "foreign-join-subscription")?,
            response_topic: draw(RESPONSE, "subscription-response")? + "-topic",
            response_sink: draw("KTABLE-SINK-", "subscription-response-sink")?,
            response_source: draw("KTABLE-SOURCE-", "subscription-response-source")?,
            resolve: draw(RESOLVER, "subscription-response-resolver")?,
            result: draw(PREFIX, "result")?,
        })
    }
}

pub(super) fn plan<K: Data, V: Data, KO: Data, VO: Data, V2: Data>(
    draft: &mut Draft,
    table: &TableNode<K, V2>,
    join: ForeignJoin<K, V, KO, VO, V2>,
) -> Result<TablePlan<K, V2>> {
    let this = join.this.planned.get(PREFIX)?.clone();
    let other = join.other.other.node.planned.get(PREFIX)?.clone();
    let names = Rc::new(Names::draw(draft, &table.name)?);
    let given = table.given(PREFIX)?.unwrap_or_default();
    let source = SourceTable::new(given.name.is_some());
    let store_name = draft.names.store(given.name.clone(), PREFIX)?;
    other.old_values.enable(Demand::Always);
    this.old_values.enable(Demand::Always);
    other.rows.enable();
    this.rows.enable();
    let (key, value) = join.this.serdes.borrow().resolve(&names.send)?;
    let (foreign, foreign_value) = join.other.other.node.serdes.borrow().resolve(&names.answer)?;
    let hasher = RowHasher::new(value, names.registration_topic.clone());
    let serdes = Messages::new(&names, key, (foreign, foreign_value));
    let sending = Sending {
        foreign_key: join.foreign_key,
        rows: join.rows,
        versioned: this.versioned,
        hasher: hasher.clone(),
        foreign: serdes.foreign.clone(),
        topic: names.registration_topic.clone(),
    };
    let sending = Arc::new(sending);
    let send = below(draft, this.node, &names.send, move |lowering, site| {
        let new: Factory = Arc::new(move || Box::new(SendNode::new(sending.clone())));
        lowering.processor(site, new, &[])
    });
    let right = Right {
        names: names.clone(),
        serdes: serdes.clone(),
        table: other,
        partitioner: join.other.other_partitioner,
    };
    let answers = right.draft(draft, send);
    let response = response(draft, &names, &serdes, (answers, join.other.partitioner));
    let resolve = Resolving {
        names: names.clone(),
        table: this,
        hasher,
        joiner: join.joiner,
    };
    let resolve = resolve.draft(draft, response);
    let options = table.settle(given, &Serdes::with_keys_of(&join.this.serdes.borrow()));
    let versioned = options.is_versioned();
    let lowered = source.clone();
    let node = below(draft, resolve, &names.result, move |lowering, site| {
        lower_source_table(
            lowering,
            site,
            &lowered,
            (take_row::<K, Option<V2>>, options, store_name),
        )
    });
    Ok(TablePlan {
        node,
        name: names.result.clone(),
        old_values: source.clone(),
        rows: source,
        versioned,
    })
}

/// The serdes of what the two sides tell each other.
pub(super) struct Messages<K, KO, VO> {
    pub(super) primary: SharedSerde<K>,
    pub(super) foreign: SharedSerde<KO>,
    pub(super) subscription: SharedSerde<Subscription<K>>,
    pub(super) answer: SharedSerde<Answer<VO>>,
}

impl<K, KO, VO> Clone for Messages<K, KO, VO> {
    fn clone(&self) -> Self {
        Self {
            primary: self.primary.clone(),
            foreign: self.foreign.clone(),
            subscription: self.subscription.clone(),
            answer: self.answer.clone(),
        }
    }
}

impl<K: Data, KO: Data, VO: Data> Messages<K, KO, VO> {
    fn new(names: &Names, primary: SharedSerde<K>, (foreign, value): (SharedSerde<KO>, SharedSerde<VO>)) -> Self {
        let subscriptions = SubscriptionNames {
            topic: names.registration_topic.clone(),
            store: names.store.clone(),
        };
        Self {
            subscription: Arc::new(SubscriptionSerde::new(primary.clone(), subscriptions)),
            answer: Arc::new(AnswerSerde(value)),
            primary,
            foreign,
        }
    }
}

/// The response topic; the node of its source.
fn response<K: Data, KO, VO: Data>(
    draft: &mut Draft,
    names: &Names,
    serdes: &Messages<K, KO, VO>,
    (answers, partitioner): ([NodeId; 2], Option<KeyPartitioner<K>>),
) -> NodeId {
    let partitioner: Partitioner<K, Answer<VO>> = match partitioner {
        Some(choose) => Arc::new(move |topic, key, _, partitions| choose(topic, key, partitions)),
        None => Arc::new(|_, _, answer, _| answer.partition.map_or(Partitions::Default, Partitions::One)),
    };
    let serdes = (serdes.primary.clone(), serdes.answer.clone());
    let (topic, own) = (names.response_topic.clone(), serdes.clone());
    let [answer, notify] = answers;
    let sink = below(draft, answer, &names.response_sink, move |lowering, site| {
        lowering.internal_topic(&topic, None);
        lowering.internal_sink::<K, Answer<VO>>(site, &topic, own, Some(partitioner))
    });
    draft.attach(notify, sink);
    let topic = names.response_topic.clone();
    below(draft, sink, &names.response_source, move |lowering, site| {
        lowering.internal_source::<K, Answer<VO>>(&site.name, &topic, serdes)
    })
}

/// What is known of the node that resolves answers when it is drafted.
struct Resolving<K, V, VO, V2> {
    names: Rc<Names>,
    table: TablePlan<K, V>,
    hasher: RowHasher<V>,
    joiner: Joiner<V, VO, V2>,
}

impl<K: Data, V: Data, VO: Data, V2: Data> Resolving<K, V, VO, V2> {
    fn draft(self, draft: &mut Draft, response: NodeId) -> NodeId {
        let name = self.names.resolve.clone();
        below(draft, response, &name, move |lowering, site| {
            let Self {
                names,
                table,
                hasher,
                joiner,
            } = self;
            let rows = table.rows.lower(&site.name)?;
            let stores = rows.stores().to_vec();
            let new: Factory = Arc::new(move || {
                Box::new(ResolveNode {
                    rows: rows.open(),
                    hasher: hasher.clone(),
                    joiner: joiner.clone(),
                })
            });
            lowering.processor(site, new, &stores)?;
            lowering.copartition(&[&table.name, &names.response_source])
        })
    }
}

/// Drafts a node below another.
pub(super) fn below(
    draft: &mut Draft,
    parent: NodeId,
    name: &str,
    write: impl FnOnce(&mut Lowering, &Site) -> Result<()> + 'static,
) -> NodeId {
    let node = draft.node(name, (Kind::Plain, Effect::None), write);
    draft.attach(parent, node);
    node
}
