//! The node before a side of a join: it keeps the side's records for those of the other side.

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::stores::{StoreHandle, WindowStore};
use kstreams_topology::{Error, Nullable};

/// Hands each record to the join, and then keeps it.
pub(super) struct WindowedNode<K: Nullable, V: Nullable> {
    pub(super) store: StoreHandle<WindowStore<K::Inner, V::Inner>>,
}

impl<K: Nullable, V: Nullable> Node for WindowedNode<K, V> {
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let record = input.take::<K, V>();
        let kept = record.key.as_option().map(|key| (key.clone(), record.value.clone()));
        let timestamp = record.timestamp;
        // A record is not kept before it was joined: it would meet itself where a stream is joined with itself.
        cx.forward(record)?;
        if let Some((key, value)) = kept {
            cx.store(self.store).put(&key, value.as_option(), timestamp)?;
        }
        Ok(())
    }
}
