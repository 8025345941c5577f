//! Where programs begin, and where they become topologies.

use std::any::type_name;

use kstreams_store::EngineKind;
use kstreams_topology::blueprint::Topology;
use kstreams_topology::stores::{StoreBuilder, StoreHandle, StoreKind};
use kstreams_topology::{Data, Nullable};

use crate::error::Result;
use crate::option::Consumed;
use crate::plan::{Draft, Effect, Kind, Lowering, Plan, Source};
use crate::stream::{KStream, StreamPlan, stream_of};
use crate::table::{GlobalKTable, KTable, table_source};

/// Builds a topology out of streams and tables.
///
/// Streams and tables are handles: they may be cloned, kept in structs and passed to functions, until [`build`] makes a
/// topology of everything that was said. Names that are not given are drawn from one counter in the order of the calls,
/// as Java draws them, so that both have the same topics and stores.
///
/// [`build`]: Self::build
pub struct StreamsBuilder {
    pub(crate) plan: Plan,
}

/// How a program becomes a topology, where it leaves a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildOptions {
    /// Where tables are kept that do not say so themselves: `default.dsl.store`.
    pub default_engine: EngineKind,
    /// What is done for fewer topics: `topology.optimization`.
    pub optimization: Optimization,
    /// Whether Java's known mistakes are made, too, instead of what one would expect. Off unless both are compared: see
    /// `docs/differences.md`.
    pub java_quirks: bool,
}

/// What is done for fewer topics. Topics' names and the numbers of subtopologies depend on it: an application cannot change
/// it without a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Optimization {
    /// Stores of source tables have no changelog: they are restored from the table's topic.
    pub reuse_source_topics: bool,
    /// Repartition topics below one key change become one.
    pub merge_repartition_topics: bool,
    /// Joins of a stream with itself keep its records once.
    pub single_store_self_join: bool,
}

impl Optimization {
    /// Nothing is done: the default.
    pub const NONE: Self = Self {
        reuse_source_topics: false,
        merge_repartition_topics: false,
        single_store_self_join: false,
    };
    /// Everything is done.
    pub const ALL: Self = Self {
        reuse_source_topics: true,
        merge_repartition_topics: true,
        single_store_self_join: true,
    };
}

impl BuildOptions {
    /// Keeps tables that do not say so themselves here.
    pub fn default_engine(mut self, engine: EngineKind) -> Self {
        self.default_engine = engine;
        self
    }

    /// Does this for fewer topics.
    pub fn optimization(mut self, optimization: Optimization) -> Self {
        self.optimization = optimization;
        self
    }

    /// Makes Java's known mistakes, too: see `docs/differences.md`.
    pub fn java_quirks(mut self, wanted: bool) -> Self {
        self.java_quirks = wanted;
        self
    }
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            default_engine: EngineKind::Persistent,
            optimization: Optimization::NONE,
            java_quirks: false,
        }
    }
}

impl StreamsBuilder {
    /// A program without operators.
    pub fn new() -> Self {
        Self { plan: Plan::new() }
    }

    /// A stream of the records of a topic: `"name"`, several names, or a [`Consumed`] that says more. Where a type is no
    /// `Option`, records with a null there are dropped and counted.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>(["europe", "asia"]).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let asia = driver.input::<String, String>("asia");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&asia, ("k", "v"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), "v".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream<K: Nullable, V: Nullable>(&self, topics: impl Into<Consumed<K, V>>) -> KStream<K, V> {
        const PREFIX: &str = "KSTREAM-SOURCE-";
        let consumed = topics.into();
        stream_of(&self.plan, move |draft, stream| {
            let name = draft.names.or_draw(stream.name.take(PREFIX)?, PREFIX)?;
            let serdes = stream.serdes.borrow().resolve(&name)?;
            let source = Source {
                topics: consumed.topics.clone(),
                reset: consumed.reset,
                types: (type_name::<K>(), type_name::<V>()),
            };
            let node = draft.node(&name, (Kind::Source(source), Effect::None), move |lowering, site| {
                lowering.source(&site.name, consumed, serdes)
            });
            draft.attach(Draft::ROOT, node);
            Ok(StreamPlan {
                node,
                name,
                key_changed: false,
            })
        })
    }

    /// A table of the latest value of each key of a topic. A null value deletes a row, records without a key are dropped.
    /// It is kept in a store only if it is [`materialized`](KTable::materialized) or an operator below needs to look rows up.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<String, String>("users").materialized("users-store");
    /// users.to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let users = driver.input::<String, String>("users");
    /// let output = driver.output::<String, Option<String>>("out");
    /// driver.pipe(&users, ("ann", "Anna"))?;
    /// driver.pipe(&users, ("ann", "Ann"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("ann".into(), Some("Anna".into())), ("ann".into(), Some("Ann".into()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn table<K: Data, V: Data>(&self, topic: impl Into<Consumed<Option<K>, Option<V>>>) -> KTable<K, V> {
        let consumed = topic.into();
        KTable::record(&self.plan, move |draft, table| table_source(draft, table, consumed))
    }

    /// A table of a topic that every instance of the application has as a whole: streams look rows of any key up in it.
    pub fn global_table<K: Data, V: Data>(
        &self,
        topic: impl Into<Consumed<Option<K>, Option<V>>>,
    ) -> GlobalKTable<K, V> {
        GlobalKTable::new(&self.plan, topic.into())
    }

    /// Adds a store for processors. They name it by the handle, see [`KStream::process`].
    pub fn add_store<S: StoreKind>(&self, store: StoreBuilder<S>) -> StoreHandle<S> {
        let handle = store.handle();
        let definition = store.into_definition();
        self.plan.record(move |draft| {
            let name = definition.spec.name.clone();
            let node = draft.node(name, (Kind::Plain, Effect::None), move |lowering, _| {
                lowering.store(definition)
            });
            draft.attach(Draft::ROOT, node);
            Ok(())
        });
        handle
    }

    /// The topology.
    pub fn build(self) -> Result<Topology> {
        self.build_with(BuildOptions::default())
    }

    /// The topology, with choices where the program leaves them.
    pub fn build_with(self, options: BuildOptions) -> Result<Topology> {
        let mut draft = self.plan.draft(options)?;
        draft.merge_sources()?;
        if options.optimization.reuse_source_topics {
            draft.reuse_source_topics();
        }
        if options.optimization.merge_repartition_topics {
            draft.merge_repartitions(&options)?;
        }
        if options.optimization.single_store_self_join {
            draft.single_store_self_joins();
        }
        Lowering::new(options).write(draft)
    }
}

impl Default for StreamsBuilder {
    fn default() -> Self {
        Self::new()
    }
}
