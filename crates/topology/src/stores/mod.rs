//! Typed state stores: handles by which processors name them, and views with which they read and write.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kstreams_store::{EngineKind, Kind, Logging, SessionLayout, State, StoreSpec, Write};

use crate::record::Data;
use crate::serde::{DefaultSerde, Serde};

mod buffer;
mod entries;
mod front;
mod join_rows;
mod key_value;
mod read;
mod session;
mod suppression;
mod timed;
mod timestamped;
mod versioned;
mod window;

pub use buffer::{BufferedRecord, TimeOrderedBuffer, TimeOrderedBufferView};
pub use entries::Entries;
pub use front::KeyValueFront;
pub use join_rows::{JoinRow, JoinRows, JoinRowsFront, JoinRowsView, JoinSide, JoinTimes, SideValue};
pub use key_value::{KeyValueStore, KeyValueView};
pub use kstreams_store::PutOutcome;
pub use kstreams_store::state::kind::BufferTotals;
pub use read::ReadableStore;
pub use session::{SessionEntries, SessionFront, SessionStore, SessionView};
pub use suppression::{SuppressBuffer, SuppressBufferView, SuppressedChange};
pub use timed::{ClosedEntries, WindowEntries, WindowedEntries};
pub use timestamped::{
    FlushedRow, TimestampedEntries, TimestampedKeyValueStore, TimestampedKeyValueView, ValueAndTimestamp,
};
pub use versioned::{VersionedKeyValueStore, VersionedRecord, VersionedView};
pub use window::{TimestampedWindowStore, TimestampedWindowView, WindowFront, WindowOptions, WindowStore, WindowView};

/// A kind of store, at the type level: what its views look like.
pub trait StoreKind: 'static {
    /// The store's serdes and scratch memory; one per task.
    type Front: Send + 'static;
    /// What a processor works with, for as long as it borrows the store.
    type View<'a>;

    /// A view of this store.
    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a>;
}

/// Identifies a store within the process, whatever topologies there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(u32);

impl StoreId {
    /// An id that no other store of this process has.
    #[expect(clippy::new_without_default, reason = "two calls give two ids")]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names a store of a certain kind. Handles are small and freely copied into processors.
pub struct StoreHandle<S> {
    id: StoreId,
    kind: PhantomData<fn() -> S>,
}

impl<S> StoreHandle<S> {
    pub(crate) fn new(id: StoreId) -> Self {
        Self { id, kind: PhantomData }
    }

    /// The store's id, for [`Processor::stores`](crate::processor::Processor::stores).
    pub fn id(self) -> StoreId {
        self.id
    }
}

impl<S> Clone for StoreHandle<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for StoreHandle<S> {}

impl<S> fmt::Debug for StoreHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreHandle({})", self.id.0)
    }
}

/// Makes the typed front of a store for one task. The argument is the topic that the serdes are told: the changelog.
pub type NewFront = Arc<dyn Fn(&str) -> Box<dyn Any + Send> + Send + Sync>;

/// A store as a topology knows it: its kind's type erased.
#[derive(Clone)]
pub struct StoreDefinition {
    /// The store's id.
    pub id: StoreId,
    /// Its name, kind, engine, caching and logging.
    pub spec: StoreSpec,
    /// Makes its front.
    pub front: NewFront,
}

impl fmt::Debug for StoreDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreDefinition")
            .field("id", &self.id)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// A store to be added to a topology.
pub struct StoreBuilder<S> {
    definition: StoreDefinition,
    kind: PhantomData<fn() -> S>,
}

impl<S: StoreKind> StoreBuilder<S> {
    /// A store of this specification, with the front that the closure makes for each task.
    pub fn new(spec: StoreSpec, front: impl Fn(&str) -> S::Front + Send + Sync + 'static) -> Self {
        Self {
            definition: StoreDefinition {
                id: StoreId::new(),
                spec,
                front: Arc::new(move |topic| Box::new(front(topic))),
            },
            kind: PhantomData,
        }
    }

    /// Lets writes pass through the thread's record cache, which keeps the last one of each key until the next commit.
    pub fn cached(mut self) -> Self {
        self.definition.spec.caching = true;
        self
    }

    /// Whether, and how, the store is logged to a changelog topic. It is by default.
    pub fn logging(mut self, logging: Logging) -> Self {
        self.definition.spec.logging = logging;
        self
    }

    /// The handle that processors use.
    pub fn handle(&self) -> StoreHandle<S> {
        StoreHandle::new(self.definition.id)
    }

    /// The store with its type erased.
    pub fn into_definition(self) -> StoreDefinition {
        self.definition
    }
}

/// Where stores begin: `Stores::in_memory("sums").key_value::<String, i64>()`.
#[derive(Clone, Debug)]
pub struct Stores {
    name: String,
    engine: EngineKind,
}

impl Stores {
    /// A store in memory, rebuilt from its changelog at every start.
    pub fn in_memory(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            engine: EngineKind::Memory,
        }
    }

    /// A store on disk.
    pub fn persistent(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            engine: EngineKind::Persistent,
        }
    }

    /// Keys and values, with the types' own serdes.
    pub fn key_value<K, V>(self) -> StoreBuilder<KeyValueStore<K, V>>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.key_value_with(Arc::new(K::Serde::default()), Arc::new(V::Serde::default()))
    }

    /// Keys and values, with these serdes.
    pub fn key_value_with<K: Data, V: Data>(
        self,
        key: Arc<dyn Serde<K>>,
        value: Arc<dyn Serde<V>>,
    ) -> StoreBuilder<KeyValueStore<K, V>> {
        StoreBuilder::new(self.spec(Kind::KeyValue), move |topic| {
            KeyValueFront::new(topic, key.clone(), value.clone())
        })
    }

    /// Keys and values with timestamps, with the types' own serdes.
    pub fn timestamped_key_value<K, V>(self) -> StoreBuilder<TimestampedKeyValueStore<K, V>>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.timestamped_key_value_with(Arc::new(K::Serde::default()), Arc::new(V::Serde::default()))
    }

    /// Keys and values with timestamps, with these serdes.
    pub fn timestamped_key_value_with<K: Data, V: Data>(
        self,
        key: Arc<dyn Serde<K>>,
        value: Arc<dyn Serde<V>>,
    ) -> StoreBuilder<TimestampedKeyValueStore<K, V>> {
        StoreBuilder::new(self.spec(Kind::TimestampedKeyValue), move |topic| {
            KeyValueFront::new(topic, key.clone(), value.clone())
        })
    }

    /// Values by key and window, with the types' own serdes.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use kstreams_test_driver::MockProcessorContext;
    /// use kstreams_topology::stores::{Stores, WindowOptions};
    /// use kstreams_topology::{Window, Windowed};
    ///
    /// let (day, hour) = (Duration::from_secs(86_400), Duration::from_secs(3_600));
    /// let mut task = MockProcessorContext::<String, i64>::new();
    /// let visits = Stores::in_memory("visits").window::<String, i64>(WindowOptions::new(day, hour));
    /// let visits = task.add_store(visits)?;
    /// let mut visits = task.store(visits);
    ///
    /// let home = "home".to_owned();
    /// visits.put(&home, Some(&3), 0)?;
    /// visits.put(&home, Some(&5), 3_600_000)?;
    /// assert_eq!(visits.fetch(&home, 3_600_000)?, Some(5));
    /// let all: Result<Vec<_>, _> = visits.fetch_range(&home, 0, 7_200_000)?.collect();
    /// assert_eq!(all?, [(0, 3), (3_600_000, 5)]);
    ///
    /// // A day later, the first window is out of sight.
    /// visits.put(&home, Some(&1), 86_400_000)?;
    /// let first = visits.all()?.next().transpose()?;
    /// assert_eq!(first, Some((Windowed::new(home, Window::new(3_600_000, 7_200_000)), 5)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn window<K, V>(self, options: WindowOptions) -> StoreBuilder<WindowStore<K, V>>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.window_with(options, Arc::new(K::Serde::default()), Arc::new(V::Serde::default()))
    }

    /// Values by key and window, with these serdes.
    pub fn window_with<K: Data, V: Data>(
        self,
        options: WindowOptions,
        key: Arc<dyn Serde<K>>,
        value: Arc<dyn Serde<V>>,
    ) -> StoreBuilder<WindowStore<K, V>> {
        let layout = options.layout(false);
        StoreBuilder::new(self.spec(Kind::Window(layout)), move |topic| {
            WindowFront::new(topic, key.clone(), value.clone(), layout.size_ms)
        })
    }

    /// Values with timestamps by key and window, with the types' own serdes.
    pub fn timestamped_window<K, V>(self, options: WindowOptions) -> StoreBuilder<TimestampedWindowStore<K, V>>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.timestamped_window_with(options, Arc::new(K::Serde::default()), Arc::new(V::Serde::default()))
    }

    /// Values with timestamps by key and window, with these serdes.
    pub fn timestamped_window_with<K: Data, V: Data>(
        self,
        options: WindowOptions,
        key: Arc<dyn Serde<K>>,
        value: Arc<dyn Serde<V>>,
    ) -> StoreBuilder<TimestampedWindowStore<K, V>> {
        let layout = options.layout(true);
        StoreBuilder::new(self.spec(Kind::Window(layout)), move |topic| {
            WindowFront::new(topic, key.clone(), value.clone(), layout.size_ms)
        })
    }

    /// Sessions, with the types' own serdes. A session is seen until the latest end is `retention` or more ahead of its own.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use kstreams_test_driver::MockProcessorContext;
    /// use kstreams_topology::stores::Stores;
    /// use kstreams_topology::{Window, Windowed};
    ///
    /// let mut task = MockProcessorContext::<String, i64>::new();
    /// let clicks = task.add_store(Stores::in_memory("clicks").session::<String, i64>(Duration::from_secs(60)))?;
    /// let mut clicks = task.store(clicks);
    ///
    /// let ada = "ada".to_owned();
    /// let morning = Windowed::new(ada.clone(), Window::new(1_000, 4_000));
    /// clicks.put(&morning, Some(&7))?;
    /// // A click at 6,000 joins sessions that ended at most 3 seconds before.
    /// let near = clicks.find_sessions(&ada, 3_000, 9_000)?.next().transpose()?;
    /// assert_eq!(near, Some((morning.clone(), 7)));
    /// clicks.remove(&morning)?;
    /// clicks.put(&Windowed::new(ada.clone(), Window::new(1_000, 6_000)), Some(&8))?;
    /// assert_eq!(clicks.fetch_session(&ada, 1_000, 6_000)?, Some(8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn session<K, V>(self, retention: Duration) -> StoreBuilder<SessionStore<K, V>>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.session_with(retention, Arc::new(K::Serde::default()), Arc::new(V::Serde::default()))
    }

    /// Sessions, with these serdes.
    pub fn session_with<K: Data, V: Data>(
        self,
        retention: Duration,
        key: Arc<dyn Serde<K>>,
        value: Arc<dyn Serde<V>>,
    ) -> StoreBuilder<SessionStore<K, V>> {
        let layout = SessionLayout::new(millis(retention));
        StoreBuilder::new(self.spec(Kind::Session(layout)), move |topic| {
            SessionFront::new(topic, key.clone(), value.clone())
        })
    }

    fn spec(self, kind: Kind) -> StoreSpec {
        StoreSpec {
            name: self.name,
            kind,
            engine: self.engine,
            caching: false,
            logging: Logging::enabled(),
        }
    }
}

/// A duration in whole milliseconds, as far as they can be counted.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
