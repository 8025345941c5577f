//! Records wait for late rows of a versioned table before they are joined with it.

use std::marker::PhantomData;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::stores::{StoreHandle, TimeOrderedBuffer};
use kstreams_topology::{Data, Error, Nullable, Record};

use super::lookup::{Found, Keyless, Look, RowJoiner};

/// Joins each record when stream time is `grace_ms` ahead of it. Records that are later than that already, and those without
/// a key, are joined at once.
pub(super) struct GraceNode<K: Nullable, V: Nullable, R, V2, L> {
    look: L,
    joiner: RowJoiner<K, V, R, V2>,
    buffer: StoreHandle<TimeOrderedBuffer<K::Inner, V::Inner>>,
    grace_ms: i64,
    keyless: KeylessWait,
    types: PhantomData<fn(K, V)>,
}

/// What becomes of records without a key that a left join takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeylessWait {
    /// They are joined at once.
    Never,
    /// They are an error, as in Java, which would have them wait like others but cannot.
    Refused,
}

impl<K: Nullable, V: Nullable, R: Data, V2: Nullable, L: Look<K, V, R>> GraceNode<K, V, R, V2, L> {
    pub(super) fn new(
        look: L,
        joiner: RowJoiner<K, V, R, V2>,
        buffer: StoreHandle<TimeOrderedBuffer<K::Inner, V::Inner>>,
        (grace_ms, keyless): (i64, KeylessWait),
    ) -> Self {
        Self {
            look,
            joiner,
            buffer,
            grace_ms,
            keyless,
            types: PhantomData,
        }
    }

    fn join(&mut self, cx: &mut NodeContext<'_>, record: Record<K, V>) -> Result<(), Error> {
        let found = self.look.look(cx, &record)?;
        self.joiner.join(cx, record, found)
    }

    /// Joins the records that have waited long enough.
    fn release(&mut self, cx: &mut NodeContext<'_>, until: i64) -> Result<(), Error> {
        while let Some(waited) = cx.store(self.buffer).pop(until)? {
            let (Some(key), Some(value)) = (K::from_option(Some(waited.key)), V::from_option(Some(waited.value)))
            else {
                continue;
            };
            let record = Record {
                key,
                value,
                timestamp: waited.context.timestamp,
                headers: waited.context.headers.clone(),
            };
            cx.process_as(waited.context, |cx| self.join(cx, record))?;
        }
        Ok(())
    }
}

impl<K: Nullable, V: Nullable, R: Data, V2: Nullable, L: Look<K, V, R>> Node for GraceNode<K, V, R, V2, L> {
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let record = input.take::<K, V>();
        let (key, value) = match (record.key.as_option(), record.value.as_option()) {
            (Some(key), Some(value)) => (key, value),
            (None, Some(_)) if self.joiner.keyless() == Keyless::Joined => {
                return match self.keyless {
                    KeylessWait::Never => self.joiner.join(cx, record, Found::NoKey),
                    KeylessWait::Refused => Err(Error::User("a record without a key cannot wait".into())),
                };
            }
            _ => {
                cx.drop_record();
                return Ok(());
            }
        };
        let mut buffer = cx.store(self.buffer);
        let observed = buffer.observed_time()?;
        if observed.saturating_sub(self.grace_ms) > record.timestamp {
            return self.join(cx, record);
        }
        buffer.put(key, value)?;
        self.release(cx, observed.max(record.timestamp).saturating_sub(self.grace_ms))
    }
}
