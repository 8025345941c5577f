//! A processor without a topology: its context keeps what it forwards, schedules and asks for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kstreams_store::{CacheBudget, RecordContext, Storage};
use kstreams_topology::graph::{Alone, NodeContext, Scheduled};
use kstreams_topology::processor::{Context, FixedKeyContext, FixedKeyProcessor, ProcessingContext, Processor};
use kstreams_topology::stores::{StoreBuilder, StoreHandle, StoreKind};
use kstreams_topology::{Record, TaskId};
use kstreams_wire::{Headers, TopicName};

use crate::error::Result;
use crate::output::Outbox;

/// A record that a processor forwarded.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturedForward<K, V> {
    /// The record.
    pub record: Record<K, V>,
    /// The child that it was for; `None`: all of them.
    pub child: Option<String>,
}

type Captured<K, V> = Arc<Mutex<Vec<CapturedForward<K, V>>>>;

/// The surroundings of a processor that forwards keys of type `K` and values of type `V`, for unit tests of it alone. A test
/// calls the processor's methods itself and looks at what they led to. Nothing else happens: no timer fires by itself.
///
/// ```
/// use std::time::Duration;
/// use kstreams_test_driver::MockProcessorContext;
/// use kstreams_topology::graph::{Clock, TimerId};
/// use kstreams_topology::processor::{Context, ProcessingContext, Processor};
/// use kstreams_topology::stores::{KeyValueStore, StoreHandle, Stores};
/// use kstreams_topology::{BoxError, Record};
///
/// /// Sums up, reports every ten seconds, and sends what is negative elsewhere.
/// struct Sum(StoreHandle<KeyValueStore<String, i64>>);
///
/// impl Processor for Sum {
///     type KIn = String;
///     type VIn = i64;
///     type KOut = String;
///     type VOut = i64;
///
///     fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
///         cx.schedule(Duration::from_secs(10), Clock::WallClock);
///         Ok(())
///     }
///
///     fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, i64>) -> Result<(), BoxError> {
///         if record.value < 0 {
///             cx.request_commit();
///             return Ok(cx.forward_to("negative", record)?);
///         }
///         let sum = cx.store(self.0).get(&record.key)?.unwrap_or(0) + record.value;
///         Ok(cx.store(self.0).put(&record.key, &sum)?)
///     }
///
///     fn punctuate(&mut self, cx: &mut Context<'_, Self>, _: TimerId, now: i64) -> Result<(), BoxError> {
///         let sums = cx.store(self.0).all()?.collect_owned()?;
///         for (key, sum) in sums {
///             cx.forward(Record::new(key, sum, now))?;
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), BoxError> {
/// let mut mock = MockProcessorContext::<String, i64>::new();
/// let mut sum = Sum(mock.add_store(Stores::in_memory("sums").key_value())?);
/// sum.init(&mut mock.processing())?;
/// let timer = mock.scheduled()[0];
/// assert_eq!((timer.clock, timer.every_ms), (Clock::WallClock, 10_000));
///
/// sum.process(&mut mock.context(), Record::new("k".to_owned(), 40, 5))?;
/// sum.process(&mut mock.context(), Record::new("k".to_owned(), 2, 6))?;
/// assert!(mock.forwarded().is_empty());
/// sum.punctuate(&mut mock.context(), timer.timer, 10_000)?;
/// assert_eq!(mock.take_forwarded()[0].record, Record::new("k".to_owned(), 42, 10_000));
///
/// sum.process(&mut mock.context(), Record::new("k".to_owned(), -1, 7))?;
/// assert_eq!(mock.forwarded()[0].child.as_deref(), Some("negative"));
/// assert!(mock.commit_requested());
/// # Ok(())
/// # }
/// ```
pub struct MockProcessorContext<K, V> {
    alone: Alone,
    output: Outbox,
    storage: Storage,
    captured: Captured<K, V>,
}

impl<K, V> Default for MockProcessorContext<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> MockProcessorContext<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// The surroundings of a processor of task 0_0 of the application "test".
    pub fn new() -> Self {
        Self::of(TaskId::new(0, 0), "test")
    }

    /// The surroundings of a processor of this task and application.
    pub fn of(task: TaskId, application_id: &str) -> Self {
        let captured = Captured::default();
        let keep = captured.clone();
        let tap = move |child: Option<&str>, input: kstreams_topology::graph::Input<'_>| {
            let forward = CapturedForward {
                record: input.take(),
                child: child.map(str::to_owned),
            };
            keep.lock().unwrap_or_else(PoisonError::into_inner).push(forward);
        };
        Self {
            alone: Alone::new(task, application_id, "processor", Box::new(tap)),
            output: Outbox::new(1),
            storage: Storage::in_memory(),
            captured,
        }
    }

    /// Adds a store, in memory and not logged, that the processor may use without naming it in its `stores()`.
    pub fn add_store<S: StoreKind>(&mut self, store: StoreBuilder<S>) -> Result<StoreHandle<S>> {
        let handle = store.handle();
        let definition = store.into_definition();
        let task = TaskId::new(0, 0).to_string();
        let state = self.storage.state(&definition.spec, &task, None, &CacheBudget::new(0));
        let state = state.map_err(kstreams_topology::Error::from)?;
        let front = (definition.front)(&definition.spec.name);
        self.alone.add_store(definition.id, state, front);
        Ok(handle)
    }

    /// What [`Processor::process`] and [`Processor::punctuate`] are given.
    pub fn context<P>(&mut self) -> Context<'_, P>
    where
        P: Processor<KOut = K, VOut = V>,
    {
        self.processing().of_processor()
    }

    /// What [`FixedKeyProcessor::process`] is given. Its records are made by
    /// [`FixedKeyRecord::for_test`](kstreams_topology::processor::FixedKeyRecord::for_test).
    ///
    /// ```
    /// use kstreams_test_driver::MockProcessorContext;
    /// use kstreams_topology::processor::{FixedKeyContext, FixedKeyProcessor, FixedKeyRecord};
    /// use kstreams_topology::{BoxError, Record};
    ///
    /// /// Appends where a record came from to its value.
    /// struct Locate;
    ///
    /// impl FixedKeyProcessor for Locate {
    ///     type K = String;
    ///     type VIn = String;
    ///     type VOut = String;
    ///
    ///     fn process(
    ///         &mut self,
    ///         cx: &mut FixedKeyContext<'_, Self>,
    ///         record: FixedKeyRecord<String, String>,
    ///     ) -> Result<(), BoxError> {
    ///         let from = cx.metadata();
    ///         let topic = from.topic.map(|topic| topic.as_str()).unwrap_or_default();
    ///         let value = format!("{} from {topic}-{}@{}", record.value(), from.partition, from.offset);
    ///         Ok(cx.forward(record.with_value(value))?)
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), BoxError> {
    /// let mut mock = MockProcessorContext::<String, String>::new();
    /// mock.set_metadata("visits", 3, 17);
    /// let record = FixedKeyRecord::for_test(Record::new("k".to_owned(), "v".to_owned(), 5));
    /// Locate.process(&mut mock.fixed_key_context(), record)?;
    /// assert_eq!(mock.take_forwarded()[0].record.value, "v from visits-3@17");
    /// # Ok(())
    /// # }
    /// ```
    pub fn fixed_key_context<P>(&mut self) -> FixedKeyContext<'_, P>
    where
        P: FixedKeyProcessor<K = K, VOut = V>,
    {
        self.processing().of_fixed_key_processor()
    }

    /// What `init` is given, and the `punctuate` of a [`FixedKeyProcessor`].
    pub fn processing(&mut self) -> ProcessingContext<'_> {
        ProcessingContext::from(self.node())
    }

    fn node(&mut self) -> NodeContext<'_> {
        self.alone.context(&mut self.output)
    }

    /// A store, as the processor sees it.
    pub fn store<S: StoreKind>(&mut self, handle: StoreHandle<S>) -> S::View<'_> {
        self.alone.context(&mut self.output).into_store(handle)
    }

    /// Sets where the record that is being processed came from.
    pub fn set_metadata(&mut self, topic: &str, partition: i32, offset: i64) {
        let record = RecordContext {
            topic: Some(TopicName::from(topic)),
            partition,
            offset,
            ..self.alone.record().clone()
        };
        self.alone.set_record(record);
    }

    /// Sets the timestamp of the record that is being processed, in milliseconds.
    pub fn set_timestamp(&mut self, timestamp: i64) {
        let record = self.alone.record().clone();
        self.alone.set_record(RecordContext { timestamp, ..record });
    }

    /// Sets the headers of the record that is being processed.
    pub fn set_headers(&mut self, headers: Headers) {
        let record = self.alone.record().clone();
        self.alone.set_record(RecordContext { headers, ..record });
    }

    /// Sets the largest timestamp that the task has seen, in milliseconds; −1 otherwise.
    pub fn set_stream_time(&mut self, time: i64) {
        self.alone.set_stream_time(time);
    }

    /// Sets the wall clock, in milliseconds; 0 otherwise.
    pub fn set_wall_clock(&mut self, now: i64) {
        self.alone.set_wall_clock(now);
    }

    /// What was forwarded so far.
    pub fn forwarded(&self) -> Vec<CapturedForward<K, V>> {
        self.captured().clone()
    }

    /// What was forwarded since the last call.
    pub fn take_forwarded(&mut self) -> Vec<CapturedForward<K, V>> {
        std::mem::take(&mut *self.captured())
    }

    fn captured(&self) -> MutexGuard<'_, Vec<CapturedForward<K, V>>> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schedules that were not cancelled, by due time.
    pub fn scheduled(&self) -> Vec<Scheduled> {
        self.alone.scheduled()
    }

    /// Whether a commit was asked for.
    pub fn commit_requested(&self) -> bool {
        self.alone.commit_requested()
    }

    /// Forgets that a commit was asked for.
    pub fn reset_commit(&mut self) {
        self.alone.reset_commit();
    }

    /// How many records the processor dropped.
    pub fn dropped(&self) -> u64 {
        self.alone.dropped()
    }
}
