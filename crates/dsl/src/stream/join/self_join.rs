//! A stream joined with itself, with one store instead of two.

use std::any::Any;
use std::marker::PhantomData;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::stores::{StoreHandle, WindowStore};
use kstreams_topology::{Data, Error, Nullable, Record};

use super::JoinWindows;
use super::pair::{PairJoiner, forward_joined};

/// Joins each record with the earlier ones as left, then as right record, and with itself in between. That is the order in
/// which two stores give the pairs.
pub(super) struct SelfJoin<K: Nullable, V: Nullable, R: Data, V2> {
    joiner: PairJoiner<K, V::Inner, R, V2>,
    windows: JoinWindows,
    store: StoreHandle<WindowStore<K::Inner, V::Inner>>,
    stream_time: i64,
    matches: Vec<(i64, V::Inner)>,
    types: PhantomData<fn(R)>,
}

impl<K: Nullable, V: Nullable, R: Data, V2: Nullable> SelfJoin<K, V, R, V2> {
    pub(super) fn new(
        joiner: PairJoiner<K, V::Inner, R, V2>,
        windows: JoinWindows,
        store: StoreHandle<WindowStore<K::Inner, V::Inner>>,
    ) -> Self {
        Self {
            joiner,
            windows,
            store,
            stream_time: -1,
            matches: Vec::new(),
            types: PhantomData,
        }
    }

    /// Takes the kept records of this key from `before` earlier to `after` later.
    fn fetch(
        &mut self,
        cx: &mut NodeContext<'_>,
        (key, timestamp): (&K::Inner, i64),
        (before, after): (i64, i64),
    ) -> Result<Vec<(i64, V::Inner)>, Error> {
        let mut matches = std::mem::take(&mut self.matches);
        let from = timestamp.saturating_sub(before).max(0);
        let to = timestamp.saturating_add(after);
        let mut view = cx.store(self.store);
        for entry in view.fetch_range(key, from, to)? {
            matches.push(entry?);
        }
        Ok(matches)
    }
}

impl<K: Nullable, V: Nullable, R: Data, V2: Nullable> Node for SelfJoin<K, V, R, V2> {
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = input.take::<K, V>();
        let (Some(plain), Some(value)) = (key.as_option(), value.into_option()) else {
            cx.drop_record();
            return Ok(());
        };
        self.stream_time = self.stream_time.max(timestamp);
        let JoinWindows { before, after, .. } = self.windows;
        // With two stores, a record that is too late to be kept does not meet itself.
        let mut meets_itself = timestamp > self.stream_time.saturating_sub(self.windows.retention()) + 1;
        let joiner = self.joiner.clone();
        let forward = |cx: &mut NodeContext<'_>, left: &V::Inner, right: &V::Inner, time: i64| {
            let pair = Record {
                key: key.clone(),
                value: (Some(left), Some(as_right(right))),
                timestamp: timestamp.max(time),
                headers: headers.clone(),
            };
            forward_joined(cx, &joiner, pair)
        };
        let mut matches = self.fetch(cx, (plain, timestamp), (before, after))?;
        for (time, other) in matches.drain(..) {
            forward(cx, &value, &other, time)?;
        }
        self.matches = matches;
        let mut matches = self.fetch(cx, (plain, timestamp), (after, before))?;
        for (time, other) in matches.drain(..) {
            if time > timestamp && std::mem::take(&mut meets_itself) {
                forward(cx, &value, &value, timestamp)?;
            }
            forward(cx, &other, &value, time)?;
        }
        self.matches = matches;
        if meets_itself {
            forward(cx, &value, &value, timestamp)?;
        }
        Ok(())
    }
}

/// The same value, as a value of the right stream.
fn as_right<L: 'static, R: 'static>(value: &L) -> &R {
    let value: &dyn Any = value;
    value
        .downcast_ref()
        .expect("the optimiser takes only joins of equal types for self-joins")
}
