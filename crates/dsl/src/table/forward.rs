//! Changes of a table's store go on to the nodes below: at once or, if the store is cached, when they leave the cache.

use kstreams_store::{Forward, State};
use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::{
    FlushedRow, SessionStore, StoreHandle, StoreKind, TimestampedKeyValueStore, TimestampedWindowStore,
};
use kstreams_topology::{Change, Data, Error, Record, Windowed};

/// A change that left the cache, if there is one.
pub(crate) type Flushed<S> = Result<Option<FlushedRow<<S as CachedKind>::Key, <S as CachedKind>::Value>>, Error>;

/// A kind of store in which changes may wait in the record cache.
pub(crate) trait CachedKind: StoreKind {
    /// The keys of its rows.
    type Key: Data;
    /// The values of its rows.
    type Value: Data;

    /// The next change that others pushed out of the cache.
    fn next_flushed(view: &mut Self::View<'_>) -> Flushed<Self>;

    /// Moves the next change out of the cache.
    fn flush_next(view: &mut Self::View<'_>) -> Flushed<Self>;

    /// The time of a deletion.
    fn deleted_at(row: &FlushedRow<Self::Key, Self::Value>) -> i64 {
        row.context.timestamp
    }
}

macro_rules! flushes {
    () => {
        fn next_flushed(view: &mut Self::View<'_>) -> Flushed<Self> {
            view.next_flushed()
        }

        fn flush_next(view: &mut Self::View<'_>) -> Flushed<Self> {
            view.flush_next()
        }
    };
}

impl<K: Data, V: Data> CachedKind for TimestampedKeyValueStore<K, V> {
    type Key = K;
    type Value = V;

    flushes!();
}

impl<K: Data, V: Data> CachedKind for TimestampedWindowStore<K, V> {
    type Key = Windowed<K>;
    type Value = V;

    flushes!();
}

impl<K: Data, V: Data> CachedKind for SessionStore<K, V> {
    type Key = Windowed<K>;
    type Value = V;

    flushes!();

    fn deleted_at(row: &FlushedRow<Windowed<K>, V>) -> i64 {
        row.key.window.end
    }
}

/// A table's store, as the node uses it that owns it.
pub(crate) struct Forwarder<S> {
    handle: StoreHandle<S>,
    sends: Forward,
    cached: bool,
    java_quirks: bool,
}

impl<S> Clone for Forwarder<S> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle,
            sends: self.sends,
            cached: self.cached,
            java_quirks: self.java_quirks,
        }
    }
}

impl<S: CachedKind> Forwarder<S> {
    pub(crate) fn new(handle: StoreHandle<S>, sends: Forward) -> Self {
        Self {
            handle,
            sends,
            cached: false,
            java_quirks: false,
        }
    }

    pub(crate) fn with_java_quirks(self, java_quirks: bool) -> Self {
        Self { java_quirks, ..self }
    }

    pub(crate) fn java_quirks(&self) -> bool {
        self.java_quirks
    }

    /// Tells the store what will be asked of it.
    pub(crate) fn init(&mut self, cx: &mut NodeContext<'_>) {
        let state: &mut State = cx.store_state(self.handle.id()).0;
        state.forward(self.sends);
        self.cached = state.is_cached();
    }

    pub(crate) fn handle(&self) -> StoreHandle<S> {
        self.handle
    }

    pub(crate) fn sends_old(&self) -> bool {
        self.sends == Forward::NewAndOld
    }

    #[inline]
    pub(crate) fn view<'a>(&self, cx: &'a mut NodeContext<'_>) -> S::View<'a> {
        cx.store(self.handle)
    }

    /// What comes of a call on the store's view, which ends before the next use of the context.
    fn with_view<T>(&self, cx: &mut NodeContext<'_>, call: impl FnOnce(&mut S::View<'_>) -> T) -> T {
        call(&mut self.view(cx))
    }

    /// Forwards a change that was stored just now, unless it waits in the cache: then what it pushed out of there.
    #[inline]
    pub(crate) fn forward(
        &self,
        cx: &mut NodeContext<'_>,
        record: impl FnOnce() -> Record<S::Key, Change<S::Value>>,
    ) -> Result<(), Error> {
        match (self.sends, self.cached) {
            (Forward::Nothing, _) => Ok(()),
            (_, false) => cx.forward(record()),
            (_, true) => {
                while let Some(row) = self.with_view(cx, S::next_flushed)? {
                    forward_row::<S>(cx, row)?;
                }
                Ok(())
            }
        }
    }

    /// Empties the cache for a commit.
    pub(crate) fn flush(&self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        if !self.cached {
            return Ok(());
        }
        while let Some(row) = self.with_view(cx, S::flush_next)? {
            forward_row::<S>(cx, row)?;
        }
        Ok(())
    }
}

/// Forwards a change that waited in the cache, as if its record were processed just now.
fn forward_row<S: CachedKind>(cx: &mut NodeContext<'_>, row: FlushedRow<S::Key, S::Value>) -> Result<(), Error> {
    let timestamp = match &row.new {
        Some(new) => new.timestamp,
        None => S::deleted_at(&row),
    };
    let value = Change {
        new: row.new.map(|new| new.value),
        old: row.old.map(|old| old.value),
        is_latest: true,
    };
    let headers = row.context.headers.clone();
    cx.forward_as(
        row.context,
        Record {
            key: row.key,
            value,
            timestamp,
            headers,
        },
    )
}
