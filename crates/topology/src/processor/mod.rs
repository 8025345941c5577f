//! The Processor API: user code that takes records, keeps state, sets timers, and forwards.

use std::sync::Arc;

use crate::error::BoxError;
use crate::graph::{Input, Node, NodeContext, TimerId};
use crate::record::Record;
use crate::stores::StoreId;

mod context;
mod fixed_key;

pub use context::{Context, ProcessingContext, RecordMetadata};
pub use fixed_key::{FixedKeyContext, FixedKeyNode, FixedKeyProcessor, FixedKeyRecord};

/// User code in the topology. Each task has an instance of its own, made by the closure that the processor was added
/// with, so that `&mut self` is all the state it needs.
///
/// ```
/// use std::time::Duration;
/// use kstreams_topology::processor::{Context, ProcessingContext, Processor};
/// use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId};
/// use kstreams_topology::graph::{Clock, TimerId};
/// use kstreams_topology::{BoxError, Record};
///
/// /// Sums up the values of each key and reports the sums every ten seconds.
/// struct Sum {
///     sums: StoreHandle<KeyValueStore<String, i64>>,
/// }
///
/// impl Processor for Sum {
///     type KIn = String;
///     type VIn = i64;
///     type KOut = String;
///     type VOut = i64;
///
///     fn stores(&self) -> Vec<StoreId> {
///         vec![self.sums.id()]
///     }
///
///     fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
///         cx.schedule(Duration::from_secs(10), Clock::WallClock);
///         Ok(())
///     }
///
///     fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, i64>) -> Result<(), BoxError> {
///         let mut sums = cx.store(self.sums);
///         let sum = sums.get(&record.key)?.unwrap_or(0) + record.value;
///         Ok(sums.put(&record.key, &sum)?)
///     }
///
///     fn punctuate(&mut self, cx: &mut Context<'_, Self>, _: TimerId, now: i64) -> Result<(), BoxError> {
///         let sums = cx.store(self.sums).all()?.collect_owned()?;
///         for (key, sum) in sums {
///             cx.forward(Record::new(key, sum, now))?;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Processor: Send + 'static {
    /// The keys of the records it takes; what its parents forward.
    type KIn: 'static;
    /// The values of the records it takes.
    type VIn: 'static;
    /// The keys of the records it forwards.
    type KOut: Clone + 'static;
    /// The values of the records it forwards.
    type VOut: Clone + 'static;

    /// The stores that it uses. Asked once, of an instance that is not run, when the processor is added.
    fn stores(&self) -> Vec<StoreId> {
        Vec::new()
    }

    /// Called once per task, before the first record: the place to schedule.
    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
        let _ = cx;
        Ok(())
    }

    /// Takes a record.
    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<Self::KIn, Self::VIn>) -> Result<(), BoxError>;

    /// A timer is due; `now` is the time of its clock in milliseconds.
    fn punctuate(&mut self, cx: &mut Context<'_, Self>, timer: TimerId, now: i64) -> Result<(), BoxError> {
        let _ = (cx, timer, now);
        Ok(())
    }

    /// Called once when the task goes away.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A node that runs a [`Processor`].
pub struct ProcessorNode<P>(pub P);

/// A way to make nodes: one for each task.
pub type NewNode = Arc<dyn Fn() -> Box<dyn Node> + Send + Sync>;

impl<P: Processor> Node for ProcessorNode<P> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> crate::Result<()> {
        self.0
            .init(&mut ProcessingContext::new(cx))
            .map_err(crate::Error::from_user)
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> crate::Result<()> {
        let record = input.take();
        self.0
            .process(&mut Context::new(cx), record)
            .map_err(crate::Error::from_user)
    }

    fn punctuate(&mut self, cx: &mut NodeContext<'_>, timer: TimerId, now: i64) -> crate::Result<()> {
        self.0
            .punctuate(&mut Context::new(cx), timer, now)
            .map_err(crate::Error::from_user)
    }

    fn close(&mut self) -> crate::Result<()> {
        self.0.close().map_err(crate::Error::from_user)
    }
}
