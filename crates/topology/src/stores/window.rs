//! Stores of values by key and window.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use kstreams_store::{Keys, Order, Scan, State, WindowLayout, Write};

use super::front::Codec;
use super::timed::{self, ClosedEntries, TimedFront, Wanted, WindowEntries, WindowedEntries};
use super::timestamped::{FlushedRow, ValueAndTimestamp, read as read_timestamped};
use super::{StoreKind, front, millis};
use crate::error::Result;
use crate::record::Data;
use crate::serde::Serde;
use crate::window::Windowed;

/// How long a window store keeps its windows, and what it keeps of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowOptions {
    /// How far behind the latest start a window may begin and still be seen. At least the size of the windows.
    pub retention: Duration,
    /// The size of the windows: what is read has the end `start + size`.
    pub size: Duration,
    /// Whether several values of the same key and start are kept, in the order in which they are put. Such stores are never
    /// cached.
    pub retain_duplicates: bool,
    /// The length of the slices in which expired windows are forgotten; by default half the retention, at least a minute.
    pub segment: Option<Duration>,
}

impl WindowOptions {
    /// One value for each key and start, in segments of the usual length.
    pub fn new(retention: Duration, size: Duration) -> Self {
        Self {
            retention,
            size,
            retain_duplicates: false,
            segment: None,
        }
    }

    pub(super) fn layout(&self, timestamped: bool) -> WindowLayout {
        let layout = WindowLayout::new(millis(self.retention), millis(self.size));
        WindowLayout {
            segment_ms: self.segment.map_or(layout.segment_ms, millis),
            duplicates: self.retain_duplicates,
            timestamped,
            ..layout
        }
    }
}

/// A store of values by key and the start of a window.
///
/// A window is forgotten when the latest start ever put is the store's retention or more ahead of its own. Windows that are
/// put later than that are dropped and counted.
pub struct WindowStore<K, V>(PhantomData<fn() -> (K, V)>);

/// A [`WindowStore`] whose values know when they were last set. Windowed tables are kept in such stores.
pub struct TimestampedWindowStore<K, V>(PhantomData<fn() -> (K, V)>);

/// The serdes of a window store of one task, and the size of its windows.
pub struct WindowFront<K, V>(pub(super) TimedFront<K, V>);

impl<K: 'static, V: 'static> WindowFront<K, V> {
    /// A front with these serdes, which are told `topic`.
    pub fn new(topic: &str, key: Arc<dyn Serde<K>>, value: Arc<dyn Serde<V>>, size_ms: i64) -> Self {
        Self(TimedFront::new(topic, key, value, Some(size_ms)))
    }
}

impl<K: Data, V: Data> StoreKind for WindowStore<K, V> {
    type Front = WindowFront<K, V>;
    type View<'a> = WindowView<'a, K, V>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        WindowView {
            front: &mut front.0,
            state,
            write,
            read: Codec::decode_value,
        }
    }
}

impl<K: Data, V: Data> StoreKind for TimestampedWindowStore<K, V> {
    type Front = WindowFront<K, V>;
    type View<'a> = TimestampedWindowView<'a, K, V>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        WindowView {
            front: &mut front.0,
            state,
            write,
            read: read_timestamped,
        }
    }
}

/// A [`TimestampedWindowStore`] while a processor works with it.
pub type TimestampedWindowView<'a, K, V> = WindowView<'a, K, V, ValueAndTimestamp<V>>;

/// A [`WindowStore`] while a processor works with it. `T` is what is read: the value, or the value with its timestamp.
///
/// Times are starts of windows in milliseconds; both ends of a range of times are inclusive. Entries of one key come in the
/// order of their starts. Entries of several keys come in the order of start, then key, from a store in memory, and by
/// segment, then key, then start from one on disk; the `backward` variants are the exact reverse.
pub struct WindowView<'a, K, V, T = V> {
    front: &'a mut TimedFront<K, V>,
    state: &'a mut State,
    write: Write<'a>,
    read: front::Read<K, V, T>,
}

impl<K: Data, V: Data> WindowView<'_, K, V> {
    /// Sets or, with `None`, deletes the value of `key` in the window that begins at `start`. Where duplicates are retained
    /// it is added to those there are, and `None` changes nothing.
    pub fn put(&mut self, key: &K, value: Option<&V>, start: i64) -> Result<()> {
        self.front.encode_key(key)?;
        let value = self.front.encode_value(value)?;
        let (key, value) = (&self.front.key_bytes, value.then_some(&*self.front.value_bytes));
        Ok(self.state.window_put(&mut self.write, key, start, value)?)
    }
}

impl<K: Data, V: Data> TimestampedWindowView<'_, K, V> {
    /// Sets or, with `None`, deletes the value of `key` in the window that begins at `start`.
    pub fn set(&mut self, key: &K, value: Option<&V>, timestamp: i64, start: i64) -> Result<()> {
        self.front.encode_key(key)?;
        self.set_fetched(value, timestamp, start)
    }

    /// Sets or, with `None`, deletes the value of the key that was [fetched](Self::fetch) last, in the window that begins at
    /// `start`: its bytes are still at hand.
    pub fn set_fetched(&mut self, value: Option<&V>, timestamp: i64, start: i64) -> Result<()> {
        let value = self.front.encode_timestamped(value, timestamp)?;
        let (key, value) = (&self.front.key_bytes, value.then_some(&*self.front.value_bytes));
        Ok(self.state.window_put(&mut self.write, key, start, value)?)
    }

    /// The next of the changes that other ones pushed out of the record cache. Only cached stores have any.
    pub fn next_flushed(&mut self) -> Result<Option<FlushedRow<Windowed<K>, V>>> {
        let kind = self.state.kind();
        let flushed = self.state.next_flushed();
        flushed
            .map(|flushed| {
                self.front
                    .row(kind, &flushed, |_, codec, bytes| read_timestamped(codec, bytes))
            })
            .transpose()
    }

    /// Moves the next change out of the record cache; `None` when it is empty.
    pub fn flush_next(&mut self) -> Result<Option<FlushedRow<Windowed<K>, V>>> {
        let kind = self.state.kind();
        let flushed = self.state.flush_next(self.write.output)?;
        flushed
            .map(|flushed| {
                self.front
                    .row(kind, &flushed, |_, codec, bytes| read_timestamped(codec, bytes))
            })
            .transpose()
    }
}

impl<K: Data, V: Data, T> WindowView<'_, K, V, T> {
    /// The value of `key` in the window that begins at `start`. Where duplicates are retained there is no such single value:
    /// use [`fetch_range`](Self::fetch_range).
    pub fn fetch(&mut self, key: &K, start: i64) -> Result<Option<T>> {
        self.front.encode_key(key)?;
        let value = self.state.window_get(&self.front.key_bytes, start)?;
        value.map(|bytes| (self.read)(&self.front.codec, bytes)).transpose()
    }

    /// The starts and values of `key` in the windows that begin from `from` to `to`, earliest first.
    pub fn fetch_range(&mut self, key: &K, from: i64, to: i64) -> Result<WindowEntries<'_, K, V, T>> {
        self.one(key, (from, to), Order::Forward)
    }

    /// Like [`fetch_range`](Self::fetch_range), latest first.
    pub fn backward_fetch_range(&mut self, key: &K, from: i64, to: i64) -> Result<WindowEntries<'_, K, V, T>> {
        self.one(key, (from, to), Order::Reverse)
    }

    /// The entries of the keys from `first` to `last`, both inclusive, whose windows begin from `from` to `to`. `None` leaves
    /// that end open.
    pub fn fetch_keys(
        &mut self,
        first: Option<&K>,
        last: Option<&K>,
        from: i64,
        to: i64,
    ) -> Result<WindowedEntries<'_, K, V, T>> {
        self.several((first, last), (from, to), Order::Forward)
    }

    /// Like [`fetch_keys`](Self::fetch_keys), in reverse.
    pub fn backward_fetch_keys(
        &mut self,
        first: Option<&K>,
        last: Option<&K>,
        from: i64,
        to: i64,
    ) -> Result<WindowedEntries<'_, K, V, T>> {
        self.several((first, last), (from, to), Order::Reverse)
    }

    /// The entries of all keys whose windows begin from `from` to `to`.
    pub fn fetch_all(&mut self, from: i64, to: i64) -> Result<WindowedEntries<'_, K, V, T>> {
        self.several((None, None), (from, to), Order::Forward)
    }

    /// Like [`fetch_all`](Self::fetch_all), in reverse.
    pub fn backward_fetch_all(&mut self, from: i64, to: i64) -> Result<WindowedEntries<'_, K, V, T>> {
        self.several((None, None), (from, to), Order::Reverse)
    }

    /// All entries.
    pub fn all(&mut self) -> Result<WindowedEntries<'_, K, V, T>> {
        self.fetch_all(i64::MIN, i64::MAX)
    }

    /// All entries, in reverse.
    pub fn backward_all(&mut self) -> Result<WindowedEntries<'_, K, V, T>> {
        self.backward_fetch_all(i64::MIN, i64::MAX)
    }

    /// The entries whose windows begin from `from` to `to`, in the order of start, then key bytes. Only stores that are read
    /// by time have this: see [`TimeOrder::TimeFirst`](kstreams_store::TimeOrder). They keep windows beyond their retention
    /// until they are not needed any more, so that a jump of time loses no result that was not emitted yet: to ask for
    /// windows from some start on says that earlier ones are not asked for again.
    pub fn closed(&mut self, from: i64, to: i64) -> Result<ClosedEntries<'_, K, V, T>> {
        timed::closed(self.state, self.front, (from, to), false, self.read)
    }

    /// Like [`closed`](Self::closed), without the windows that are older than the retention: those that Kafka Streams
    /// still has after a jump of time.
    pub fn closed_visible(&mut self, from: i64, to: i64) -> Result<ClosedEntries<'_, K, V, T>> {
        timed::closed(self.state, self.front, (from, to), true, self.read)
    }

    /// Says that windows that begin before `start` are not needed any more by [`closed`](Self::closed). Those older than the
    /// retention, too, are deleted.
    pub fn forget(&mut self, start: i64) {
        self.state.forget(start);
    }

    fn one(&mut self, key: &K, (from, to): (i64, i64), order: Order) -> Result<WindowEntries<'_, K, V, T>> {
        self.front.encode_key(key)?;
        let scan = Scan {
            keys: Keys::One(&self.front.key_bytes),
            from,
            to,
            start_to: i64::MAX,
            order,
        };
        let rows = self.state.scan(scan)?;
        Ok(WindowEntries::new(rows, &self.front.codec, self.read))
    }

    fn several(
        &mut self,
        keys: (Option<&K>, Option<&K>),
        times: (i64, i64),
        order: Order,
    ) -> Result<WindowedEntries<'_, K, V, T>> {
        let wanted = Wanted {
            keys,
            times,
            start_to: i64::MAX,
            order,
        };
        timed::several(self.state, self.front, wanted, self.read)
    }
}
