//! Sessions: windows that grow, and grow together.

use std::sync::Arc;

use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::SessionStore;
use kstreams_topology::{BoxError, Change, Data, Error, Record, Window, Windowed};

use crate::aggregate::{Aggregator, Old};
use crate::table::Forwarder;
use crate::window::SessionWindows;

use super::node::{Procedure, Updated};

/// Makes one aggregate of two sessions': of what is merged so far, or nothing yet, and the next one's.
pub(in crate::aggregate) type Merge<K, A> = Arc<dyn Fn(&K, Option<A>, A) -> Result<Option<A>, BoxError> + Send + Sync>;

/// Merges the sessions around a record, and adds it to what comes of them.
pub(in crate::aggregate) struct Session<K, A, G> {
    windows: SessionWindows,
    aggregator: Arc<G>,
    merge: Merge<K, A>,
    /// The sessions around the record.
    found: Vec<(Windowed<K>, Option<A>)>,
}

impl<K, A, G> Session<K, A, G> {
    pub(in crate::aggregate) fn new(windows: SessionWindows, aggregator: Arc<G>, merge: Merge<K, A>) -> Self {
        Self {
            windows,
            aggregator,
            merge,
            found: Vec::new(),
        }
    }
}

impl<K: Data, A: Data, G> Session<K, A, G> {
    /// Finds the sessions that the record touches. What comes of them, and from when to when it is.
    fn merge_around(
        &mut self,
        cx: &mut NodeContext<'_>,
        store: &Forwarder<SessionStore<K, A>>,
        (key, timestamp): (&K, i64),
    ) -> Result<(Option<A>, Window), Error> {
        let gap = self.windows.gap_ms;
        let mut merged = (None, Window::new(timestamp, timestamp));
        self.found.clear();
        let mut view = store.view(cx);
        let (earliest_end, latest_start) = (timestamp.saturating_sub(gap), timestamp.saturating_add(gap));
        for session in view.find_sessions(key, earliest_end, latest_start)? {
            let (session, aggregate) = session?;
            merged.1.start = merged.1.start.min(session.window.start);
            merged.1.end = merged.1.end.max(session.window.end);
            let old = store.sends_old().then(|| aggregate.clone());
            merged.0 = (self.merge)(key, merged.0, aggregate).map_err(Error::User)?;
            self.found.push((session, old));
        }
        Ok(merged)
    }
}

impl<K, T, A, G> Procedure<K, T, SessionStore<K, A>> for Session<K, A, G>
where
    K: Data,
    T: 'static,
    A: Data,
    G: Aggregator<K, T, A>,
{
    fn update(
        &mut self,
        cx: &mut NodeContext<'_>,
        store: &Forwarder<SessionStore<K, A>>,
        record: Record<K, T>,
        stream_time: i64,
    ) -> Result<Updated, Error> {
        let Record {
            key, value, timestamp, ..
        } = record;
        let over = stream_time
            .saturating_sub(self.windows.grace_ms)
            .saturating_sub(self.windows.gap_ms);
        let (before, window) = self.merge_around(cx, store, (&key, timestamp))?;
        if window.end < over {
            cx.drop_record();
            return Ok(Updated::Windows);
        }
        if window != Window::new(timestamp, timestamp) {
            for (session, old) in self.found.drain(..) {
                store.view(cx).remove(&session)?;
                forward(cx, store, session, (None, old))?;
            }
        }
        let applied = self
            .aggregator
            .apply(&key, value, before, Old::Unwanted)
            .map_err(Error::User)?;
        let session = Windowed::new(key, window);
        store.view(cx).put(&session, applied.new.as_ref())?;
        forward(cx, store, session, (applied.new, None))?;
        Ok(Updated::Windows)
    }
}

/// Forwards a change of a session, whose time is its end. It has no headers, as in Java.
fn forward<K: Data, A: Data>(
    cx: &mut NodeContext<'_>,
    store: &Forwarder<SessionStore<K, A>>,
    session: Windowed<K>,
    (new, old): (Option<A>, Option<A>),
) -> Result<(), Error> {
    let timestamp = session.window.end;
    let value = Change {
        new,
        old,
        is_latest: true,
    };
    store.forward(cx, || Record::new(session, value, timestamp))
}
