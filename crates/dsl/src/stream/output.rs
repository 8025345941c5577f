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
    name: Rc<Late<String>>,
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
    fn new() -> Self {
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
