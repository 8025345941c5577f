//! The node of windowed aggregations. What their windows are is left to a procedure.

use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::stores::{TimestampedWindowStore, ValueAndTimestamp};
use kstreams_topology::{Change, Data, Error, Nullable, Record, Window, Windowed};

use super::closing::Closing;
use super::table::{ClosedRow, WindowedKind};
use crate::aggregate::{Aggregator, Old, Take};
use crate::step::Factory;
use crate::table::Forwarder;

/// What came of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aggregate) enum Updated {
    /// Its windows were updated, as far as they are not closed.
    Windows,
    /// Nothing: it came too late to be looked at. As in Java it closes no windows either.
    Nothing,
}

/// Finds the windows of a record and updates their aggregates. Each node has its own, with scratch memory in it.
pub(in crate::aggregate) trait Procedure<K, T, S>: Send + 'static {
    /// Updates the windows of a record. `stream_time` is the largest timestamp that the node has seen, this record's
    /// included.
    fn update(
        &mut self,
        cx: &mut NodeContext<'_>,
        store: &Forwarder<S>,
        record: Record<K, T>,
        stream_time: i64,
    ) -> Result<Updated, Error>;
}

/// Makes the nodes of a windowed aggregation.
pub(in crate::aggregate) fn windowed_node<K, V, T, A, S, P>(
    take: Take<K, V, T>,
    procedure: impl Fn() -> P + Send + Sync + 'static,
    (store, closing): (Forwarder<S>, Option<Closing>),
) -> Factory
where
    K: Data,
    V: Nullable,
    T: 'static,
    A: Data,
    S: WindowedKind<K, A>,
    P: Procedure<K, T, S>,
{
    Arc::new(move || {
        Box::new(WindowedNode {
            take,
            procedure: procedure(),
            store: store.clone(),
            stream_time: -1,
            closing: closing.clone(),
            closed: Vec::new(),
        })
    })
}

struct WindowedNode<K, V, T, A, S, P> {
    take: Take<K, V, T>,
    procedure: P,
    store: Forwarder<S>,
    stream_time: i64,
    closing: Option<Closing>,
    closed: Vec<ClosedRow<K, A>>,
}

impl<K, V, T, A, S, P> WindowedNode<K, V, T, A, S, P>
where
    K: Data,
    A: Data,
    S: WindowedKind<K, A>,
{
    /// Forwards the windows that stream time has closed, with the headers of the record that moved it.
    fn emit_closed(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        let Some(closed) = self
            .closing
            .as_mut()
            .and_then(|closing| closing.next(cx, self.stream_time))
        else {
            return Ok(());
        };
        self.closed.clear();
        S::closed(&mut self.store.view(cx), closed, &mut self.closed)?;
        for (key, ValueAndTimestamp { value, timestamp }) in self.closed.drain(..) {
            let headers = cx.record().headers.clone();
            let value = Change {
                new: Some(value),
                old: None,
                is_latest: true,
            };
            cx.forward(Record {
                key,
                value,
                timestamp,
                headers,
            })?;
        }
        Ok(())
    }
}

impl<K, V, T, A, S, P> Node for WindowedNode<K, V, T, A, S, P>
where
    K: Data,
    V: Nullable,
    T: 'static,
    A: Data,
    S: WindowedKind<K, A>,
    P: Procedure<K, T, S>,
{
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.init(cx);
        if let Some(closing) = &mut self.closing {
            closing.init(cx);
        }
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let (take, value) = self.take;
        let record = take(input);
        let (Some(key), Some(value)) = (record.key, value(record.value)) else {
            cx.drop_record();
            return Ok(());
        };
        self.stream_time = self.stream_time.max(record.timestamp);
        let record = Record {
            key,
            value,
            timestamp: record.timestamp,
            headers: record.headers,
        };
        match self.procedure.update(cx, &self.store, record, self.stream_time)? {
            Updated::Windows => self.emit_closed(cx),
            Updated::Nothing => Ok(()),
        }
    }

    fn flush(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.flush(cx)
    }
}

/// What the aggregate of a window is before a record comes.
pub(in crate::aggregate) enum Before<A> {
    /// What is stored.
    Stored,
    /// This: the store has it, or nothing yet.
    Known(Option<ValueAndTimestamp<A>>),
}

/// Updates the aggregate of one time window.
pub(in crate::aggregate) fn update_window<K: Data, T, A: Data>(
    cx: &mut NodeContext<'_>,
    store: &WindowForwarder<K, A>,
    aggregator: &impl Aggregator<K, T, A>,
    (window, before): (Window, Before<A>),
    record: Record<K, T>,
) -> Result<(), Error> {
    let Record {
        key,
        value,
        timestamp,
        headers,
    } = record;
    let old = Old::wanted_if(store.sends_old(), store.java_quirks());
    let mut view = store.view(cx);
    let (before, is_fetched) = match before {
        Before::Stored => (view.fetch(&key, window.start)?, true),
        Before::Known(before) => (before, false),
    };
    let (before, timestamp) = match before {
        Some(before) => (Some(before.value), before.timestamp.max(timestamp)),
        None => (None, timestamp),
    };
    let applied = aggregator.apply(&key, value, before, old).map_err(Error::User)?;
    if is_fetched {
        view.set_fetched(applied.new.as_ref(), timestamp, window.start)?;
    } else {
        view.set(&key, applied.new.as_ref(), timestamp, window.start)?;
    }
    let value = Change {
        new: applied.new,
        old: applied.old,
        is_latest: true,
    };
    store.forward(cx, || Record {
        key: Windowed::new(key, window),
        value,
        timestamp,
        headers,
    })
}

/// The store of time windows.
pub(in crate::aggregate) type WindowForwarder<K, A> = Forwarder<TimestampedWindowStore<K, A>>;
