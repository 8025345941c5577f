//! Where streams end: to a topic, or in a closure.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::{Error, Nullable, Record, Serde};

use super::KStream;
use crate::option::{Produced, Serdes};
use crate::outcome::Outcome;
use crate::plan::{Effect, Kind, Late};
use crate::step::step;

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Writes the stream to a topic: `"name"`, or a [`Produced`] that says more.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// # use kstreams_dsl::Produced;
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<String, String>("in");
    /// stream.to("out");
    /// stream.to(Produced::topic_by(|key: &String, _, _| format!("of-{key}")));
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, String>("out");
    /// let of_a = driver.output::<String, String>("of-a");
    /// driver.pipe(&input, ("a", "1"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), "1".into())]);
    /// assert_eq!(driver.read_key_values(&of_a)?, [("a".into(), "1".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to(&self, topic: impl Into<Produced<K, V>>) -> Sink<K, V> {
        const PREFIX: &str = "KSTREAM-SINK-";
        let produced = topic.into();
        let sink = Sink::new();
        let (parent, end) = (self.node.clone(), sink.clone());
        self.plan.record(move |draft| {
            let parent_plan = parent.planned.get(PREFIX)?;
            let name = draft.names.or_draw(end.name.take(PREFIX)?, PREFIX)?;
            let serdes = end.serdes.take().or(&parent.serdes.borrow()).resolve(&name)?;
            let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
                lowering.sink(site, produced, serdes)
            });
            draft.attach(parent_plan.node, node);
            Ok(())
        });
        sink
    }

    /// Calls the closure with each record. Nothing comes after.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// builder.stream::<String, String>("in").for_each(move |key, value| sender.send(format!("{key}={value}")));
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// driver.pipe(&input, ("a", "1"))?;
    /// assert_eq!(receiver.try_recv()?, "a=1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_each<R, M>(&self, act: impl Fn(K, V) -> R + Send + Sync + 'static) -> Sink<K, V>
    where
        R: Outcome<(), M>,
    {
        const PREFIX: &str = "KSTREAM-FOREACH-";
        let run = step(move |_, record: Record<K, V>| act(record.key, record.value).outcome().map_err(Error::User));
        let sink = Sink::new();
        let (parent, end) = (self.node.clone(), sink.clone());
        self.plan.record(move |draft| {
            let parent_plan = parent.planned.get(PREFIX)?;
            let name = draft.names.or_draw(end.name.take(PREFIX)?, PREFIX)?;
            let node = draft.processor(&name, Effect::None, run);
            draft.attach(parent_plan.node, node);
            Ok(())
        });
        sink
    }
}

/// The end of a stream: what is left to say is its name and, for a topic, its serdes.
pub struct Sink<K: Nullable, V: Nullable> {
    pub(super) name: Rc<Late<String>>,
    serdes: Rc<RefCell<Serdes<K, V>>>,
}

impl<K: Nullable, V: Nullable> Clone for Sink<K, V> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            serdes: self.serdes.clone(),
        }
    }
}

impl<K: Nullable, V: Nullable> Sink<K, V> {
    pub(super) fn new() -> Self {
        Self {
            name: Rc::new(Late::new("name")),
            serdes: Rc::default(),
        }
    }

    /// Names the node.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.name.set(name.into());
        self
    }

    /// The serde of the keys. By default the stream's.
    pub fn key_serde(self, serde: impl Serde<K::Inner>) -> Self {
        self.serdes.borrow_mut().key = Some(Arc::new(serde));
        self
    }

    /// The serde of the values. By default the stream's.
    pub fn value_serde(self, serde: impl Serde<V::Inner>) -> Self {
        self.serdes.borrow_mut().value = Some(Arc::new(serde));
        self
    }
}
