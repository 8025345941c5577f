//! Global stores that a program fills itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_store::Logging;
use kstreams_topology::blueprint::Topics;
use kstreams_topology::processor::{Processor, ProcessorNode};
use kstreams_topology::stores::{StoreBuilder, StoreHandle, StoreKind};
use kstreams_topology::{Nullable, Serde};

use crate::builder::StreamsBuilder;
use crate::error::Error;
use crate::option::{Consumed, Serdes};
use crate::plan::{Draft, Effect, Kind, Late, Site};
use crate::step::Factory;

/// A [global store](StreamsBuilder::add_global_store): what is left to say is its nodes' name and the topic's serdes.
pub struct GlobalStore<S, K: Nullable, V: Nullable> {
    handle: StoreHandle<S>,
    name: Rc<Late<String>>,
    serdes: Rc<RefCell<Serdes<K, V>>>,
}

impl<S, K: Nullable, V: Nullable> GlobalStore<S, K, V> {
    /// Names the processor that fills the store; its source is `<name>-source`.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.name.set(name.into());
        self
    }

    /// The serde of the topic's keys. By default the type's own.
    pub fn key_serde(self, serde: impl Serde<K::Inner>) -> Self {
        self.serdes.borrow_mut().key = Some(Arc::new(serde));
        self
    }

    /// The serde of the topic's values. By default the type's own.
    pub fn value_serde(self, serde: impl Serde<V::Inner>) -> Self {
        self.serdes.borrow_mut().value = Some(Arc::new(serde));
        self
    }

    /// By which all processors read the store.
    pub fn handle(&self) -> StoreHandle<S> {
        self.handle
    }
}

impl StreamsBuilder {
    /// Adds a store of which every instance of the application has all rows: a processor fills it from all partitions of a
    /// topic, and all other processors may read it, without naming it among their stores. The closure makes the filling
    /// processor, which is to write what it gets, and to forward nothing. The store has no changelog.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// use kstreams_topology::processor::{Context, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, Processor};
    /// use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
    /// use kstreams_topology::{BoxError, Record};
    ///
    /// type Names = StoreHandle<KeyValueStore<String, String>>;
    ///
    /// /// Keeps names in capitals.
    /// struct Fill(Names);
    ///
    /// impl Processor for Fill {
    ///     type KIn = String;
    ///     type VIn = String;
    ///     type KOut = ();
    ///     type VOut = ();
    ///
    ///     fn stores(&self) -> Vec<StoreId> {
    ///         vec![self.0.id()]
    ///     }
    ///
    ///     fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
    ///         Ok(cx.store(self.0).put(&record.key, &record.value.to_uppercase())?)
    ///     }
    /// }
    ///
    /// /// Looks names up.
    /// struct Greet(Names);
    ///
    /// impl FixedKeyProcessor for Greet {
    ///     type K = String;
    ///     type VIn = String;
    ///     type VOut = String;
    ///
    ///     fn process(
    ///         &mut self,
    ///         cx: &mut FixedKeyContext<'_, Self>,
    ///         record: FixedKeyRecord<String, String>,
    ///     ) -> Result<(), BoxError> {
    ///         let name = cx.store(self.0).get(record.value())?.unwrap_or_default();
    ///         Ok(cx.forward(record.with_value(format!("hello {name}")))?)
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let store = Stores::in_memory("names").key_value::<String, String>();
    /// let names = store.handle();
    /// builder.add_global_store(store, "names", move || Fill(names));
    /// builder.stream("visits").process_values(move || Greet(names)).to("greetings");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let names = driver.input::<String, String>("names");
    /// let visits = driver.input::<String, String>("visits");
    /// let greetings = driver.output::<String, String>("greetings");
    /// driver.pipe(&names, ("7", "ann"))?;
    /// driver.pipe(&visits, ("door", "7"))?;
    /// assert_eq!(driver.read_value(&greetings)?, "hello ANN");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_global_store<S: StoreKind, P>(
        &self,
        store: StoreBuilder<S>,
        topic: impl Into<Consumed<P::KIn, P::VIn>>,
        new: impl Fn() -> P + Send + Sync + 'static,
    ) -> GlobalStore<S, P::KIn, P::VIn>
    where
        P: Processor<KIn: Nullable, VIn: Nullable>,
    {
        const PREFIX: &str = "KTABLE-SOURCE-";
        let global = GlobalStore {
            handle: store.handle(),
            name: Rc::new(Late::new("name")),
            serdes: Rc::default(),
        };
        let (name, serdes) = (global.name.clone(), global.serdes.clone());
        let consumed = topic.into();
        let definition = store.logging(Logging::Disabled).into_definition();
        self.plan.record(move |draft| {
            let named = name.take(PREFIX)?;
            let source = named.as_ref().map(|name| format!("{name}-source"));
            let source = draft.names.or_draw(source, "KSTREAM-SOURCE-")?;
            let name = draft.names.or_draw(named, PREFIX)?;
            if !matches!(&consumed.topics, Topics::Names(names) if names.len() == 1) {
                return Err(Error::SeveralTopics { node: name });
            }
            let serdes = serdes.borrow().resolve(&name)?;
            let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
                let store = definition.spec.name.clone();
                lowering.store(definition)?;
                lowering.source(&source, consumed, serdes)?;
                let mut stores = lowering.store_names(&site.name, new().stores())?;
                if !stores.contains(&store) {
                    stores.push(store.clone());
                }
                let factory: Factory = Arc::new(move || Box::new(ProcessorNode(new())));
                lowering.processor(&Site::below(&site.name, &source), factory, &stores)?;
                lowering.make_global(&store)
            });
            draft.attach(Draft::ROOT, node);
            Ok(())
        });
        global
    }
}
