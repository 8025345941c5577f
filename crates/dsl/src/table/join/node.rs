//! The nodes of a table-table join: one for the changes of each side, and one where both come together.

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{Change, Data, Error, Record};

use super::{Joiner, Required};
use crate::table::{OptionalStore, RowGetter};

/// Joins each change of one side with the current row of the other.
pub(super) struct SideNode<K, V, VO, V2> {
    pub(super) other: RowGetter<K, VO>,
    pub(super) joiner: Joiner<V, VO, V2>,
    pub(super) required: Required,
    pub(super) sends_old: bool,
    /// Whether this side is versioned: then changes that are not the row's latest mean nothing to the result (KIP-914).
    pub(super) versioned: bool,
}

impl<K: Data, V: Data, VO: Data, V2: Data> SideNode<K, V, VO, V2> {
    fn join(&self, this: Option<V>, other: Option<VO>) -> Result<Option<V2>, Error> {
        if this.is_none() && (self.required.this || other.is_none()) {
            return Ok(None);
        }
        (self.joiner)(this, other).map_err(Error::User)
    }
}

impl<K: Data, V: Data, VO: Data, V2: Data> Node for SideNode<K, V, VO, V2> {
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let Record {
            key,
            value: change,
            timestamp,
            headers,
        } = input.take::<K, Change<V>>();
        if self.versioned && !change.is_latest {
            cx.drop_record();
            return Ok(());
        }
        let (other, timestamp) = match self.other.get(cx, &key)? {
            Some(row) => (Some(row.value), row.timestamp.max(timestamp)),
            None if self.required.other || (change.new.is_none() && change.old.is_none()) => return Ok(()),
            None => (None, timestamp),
        };
        let (new, old) = if self.sends_old {
            let new = self.join(change.new, other.clone())?;
            (new, self.join(change.old, other)?)
        } else {
            (self.join(change.new, other)?, None)
        };
        let value = Change {
            new,
            old,
            is_latest: change.is_latest,
        };
        cx.forward(Record {
            key,
            value,
            timestamp,
            headers,
        })
    }
}

/// Where the changes of both sides are changes of one table.
pub(super) struct MergeNode<K, V> {
    pub(super) store: OptionalStore<K, V>,
}

impl<K: Data, V: Data> Node for MergeNode<K, V> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        self.store.put(cx, input.take())
    }

    fn flush(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.flush(cx)
    }
}
