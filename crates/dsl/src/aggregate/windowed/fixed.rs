//! Windows that lie where they lie whatever records come: tumbling, hopping, unlimited.

use std::sync::Arc;

use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::TimestampedWindowStore;
use kstreams_topology::{Data, Error, Record};

use super::node::{Before, Procedure, Updated, WindowForwarder, update_window};
use crate::aggregate::Aggregator;
use crate::window::FixedWindows;

/// Updates each window that contains a record.
pub(in crate::aggregate) struct Fixed<G> {
    windows: FixedWindows,
    aggregator: Arc<G>,
}

impl<G> Fixed<G> {
    pub(in crate::aggregate) fn new(windows: FixedWindows, aggregator: Arc<G>) -> Self {
        Self { windows, aggregator }
    }
}

impl<K, T, A, G> Procedure<K, T, TimestampedWindowStore<K, A>> for Fixed<G>
where
    K: Data,
    T: Clone + 'static,
    A: Data,
    G: Aggregator<K, T, A>,
{
    fn update(
        &mut self,
        cx: &mut NodeContext<'_>,
        store: &WindowForwarder<K, A>,
        record: Record<K, T>,
        stream_time: i64,
    ) -> Result<Updated, Error> {
        let over = stream_time.saturating_sub(self.windows.grace_ms());
        let mut windows = self.windows.at(record.timestamp);
        let Some(mut window) = windows.next() else {
            return Ok(Updated::Windows);
        };
        // All but the last window get a copy of the record.
        for next in windows {
            if window.end > over {
                update_window(cx, store, &*self.aggregator, (window, Before::Stored), record.clone())?;
            } else {
                cx.drop_record();
            }
            window = next;
        }
        if window.end <= over {
            cx.drop_record();
            return Ok(Updated::Windows);
        }
        update_window(cx, store, &*self.aggregator, (window, Before::Stored), record)?;
        Ok(Updated::Windows)
    }
}
