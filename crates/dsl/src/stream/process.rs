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
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// use kstreams_topology::processor::{Context, Processor};
    /// use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
    /// use kstreams_topology::{BoxError, Record};
    ///
    /// /// Forwards a value only if it differs from the last one of its key.
    /// struct Changes(StoreHandle<KeyValueStore<String, i64>>);
    ///
    /// impl Processor for Changes {
    ///     type KIn = String;
    ///     type VIn = i64;
    ///     type KOut = String;
    ///     type VOut = i64;
    ///
    ///     fn stores(&self) -> Vec<StoreId> {
    ///         vec![self.0.id()]
    ///     }
    ///
    ///     fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, i64>) -> Result<(), BoxError> {
    ///         if cx.store(self.0).get(&record.key)? == Some(record.value) {
    ///             return Ok(());
    ///         }
    ///         cx.store(self.0).put(&record.key, &record.value)?;
    ///         Ok(cx.forward(record)?)
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let last = builder.add_store(Stores::persistent("last").key_value::<String, i64>());
    /// builder.stream("in").process(move || Changes(last)).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// let output = driver.output::<String, i64>("out");
    /// for value in [1, 1, 2] {
    ///     driver.pipe(&input, ("a", value))?;
    /// }
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 1), ("a".into(), 2)]);
    /// assert_eq!(driver.store(last)?.get(&"a".into())?, Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// use kstreams_topology::BoxError;
    /// use kstreams_topology::processor::{FixedKeyContext, FixedKeyProcessor, FixedKeyRecord};
    ///
    /// /// Adds the record's time to its value.
    /// struct Stamp;
    ///
    /// impl FixedKeyProcessor for Stamp {
    ///     type K = String;
    ///     type VIn = String;
    ///     type VOut = String;
    ///
    ///     fn process(
    ///         &mut self,
    ///         cx: &mut FixedKeyContext<'_, Self>,
    ///         record: FixedKeyRecord<String, String>,
    ///     ) -> Result<(), BoxError> {
    ///         let stamped = format!("{} at {}", record.value(), record.timestamp());
    ///         Ok(cx.forward(record.with_value(stamped))?)
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream("in").process_values(|| Stamp).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&input, ("a", "x"))?;
    /// assert_eq!(driver.read_value(&output)?, "x at 0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
