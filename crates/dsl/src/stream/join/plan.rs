//! A join of two streams in the draft: names, stores, and the nodes that it is written as.

use std::any::TypeId;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_store::{EngineKind, Kind as StoreType, Logging, StoreSpec, WindowLayout};
use kstreams_topology::graph::Node;
use kstreams_topology::stores::{
    JoinRows, JoinRowsFront, StoreBuilder, StoreDefinition, StoreHandle, StoreKind, WindowFront, WindowStore,
};
use kstreams_topology::{Data, Nullable, Record};

use super::JoinWindows;
use super::names::JoinNames;
use super::pair::{Left, PairJoiner, Right};
use super::self_join::SelfJoin;
use super::side::{Rule, SideNode};
use super::stream::StreamJoin;
use super::windowed::WindowedNode;
use crate::error::{Error, Result};
use crate::option::{Serdes, SharedSerde};
use crate::plan::{Draft, Effect, Kind, Lowering, NodeId, SelfJoinable, Site};
use crate::step::{Factory, step};
use crate::stream::{StreamNode, StreamPlan};

const PREFIX: &str = "KSTREAM-MERGE-";

/// Which records without a match are in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinKind {
    /// None.
    Inner,
    /// Those of the left stream.
    Left,
    /// Those of both.
    Outer,
}

impl JoinKind {
    /// Whether left records without a match are.
    pub(super) fn is_left_outer(self) -> bool {
        self != Self::Inner
    }

    /// Whether right records without a match are.
    pub(super) fn is_right_outer(self) -> bool {
        self == Self::Outer
    }
}

/// A join as it was recorded.
pub(super) struct StreamStream<K, L: Data, R: Data, V> {
    pub(super) kind: JoinKind,
    pub(super) windows: JoinWindows,
    pub(super) joiner: PairJoiner<K, L, R, V>,
    pub(super) options: Rc<StreamJoin<L, R>>,
}

pub(super) fn plan<K: Nullable, V1: Nullable, V2: Nullable, V: Nullable>(
    draft: &mut Draft,
    child: &StreamNode<K, V>,
    (left, right): (&StreamNode<K, V1>, &StreamNode<K, V2>),
    join: StreamStream<K, V1::Inner, V2::Inner, V>,
) -> Result<StreamPlan> {
    let given = child.name.take(PREFIX)?;
    let key = child.serdes.borrow().key.clone();
    let value = join.options.left.take();
    let left_serdes = Serdes {
        key: key.clone(),
        value,
    }
    .or(&left.serdes.borrow());
    let value = join.options.right.take();
    let right_serdes = Serdes { key, value }.or(&right.serdes.borrow());
    let base = |suffix: &str| given.as_ref().map(|name| format!("{name}{suffix}"));
    let above_left = left.repartitioned(draft, base("-left"), &left_serdes)?;
    let above_right = right.repartitioned(draft, base("-right"), &right_serdes)?;
    let names = JoinNames::draw(draft, join.kind, given, join.options.store_name.take(PREFIX)?)?;
    if let Some(fault) = join.windows.fault() {
        let node = names.merge;
        return Err(Error::InvalidWindows { node, fault });
    }
    child.inherit(&left_serdes.with_keys_of());

    let stores = JoinStores {
        layout: WindowLayout {
            duplicates: true,
            ..WindowLayout::new(join.windows.retention(), join.windows.size())
        },
        engine: join.options.engine.take(&names.merge)?,
        logging: join
            .options
            .logging
            .take(&names.merge)?
            .unwrap_or_else(Logging::enabled),
    };
    let (left_serdes, right_serdes) = (left_serdes.resolve(&names.merge)?, right_serdes.resolve(&names.merge)?);
    let waits = join.kind != JoinKind::Inner && !join.windows.eager;
    let unmatched = waits.then(|| stores.unmatched(&names.shared_store, left_serdes.clone(), right_serdes.1.clone()));
    let left_store = stores.windowed(&names.this_store, left_serdes);
    let right_store = stores.windowed(&names.other_store, right_serdes);
    let this = windowed::<K, V1>(draft, above_left, &names.this_windowed, left_store.handle);
    let other = windowed::<K, V2>(draft, above_right, &names.other_windowed, right_store.handle);

    let with_itself = Rc::new(Cell::new(false));
    let kind = Kind::StreamJoin(SelfJoinable {
        windowed: (this, other),
        equal_types: TypeId::of::<V1>() == TypeId::of::<V2>(),
        with_itself: with_itself.clone(),
    });
    let (merge, joins_null_keys) = (names.merge.clone(), join.kind.is_left_outer());
    let node = draft.node(&merge, (kind, Effect::None), move |lowering, _| {
        let lowered = Lowered {
            names,
            join,
            left: left_store,
            right: right_store,
            unmatched,
        };
        if with_itself.get() {
            lowered.write_self_join::<V1>(lowering)
        } else {
            lowered.write::<V1, V2>(lowering)
        }
    });
    draft.at_mut(node).joins_null_keys = joins_null_keys;
    draft.attach(above_left, node);
    draft.attach(above_right, node);
    Ok(StreamPlan {
        node,
        name: merge,
        key_changed: false,
    })
}

fn windowed<K: Nullable, V: Nullable>(
    draft: &mut Draft,
    above: NodeId,
    name: &str,
    store: StoreHandle<WindowStore<K::Inner, V::Inner>>,
) -> NodeId {
    let factory: Factory = Arc::new(move || Box::new(WindowedNode::<K, V> { store }));
    let node = draft.processor(name, Effect::None, factory);
    draft.attach(above, node);
    node
}

/// What the stores of a join have in common.
struct JoinStores {
    layout: WindowLayout,
    engine: Option<EngineKind>,
    logging: Logging,
}

impl JoinStores {
    /// The store of one side.
    fn windowed<K: Data, V: Data>(
        &self,
        name: &str,
        (key, value): (SharedSerde<K>, SharedSerde<V>),
    ) -> JoinStore<WindowStore<K, V>> {
        let mut logging = self.logging.clone();
        if let Logging::Enabled(configs) = &mut logging {
            // The keys of duplicates differ, so that compaction would never remove any.
            configs.insert("cleanup.policy".to_owned(), "delete".to_owned());
        }
        let spec = spec(name, StoreType::Window(self.layout), logging);
        let size = self.layout.size_ms;
        self.of(StoreBuilder::new(spec, move |topic| {
            WindowFront::new(topic, key.clone(), value.clone(), size)
        }))
    }

    /// The store of records without a match.
    fn unmatched<K: Data, L: Data, R: Data>(
        &self,
        name: &str,
        (key, left): (SharedSerde<K>, SharedSerde<L>),
        right: SharedSerde<R>,
    ) -> JoinStore<JoinRows<K, L, R>> {
        let spec = spec(name, StoreType::List, self.logging.clone());
        self.of(StoreBuilder::new(spec, move |topic| {
            JoinRowsFront::new(topic, key.clone(), left.clone(), right.clone())
        }))
    }

    fn of<S: StoreKind>(&self, store: StoreBuilder<S>) -> JoinStore<S> {
        JoinStore {
            handle: store.handle(),
            definition: store.into_definition(),
            engine: self.engine,
        }
    }
}

/// A store that is drafted; its place is settled when it is written.
fn spec(name: &str, kind: StoreType, logging: Logging) -> StoreSpec {
    StoreSpec {
        name: name.to_owned(),
        kind,
        engine: EngineKind::Persistent,
        caching: false,
        logging,
    }
}

/// A store that is drafted before it is known where it will be kept.
struct JoinStore<S> {
    handle: StoreHandle<S>,
    definition: StoreDefinition,
    /// Where the program wants it, if it says so.
    engine: Option<EngineKind>,
}

impl<S> JoinStore<S> {
    /// Writes the store and connects these nodes to it.
    fn write(mut self, lowering: &mut Lowering, users: [&str; 2]) -> Result<()> {
        let name = self.definition.spec.name.clone();
        // Java forgets `default.dsl.store` here, unless it was given to the builder, too.
        let default = if lowering.java_quirks() {
            EngineKind::Persistent
        } else {
            lowering.default_engine()
        };
        self.definition.spec.engine = self.engine.unwrap_or(default);
        lowering.store(self.definition)?;
        users.iter().try_for_each(|user| lowering.connect(user, &[&name]))
    }
}

/// A join that is being written.
struct Lowered<K: Nullable, L: Data, R: Data, V> {
    names: JoinNames,
    join: StreamStream<K, L, R, V>,
    left: JoinStore<WindowStore<K::Inner, L>>,
    right: JoinStore<WindowStore<K::Inner, R>>,
    unmatched: Option<JoinStore<JoinRows<K::Inner, L, R>>>,
}

impl<K: Nullable, L: Data, R: Data, V: Nullable> Lowered<K, L, R, V> {
    fn write<V1, V2>(self, lowering: &mut Lowering) -> Result<()>
    where
        V1: Nullable<Inner = L>,
        V2: Nullable<Inner = R>,
    {
        let (names, join) = (&self.names, &self.join);
        let rule = Rule {
            kind: join.kind,
            windows: join.windows,
            joiner: join.joiner.clone(),
            unmatched: self.unmatched.as_ref().map(|store| store.handle),
            java_quirks: lowering.java_quirks(),
        };
        let (others, theirs) = (rule.clone(), self.left.handle);
        let ours = self.right.handle;
        let this: Factory = Arc::new(move || Box::new(SideNode::<K, V1, L, R, V, Left>::new(rule.clone(), ours)));
        let other: Factory = Arc::new(move || Box::new(SideNode::<K, V2, L, R, V, Right>::new(others.clone(), theirs)));
        lowering.processor(&Site::below(&names.this_join, &names.this_windowed), this, &[])?;
        lowering.processor(&Site::below(&names.other_join, &names.other_windowed), other, &[])?;
        let mut merge = Site::below(&names.merge, &names.this_join);
        merge.parents.push(names.other_join.clone());
        lowering.processor(&merge, step(|cx, record: Record<K, V>| cx.forward(record)), &[])?;
        self.left.write(lowering, [&names.this_windowed, &names.other_join])?;
        self.right.write(lowering, [&names.other_windowed, &names.this_join])?;
        if let Some(unmatched) = self.unmatched {
            unmatched.write(lowering, [&names.this_join, &names.other_join])?;
        }
        lowering.copartition(&[&names.merge])
    }

    fn write_self_join<V1: Nullable<Inner = L>>(self, lowering: &mut Lowering) -> Result<()> {
        let (names, join) = (&self.names, self.join);
        let store = self.left.handle;
        let factory: Factory = Arc::new(move || -> Box<dyn Node> {
            Box::new(SelfJoin::<K, V1, R, V>::new(join.joiner.clone(), join.windows, store))
        });
        lowering.processor(&Site::below(&names.merge, &names.this_windowed), factory, &[])?;
        self.left.write(lowering, [&names.this_windowed, &names.merge])?;
        lowering.copartition(&[&names.merge])
    }
}
