//! Stores of sessions.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_store::{Keys, Order, Scan, State, Write};

use super::StoreKind;
use super::front::Codec;
use super::timed::{self, ClosedEntries, TimedFront, Wanted, WindowedEntries};
use super::timestamped::{FlushedRow, ValueAndTimestamp};
use crate::error::Result;
use crate::record::Data;
use crate::serde::Serde;
use crate::window::Windowed;

/// A store of values by key and session. A session is its first and its last time, both inside.
///
/// A session is forgotten when the latest end ever put is the store's retention or more ahead of its own. Sessions that are
/// put later than that are dropped and counted.
pub struct SessionStore<K, V>(PhantomData<fn() -> (K, V)>);

/// The serdes of a session store of one task.
pub struct SessionFront<K, V>(TimedFront<K, V>);

impl<K: 'static, V: 'static> SessionFront<K, V> {
    /// A front with these serdes, which are told `topic`.
    pub fn new(topic: &str, key: Arc<dyn Serde<K>>, value: Arc<dyn Serde<V>>) -> Self {
        Self(TimedFront::new(topic, key, value, None))
    }
}

impl<K: Data, V: Data> StoreKind for SessionStore<K, V> {
    type Front = SessionFront<K, V>;
    type View<'a> = SessionView<'a, K, V>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        SessionView {
            front: &mut front.0,
            state,
            write,
        }
    }
}

/// A [`SessionStore`] while a processor works with it.
///
/// Sessions of one key come in the order of their ends, those with the same end in the order of their starts. Sessions of
/// several keys come in the order of end, key and start from a store in memory, and by segment, then key, then end from one
/// on disk; the `backward` variants are the exact reverse.
pub struct SessionView<'a, K, V> {
    front: &'a mut TimedFront<K, V>,
    state: &'a mut State,
    write: Write<'a>,
}

/// The sessions of a range.
pub type SessionEntries<'a, K, V> = WindowedEntries<'a, K, V>;

impl<K: Data, V: Data> SessionView<'_, K, V> {
    /// Sets or, with `None`, deletes the value of a session.
    pub fn put(&mut self, session: &Windowed<K>, value: Option<&V>) -> Result<()> {
        self.front.encode_key(&session.key)?;
        let value = self.front.encode_value(value)?;
        let (key, value) = (&self.front.key_bytes, value.then_some(&*self.front.value_bytes));
        let times = (session.window.start, session.window.end);
        Ok(self.state.session_put(&mut self.write, key, times, value)?)
    }

    /// Deletes a session. Other than with a put of `None`, one that is too old to be there does not count as dropped.
    pub fn remove(&mut self, session: &Windowed<K>) -> Result<()> {
        self.front.encode_key(&session.key)?;
        let times = (session.window.start, session.window.end);
        Ok(self
            .state
            .session_remove(&mut self.write, &self.front.key_bytes, times)?)
    }

    /// The value of the session of `key` with exactly these times.
    pub fn fetch_session(&mut self, key: &K, start: i64, end: i64) -> Result<Option<V>> {
        self.front.encode_key(key)?;
        let value = self.state.session_get(&self.front.key_bytes, start, end)?;
        value.map(|bytes| self.front.codec.decode_value(bytes)).transpose()
    }

    /// The sessions of `key` that end at `earliest_end` or later and begin at `latest_start` or earlier, earliest end first:
    /// those that overlap a span, from its start to its end.
    pub fn find_sessions(&mut self, key: &K, earliest_end: i64, latest_start: i64) -> Result<SessionEntries<'_, K, V>> {
        self.one(key, earliest_end, latest_start, Order::Forward)
    }

    /// Like [`find_sessions`](Self::find_sessions), latest end first.
    pub fn backward_find_sessions(
        &mut self,
        key: &K,
        earliest_end: i64,
        latest_start: i64,
    ) -> Result<SessionEntries<'_, K, V>> {
        self.one(key, earliest_end, latest_start, Order::Reverse)
    }

    /// The sessions of the keys from `first` to `last`, both inclusive, that end at `earliest_end` or later and begin at
    /// `latest_start` or earlier. `None` leaves that end open.
    pub fn find_sessions_in(
        &mut self,
        first: Option<&K>,
        last: Option<&K>,
        earliest_end: i64,
        latest_start: i64,
    ) -> Result<SessionEntries<'_, K, V>> {
        let times = ((earliest_end, i64::MAX), latest_start);
        self.several((first, last), times, Order::Forward)
    }

    /// Like [`find_sessions_in`](Self::find_sessions_in), in reverse.
    pub fn backward_find_sessions_in(
        &mut self,
        first: Option<&K>,
        last: Option<&K>,
        earliest_end: i64,
        latest_start: i64,
    ) -> Result<SessionEntries<'_, K, V>> {
        let times = ((earliest_end, i64::MAX), latest_start);
        self.several((first, last), times, Order::Reverse)
    }

    /// All sessions of `key`, earliest end first.
    pub fn fetch(&mut self, key: &K) -> Result<SessionEntries<'_, K, V>> {
        self.one(key, i64::MIN, i64::MAX, Order::Forward)
    }

    /// All sessions of `key`, latest end first.
    pub fn backward_fetch(&mut self, key: &K) -> Result<SessionEntries<'_, K, V>> {
        self.one(key, i64::MIN, i64::MAX, Order::Reverse)
    }

    /// All sessions of the keys from `first` to `last`, both inclusive. `None` leaves that end open.
    pub fn fetch_keys(&mut self, first: Option<&K>, last: Option<&K>) -> Result<SessionEntries<'_, K, V>> {
        self.several((first, last), ((i64::MIN, i64::MAX), i64::MAX), Order::Forward)
    }

    /// Like [`fetch_keys`](Self::fetch_keys), in reverse.
    pub fn backward_fetch_keys(&mut self, first: Option<&K>, last: Option<&K>) -> Result<SessionEntries<'_, K, V>> {
        self.several((first, last), ((i64::MIN, i64::MAX), i64::MAX), Order::Reverse)
    }

    /// The sessions that end from `earliest_end` to `latest_end`, both inclusive, in the order of end, then, in a store in
    /// memory, key bytes and start, and in one on disk start and key bytes. Only stores that are read by time have this: see
    /// [`TimeOrder::TimeFirst`](kstreams_store::TimeOrder). They keep sessions beyond their retention until they are not
    /// needed any more, so that a jump of time loses no result that was not emitted yet: to ask for sessions from some time
    /// on says that earlier ones are not asked for again.
    pub fn find_ended(&mut self, earliest_end: i64, latest_end: i64) -> Result<ClosedEntries<'_, K, V>> {
        let times = (earliest_end, latest_end);
        timed::closed(self.state, self.front, times, false, Codec::decode_value)
    }

    /// Like [`find_ended`](Self::find_ended), without the sessions that are older than the retention: those that Kafka
    /// Streams still has after a jump of time.
    pub fn find_ended_visible(&mut self, earliest_end: i64, latest_end: i64) -> Result<ClosedEntries<'_, K, V>> {
        let times = (earliest_end, latest_end);
        timed::closed(self.state, self.front, times, true, Codec::decode_value)
    }

    /// Says that sessions that end before `end` are not needed any more by [`find_ended`](Self::find_ended). Those older
    /// than the retention, too, are deleted.
    pub fn forget(&mut self, end: i64) {
        self.state.forget(end);
    }

    /// The next of the changes that other ones pushed out of the record cache. Only cached stores have any. Values have the
    /// end of their session as timestamp.
    pub fn next_flushed(&mut self) -> Result<Option<FlushedRow<Windowed<K>, V>>> {
        let kind = self.state.kind();
        let flushed = self.state.next_flushed();
        flushed
            .map(|flushed| self.front.row(kind, &flushed, read_ended))
            .transpose()
    }

    /// Moves the next change out of the record cache; `None` when it is empty. Values have the end of their session as
    /// timestamp.
    pub fn flush_next(&mut self) -> Result<Option<FlushedRow<Windowed<K>, V>>> {
        let kind = self.state.kind();
        let flushed = self.state.flush_next(self.write.output)?;
        flushed
            .map(|flushed| self.front.row(kind, &flushed, read_ended))
            .transpose()
    }

    fn one(&mut self, key: &K, end_from: i64, start_to: i64, order: Order) -> Result<SessionEntries<'_, K, V>> {
        self.front.encode_key(key)?;
        let scan = Scan {
            keys: Keys::One(&self.front.key_bytes),
            from: end_from,
            to: i64::MAX,
            start_to,
            order,
        };
        let rows = self.state.scan(scan)?;
        Ok(WindowedEntries::new(rows, self.front, Codec::decode_value))
    }

    fn several(
        &mut self,
        keys: (Option<&K>, Option<&K>),
        times: ((i64, i64), i64),
        order: Order,
    ) -> Result<SessionEntries<'_, K, V>> {
        let (times, start_to) = times;
        let wanted = Wanted {
            keys,
            times,
            start_to,
            order,
        };
        timed::several(self.state, self.front, wanted, Codec::decode_value)
    }
}

fn read_ended<K: 'static, V: 'static>(end: i64, codec: &Codec<K, V>, bytes: &[u8]) -> Result<ValueAndTimestamp<V>> {
    Ok(ValueAndTimestamp::new(codec.decode_value(bytes)?, end))
}
