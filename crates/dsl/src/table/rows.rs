//! A table's current rows, as nodes other than the table's own look them up: joins do.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::ValueAndTimestamp;
use kstreams_topology::{Data, Error};

use super::TableStore;
use crate::error::{Error as BuildError, Result as BuildResult};

/// How a table's rows can be looked up, while the program is drafted.
///
/// An operator that looks rows up calls [`enable`](Self::enable) when it is drafted and [`lower`](Self::lower) when it is
/// lowered, connects its node to the [`stores`](RowSource::stores), and lets each of its nodes
/// [`open`](RowSource::open) a getter of its own.
pub(crate) trait RowsPlan<K, V> {
    /// Sees to it that rows can be looked up: a source table gets a store if it has none.
    fn enable(&self);

    /// The way to the rows, known once the table is lowered. `asking` is the node that wants to know.
    fn lower(&self, asking: &str) -> BuildResult<RowSource<K, V>>;
}

/// Looks up rows of a table for one node.
pub(crate) trait GetRow<K, V>: Send {
    /// The current row.
    fn get(&mut self, cx: &mut NodeContext<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>, Error>;

    /// The row as it was at a time in milliseconds. Tables that are not versioned only know their current rows.
    fn get_as_of(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &K,
        timestamp: i64,
    ) -> Result<Option<ValueAndTimestamp<V>>, Error>;
}

/// A node's own way to look rows up.
pub(crate) type RowGetter<K, V> = Box<dyn GetRow<K, V>>;

type NewGetter<K, V> = Arc<dyn Fn() -> RowGetter<K, V> + Send + Sync>;

/// Where rows are looked up, shared by all nodes that do so.
pub(crate) struct RowSource<K, V> {
    stores: Vec<String>,
    new: NewGetter<K, V>,
}

impl<K, V> Clone for RowSource<K, V> {
    fn clone(&self) -> Self {
        Self {
            stores: self.stores.clone(),
            new: self.new.clone(),
        }
    }
}

impl<K, V> RowSource<K, V> {
    /// Rows that come out of these stores, through getters that the closure makes.
    pub(crate) fn new(stores: Vec<String>, new: impl Fn() -> RowGetter<K, V> + Send + Sync + 'static) -> Self {
        Self {
            stores,
            new: Arc::new(new),
        }
    }

    /// The stores that a node has to be connected to.
    pub(crate) fn stores(&self) -> &[String] {
        &self.stores
    }

    /// A getter for one node.
    pub(crate) fn open(&self) -> RowGetter<K, V> {
        (self.new)()
    }
}

impl<K: Data, V: Data> RowSource<K, V> {
    /// Rows in the store of this name.
    pub(crate) fn store(name: String, store: &TableStore<K, V>) -> Self {
        let store = store.clone();
        Self::new(vec![name], move || Box::new(store.clone()))
    }
}

/// The rows of a table with a store of its own.
pub(crate) struct StoredRows<K, V>(OnceCell<RowSource<K, V>>);

impl<K, V> StoredRows<K, V> {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self(OnceCell::new()))
    }

    /// Says where they are: the table is lowered.
    pub(crate) fn set(&self, source: RowSource<K, V>) {
        let first = self.0.set(source).is_ok();
        assert!(first, "a table is lowered once");
    }
}

impl<K, V> RowsPlan<K, V> for StoredRows<K, V> {
    fn enable(&self) {}

    fn lower(&self, asking: &str) -> BuildResult<RowSource<K, V>> {
        self.0.get().cloned().ok_or_else(|| BuildError::OtherBuilder {
            node: asking.to_owned(),
        })
    }
}
