//! Processors that cannot change the key, so that what follows needs no repartitioning.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use kstreams_wire::Headers;

use super::ProcessingContext;
use crate::error::{BoxError, Error, Result};
use crate::graph::{Input, Node, NodeContext, TimerId};
use crate::record::Record;
use crate::stores::StoreId;

/// A record whose key stays: only what is not the key can be replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedKeyRecord<K, V>(Record<K, V>);

impl<K, V> FixedKeyRecord<K, V> {
    /// A record for a test of a processor by itself. Processors have none to make: they pass on those that they get.
    pub fn for_test(record: Record<K, V>) -> Self {
        Self(record)
    }

    /// The key.
    pub fn key(&self) -> &K {
        &self.0.key
    }

    /// The value.
    pub fn value(&self) -> &V {
        &self.0.value
    }

    /// The timestamp in milliseconds.
    pub fn timestamp(&self) -> i64 {
        self.0.timestamp
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// The headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.0.headers
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> FixedKeyRecord<K, V2> {
        FixedKeyRecord(self.0.with_value(value))
    }

    /// The same record at another time.
    pub fn with_timestamp(self, timestamp: i64) -> Self {
        Self(Record { timestamp, ..self.0 })
    }
}

/// A [`Processor`](super::Processor) whose records keep their keys.
pub trait FixedKeyProcessor: Send + 'static {
    /// The keys of the records.
    type K: Clone + 'static;
    /// The values of the records it takes.
    type VIn: 'static;
    /// The values of the records it forwards.
    type VOut: Clone + 'static;

    /// The stores that it uses; see [`Processor::stores`](super::Processor::stores).
    fn stores(&self) -> Vec<StoreId> {
        Vec::new()
    }

    /// Called once per task, before the first record: the place to schedule.
    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
        let _ = cx;
        Ok(())
    }

    /// Takes a record.
    fn process(
        &mut self,
        cx: &mut FixedKeyContext<'_, Self>,
        record: FixedKeyRecord<Self::K, Self::VIn>,
    ) -> Result<(), BoxError>;

    /// A timer is due; `now` is the time of its clock in milliseconds. Without a record there is no key to forward.
    fn punctuate(&mut self, cx: &mut ProcessingContext<'_>, timer: TimerId, now: i64) -> Result<(), BoxError> {
        let _ = (cx, timer, now);
        Ok(())
    }

    /// Called once when the task goes away.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// What a [`FixedKeyProcessor`] sees while it runs.
pub struct FixedKeyContext<'a, P: ?Sized> {
    common: ProcessingContext<'a>,
    processor: PhantomData<fn(&P)>,
}

impl<'a, P: FixedKeyProcessor + ?Sized> FixedKeyContext<'a, P> {
    pub(super) fn over(common: ProcessingContext<'a>) -> Self {
        Self {
            common,
            processor: PhantomData,
        }
    }

    /// Hands the record to all children, in the order in which they were attached. Returns when they are done with it.
    pub fn forward(&mut self, record: FixedKeyRecord<P::K, P::VOut>) -> Result<()> {
        self.common.forward_record(record.0)
    }

    /// Hands the record to the child of this name.
    pub fn forward_to(&mut self, child: &str, record: FixedKeyRecord<P::K, P::VOut>) -> Result<()> {
        self.common.forward_record_to(child, record.0)
    }
}

impl<'a, P: ?Sized> Deref for FixedKeyContext<'a, P> {
    type Target = ProcessingContext<'a>;

    fn deref(&self) -> &Self::Target {
        &self.common
    }
}

impl<P: ?Sized> DerefMut for FixedKeyContext<'_, P> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.common
    }
}

/// A node that runs a [`FixedKeyProcessor`].
pub struct FixedKeyNode<P>(pub P);

impl<P: FixedKeyProcessor> Node for FixedKeyNode<P> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<()> {
        self.0.init(&mut ProcessingContext::new(cx)).map_err(Error::from_user)
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<()> {
        let record = FixedKeyRecord(input.take());
        self.0
            .process(&mut FixedKeyContext::over(ProcessingContext::new(cx)), record)
            .map_err(Error::from_user)
    }

    fn punctuate(&mut self, cx: &mut NodeContext<'_>, timer: TimerId, now: i64) -> Result<()> {
        let mut cx = ProcessingContext::new(cx);
        self.0.punctuate(&mut cx, timer, now).map_err(Error::from_user)
    }

    fn close(&mut self) -> Result<()> {
        self.0.close().map_err(Error::from_user)
    }
}
