//! Aggregations of grouped tables: a change is taken out of the aggregate and put back in.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{BoxError, Change, Data, Error, Nullable, Record};

use super::Stored;
use crate::error::Result;
use crate::option::Serdes;
use crate::outcome::Outcome;
use crate::plan::{Draft, Effect, Kind};
use crate::table::{
    Around, GroupedTableNode, KGroupedTable, KTable, RowSource, StoredRows, TableNode, TablePlan, TableStore,
};

impl<K: Data, V: Data> KGroupedTable<K, V> {
    /// Counts the rows of each key.
    pub fn count(&self) -> KTable<K, i64> {
        self.count_as()
    }

    /// Like [`count`](Self::count), as a type of the program's own that stands for a number.
    pub fn count_as<C: Data + From<i64> + Into<i64>>(&self) -> KTable<K, C> {
        let by = |so_far: C, step: i64| Ok(Some(C::from(so_far.into().wrapping_add(step))));
        self.aggregation(
            "KTABLE-AGGREGATE-",
            Update {
                first: Box::new(move |_, _| by(C::from(0), 1)),
                add: Box::new(move |_, _, so_far| by(so_far, 1)),
                subtract: Box::new(move |_, _, so_far| by(so_far, -1)),
            },
        )
    }

    /// Combines the values of each key. `add` gets the combined value so far and one more, `subtract` the combined value
    /// and one that is no longer there: of a changed row first the old value is subtracted, then the new one added. They
    /// return the new value; `None` deletes it.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let amounts = builder.table::<String, i64>("amounts");
    /// let all = amounts.group_by(|_, amount: i64| ("all".to_owned(), amount));
    /// all.reduce(|sum: i64, amount| sum + amount, |sum, amount| sum - amount).to_stream().to("sum");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let amounts = driver.input::<String, i64>("amounts");
    /// let sum = driver.output::<String, i64>("sum");
    /// for (key, amount) in [("a", 10), ("b", 5), ("a", 1)] {
    ///     driver.pipe(&amounts, (key, amount))?;
    /// }
    /// assert_eq!(driver.read_key_values(&sum)?, [("all".into(), 10), ("all".into(), 15), ("all".into(), 6)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce<N, R, M>(
        &self,
        add: impl Fn(V, V) -> R + Send + Sync + 'static,
        subtract: impl Fn(V, V) -> R + Send + Sync + 'static,
    ) -> KTable<K, V>
    where
        N: Nullable<Inner = V>,
        R: Outcome<N, M>,
    {
        self.aggregation(
            "KTABLE-REDUCE-",
            Update {
                first: Box::new(|_, value| Ok(Some(value))),
                add: Box::new(move |_, value, so_far| add(so_far, value).outcome().map(N::into_option)),
                subtract: Box::new(move |_, value, so_far| subtract(so_far, value).outcome().map(N::into_option)),
            },
        )
    }

    /// Folds the values of each key: `init` makes the aggregate of a new key, `add` gets key, value and the aggregate so
    /// far, `subtract` the same for a value that is no longer there. They return the new aggregate; `None` deletes it.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let words = builder.table::<String, String>("words");
    /// let by_initial = words.group_by(|_, word: String| (word.chars().next().map(String::from), word));
    /// let letters = by_initial.aggregate(
    ///     || 0,
    ///     |_, word, letters: i64| letters + word.len() as i64,
    ///     |_, word, letters| letters - word.len() as i64,
    /// );
    /// letters.to_stream().to("letters");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let words = driver.input::<String, String>("words");
    /// let letters = driver.output::<String, i64>("letters");
    /// driver.pipe(&words, ("1", "apple"))?;
    /// driver.pipe(&words, ("2", "ant"))?;
    /// assert_eq!(driver.read_key_values(&letters)?, [("a".into(), 5), ("a".into(), 8)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<A, N, R, M>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> R + Send + Sync + 'static,
        subtract: impl Fn(&K, V, A) -> R + Send + Sync + 'static,
    ) -> KTable<K, A>
    where
        A: Data,
        N: Nullable<Inner = A>,
        R: Outcome<N, M>,
    {
        let add = Arc::new(move |key: &K, value, so_far| add(key, value, so_far).outcome().map(N::into_option));
        let first = add.clone();
        self.aggregation(
            "KTABLE-AGGREGATE-",
            Update {
                first: Box::new(move |key, value| first(key, value, init())),
                add: Box::new(move |key, value, so_far| add(key, value, so_far)),
                subtract: Box::new(move |key, value, so_far| {
                    subtract(key, value, so_far).outcome().map(N::into_option)
                }),
            },
        )
    }

    fn aggregation<A: Data>(&self, prefix: &'static str, update: Update<K, V, A>) -> KTable<K, A> {
        let grouped = self.node.clone();
        KTable::record(&self.plan, move |draft, table| {
            plan(draft, table, (&grouped, prefix), Arc::new(update))
        })
    }
}

type First<K, V, A> = Box<dyn Fn(&K, V) -> Outcomes<A> + Send + Sync>;
type Next<K, V, A> = Box<dyn Fn(&K, V, A) -> Outcomes<A> + Send + Sync>;
type Outcomes<A> = std::result::Result<Option<A>, BoxError>;

/// How values come into an aggregate and out of it.
struct Update<K, V, A> {
    first: First<K, V, A>,
    add: Next<K, V, A>,
    subtract: Next<K, V, A>,
}

impl<K, V, A> Update<K, V, A> {
    /// The old value is subtracted first, but never from nothing; then the new one is added.
    fn apply(&self, key: &K, change: Change<V>, before: Option<A>) -> Outcomes<A> {
        let between = match (before, change.old) {
            (Some(before), Some(old)) => (self.subtract)(key, old, before)?,
            (before, _) => before,
        };
        match (between, change.new) {
            (Some(between), Some(new)) => (self.add)(key, new, between),
            (None, Some(new)) => (self.first)(key, new),
            (between, None) => Ok(between),
        }
    }
}

fn plan<K: Data, V: Data, A: Data>(
    draft: &mut Draft,
    table: &TableNode<K, A>,
    (grouped, prefix): (&GroupedTableNode<K, V>, &'static str),
    update: Arc<Update<K, V, A>>,
) -> Result<TablePlan<K, A>> {
    let given = table.given(prefix)?.unwrap_or_default();
    let store_name = draft.names.store(given.name.clone(), "KTABLE-AGGREGATE-")?;
    let named = table.name.take(prefix)?;
    let suffixed = |suffix: &str| named.as_ref().map(|name| format!("{name}-{suffix}"));
    let sink = draft.names.or_draw(suffixed("sink"), "KSTREAM-SINK-")?;
    let source = draft.names.or_draw(suffixed("source"), "KSTREAM-SOURCE-")?;
    let name = draft.names.or_draw(named, prefix)?;
    let above = Serdes {
        key: grouped.serdes.borrow().key.clone(),
        value: None,
    };
    let options = table.settle(given, &above);
    let versioned = options.is_versioned();
    let parent = grouped.aggregation_parent(draft, Around { sink, source }, &store_name)?;
    let send_old = Rc::new(Cell::new(false));
    let rows = StoredRows::new();
    let (flag, lowered) = (send_old.clone(), rows.clone());
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let store = TableStore::lower(lowering, site, &options, store_name.clone(), flag.get())?;
        lowered.set(RowSource::store(store_name.clone(), &store));
        let factory = Arc::new(move || -> Box<dyn Node> {
            Box::new(TableAggregateNode {
                update: update.clone(),
                store: store.clone(),
            })
        });
        lowering.processor(site, factory, &[store_name])
    });
    draft.attach(parent, node);
    Ok(TablePlan {
        node,
        name,
        old_values: Rc::new(Stored(send_old)),
        rows,
        versioned,
    })
}

/// Updates the aggregate of a change's key.
struct TableAggregateNode<K, V, A> {
    update: Arc<Update<K, V, A>>,
    store: TableStore<K, A>,
}

impl<K: Data, V: Data, A: Data> Node for TableAggregateNode<K, V, A> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> std::result::Result<(), Error> {
        self.store.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> std::result::Result<(), Error> {
        let Record {
            key,
            value: change,
            timestamp,
            headers,
        } = input.take::<K, Change<V>>();
        let (before, timestamp) = match self.store.get(cx, &key)? {
            Some(stored) => (Some(stored.value), stored.timestamp.max(timestamp)),
            None => (None, timestamp),
        };
        let old = if self.store.sends_old() { before.clone() } else { None };
        let new = self.update.apply(&key, change, before).map_err(Error::User)?;
        let value = Change {
            new,
            old,
            is_latest: true,
        };
        self.store.put(
            cx,
            Record {
                key,
                value,
                timestamp,
                headers,
            },
        )
    }

    fn flush(&mut self, cx: &mut NodeContext<'_>) -> std::result::Result<(), Error> {
        self.store.flush(cx)
    }
}
