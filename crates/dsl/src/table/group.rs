//! Tables are grouped by other keys, to be aggregated: each change goes to the rows' new keys through a topic.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::NodeContext;
use kstreams_topology::{BoxError, Change, Data, Error, Nullable, Record, Serde};

use super::change::ChangeSerde;
use super::{Demand, KTable, TableNode};
use crate::error::Result;
use crate::option::{Serdes, SharedSerde};
use crate::outcome::PairOutcome;
use crate::plan::{Draft, Effect, Kind, Late, NodeId, Plan, Planned, valid};
use crate::step::step;

impl<K: Data, V: Data> KTable<K, V> {
    /// Groups the rows by other keys, with other values. Rows for which the closure gives no key or no value are left out.
    /// The rows go through a repartition topic.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<String, String>("city-of-user");
    /// let users_by_city = users.group_by(|user: &String, city: String| (city, user.clone()));
    /// users_by_city.count().to_stream().to("users-in-city");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let cities = driver.input::<String, String>("city-of-user");
    /// let counts = driver.output::<String, i64>("users-in-city");
    /// driver.pipe(&cities, ("ann", "Oslo"))?;
    /// driver.pipe(&cities, ("ann", "Rome"))?;
    /// assert_eq!(driver.read_key_values(&counts)?, [("Oslo".into(), 1), ("Oslo".into(), 0), ("Rome".into(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_by<K2, V2, R, M>(
        &self,
        select: impl Fn(&K, V) -> R + Send + Sync + 'static,
    ) -> KGroupedTable<K2::Inner, V2::Inner>
    where
        K2: Nullable,
        K2::Inner: PartialEq,
        V2: Nullable,
        R: PairOutcome<K2, V2, M>,
    {
        let select = move |key: &K, value| -> std::result::Result<_, BoxError> {
            let (key, value) = select(key, value).outcome()?;
            Ok(key.into_option().zip(value.into_option()))
        };
        let grouped = KGroupedTable {
            plan: self.plan.clone(),
            node: Rc::new(GroupedTableNode {
                name: Late::new("name"),
                serdes: RefCell::default(),
                planned: Planned::new(),
                shared: Cell::new(None),
            }),
        };
        let (parent, node) = (self.node.clone(), grouped.node.clone());
        self.plan.record(move |draft| {
            let planned = plan(draft, &parent, &node.name, select)?;
            node.planned.set(planned);
            Ok(())
        });
        grouped
    }
}

fn plan<K, V, K2, V2>(
    draft: &mut Draft,
    parent: &TableNode<K, V>,
    given: &Late<String>,
    select: impl Fn(&K, V) -> std::result::Result<Option<(K2, V2)>, BoxError> + Send + Sync + 'static,
) -> Result<GroupedTablePlan>
where
    K: Data,
    V: Data,
    K2: Data + PartialEq,
    V2: Data,
{
    const PREFIX: &str = "KTABLE-SELECT-";
    let above = parent.planned.get(PREFIX)?;
    let given = given.take(PREFIX)?.map(valid).transpose()?;
    let name = draft.names.or_draw(given.clone(), PREFIX)?;
    let versioned = above.versioned;
    let factory = step(move |cx, record: Record<K, Change<V>>| {
        // A late change of a versioned table is no news to the aggregate: it has later values (KIP-914).
        if versioned && !record.value.is_latest {
            return Ok(());
        }
        regroup(cx, record, &select)
    });
    let node = draft.processor(&name, Effect::None, factory);
    draft.attach(above.node, node);
    above.old_values.enable(Demand::Always);
    Ok(GroupedTablePlan { node, name: given })
}

/// Sends a change to the keys to which the row belonged and belongs. What was comes first; if the key stays, both travel
/// together.
fn regroup<K, V, K2, V2>(
    cx: &mut NodeContext<'_>,
    record: Record<K, Change<V>>,
    select: &impl Fn(&K, V) -> std::result::Result<Option<(K2, V2)>, BoxError>,
) -> std::result::Result<(), Error>
where
    K2: Data + PartialEq,
    V2: Data,
{
    let Record {
        key,
        value: change,
        timestamp,
        headers,
    } = record;
    let select = |value: Option<V>| match value {
        Some(value) => select(&key, value).map_err(Error::User),
        None => Ok(None),
    };
    let (new, old) = (select(change.new)?, select(change.old)?);
    let mut send = |key: K2, new, old| {
        let value = Change {
            new,
            old,
            is_latest: true,
        };
        cx.forward(Record {
            key,
            value,
            timestamp,
            headers: headers.clone(),
        })
    };
    match (new, old) {
        (Some((key, new)), Some((old_key, old))) if key == old_key => send(key, Some(new), Some(old)),
        (new, old) => {
            if let Some((key, old)) = old {
                send(key, None, Some(old))?;
            }
            match new {
                Some((key, new)) => send(key, Some(new), None),
                None => Ok(()),
            }
        }
    }
}

/// A table grouped by other keys: changes of rows are taken out of, and added to, the aggregates of their keys.
pub struct KGroupedTable<K: Data, V: Data> {
    pub(crate) plan: Plan,
    pub(crate) node: Rc<GroupedTableNode<K, V>>,
}

/// A grouping as it was recorded.
pub(crate) struct GroupedTableNode<K: Data, V: Data> {
    name: Late<String>,
    pub(crate) serdes: RefCell<Serdes<K, V>>,
    planned: Planned<GroupedTablePlan>,
    /// The repartition topic that all aggregations of a named grouping share.
    shared: Cell<Option<NodeId>>,
}

struct GroupedTablePlan {
    node: NodeId,
    name: Option<String>,
}

impl<K: Data, V: Data> Clone for KGroupedTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            node: self.node.clone(),
        }
    }
}

impl<K: Data, V: Data> KGroupedTable<K, V> {
    /// Names the grouping: its repartition topic is `<application id>-<name>-repartition`, one for all aggregations of
    /// this grouping.
    pub fn named(&self, name: impl Into<String>) -> Self {
        self.node.name.set(name.into());
        self.clone()
    }

    /// The serde of the keys. By default the type's own.
    pub fn key_serde(&self, serde: impl Serde<K>) -> Self {
        self.node.serdes.borrow_mut().key = Some(Arc::new(serde));
        self.clone()
    }

    /// The serde of the values. By default the type's own.
    pub fn value_serde(&self, serde: impl Serde<V>) -> Self {
        self.node.serdes.borrow_mut().value = Some(Arc::new(serde));
        self.clone()
    }
}

/// The nodes around the topic of a grouping.
pub(crate) struct Around {
    pub(crate) sink: String,
    pub(crate) source: String,
}

impl<K: Data, V: Data> GroupedTableNode<K, V> {
    /// The node of the repartition topic, under which an aggregation stands. `store` names the topic if the grouping has
    /// no name.
    pub(crate) fn aggregation_parent(&self, draft: &mut Draft, around: Around, store: &str) -> Result<NodeId> {
        let planned = self.planned.get(store)?;
        let base = planned.name.as_deref().unwrap_or(store);
        let (key, value) = self.serdes.borrow().resolve(base)?;
        let topic = format!("{base}-repartition");
        let Around { sink, source } = around;
        let reused = self.shared.get().filter(|_| planned.name.is_some());
        let node = reused.unwrap_or_else(|| {
            draft.node(source.clone(), (Kind::Plain, Effect::None), move |lowering, site| {
                let serde = Arc::new(ChangeSerde(value));
                lowering.internal_topic(&topic, None);
                let serdes = (key.clone(), serde.clone() as SharedSerde<Change<V>>);
                lowering.internal_sink::<K, Change<V>>(&site.renamed(&sink), &topic, serdes, None)?;
                lowering.internal_source::<K, Change<V>>(&source, &topic, (key, serde))
            })
        });
        self.shared.set(Some(node));
        draft.attach(planned.node, node);
        Ok(node)
    }
}
