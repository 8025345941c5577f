//! What joins with a table have in common: each record looks up one row, and is joined with it or left out.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{BoxError, Data, Error, Nullable, Record};

use crate::outcome::Outcome;

/// What a record found.
pub(super) enum Found<R> {
    /// It has no key to look a row up by.
    NoKey,
    /// There is no such row.
    NoRow,
    /// The row.
    Row(R),
}

impl<R> From<Option<R>> for Found<R> {
    fn from(row: Option<R>) -> Self {
        row.map_or(Self::NoRow, Self::Row)
    }
}

/// Where a record looks its row up.
pub(super) trait Look<K, V, R>: Send {
    /// The row for this record.
    fn look(&mut self, cx: &mut NodeContext<'_>, record: &Record<K, V>) -> Result<Found<R>, Error>;
}

/// What becomes of a record: joined with its row, joined with none, or left out.
pub(super) struct RowJoiner<K, V: Nullable, R, V2> {
    join: Join<K, V, R, V2>,
    keyless: Keyless,
}

/// Joins a record's value with its row; none leaves the record out.
type Join<K, V, R, V2> =
    Arc<dyn Fn(&K, <V as Nullable>::Inner, Option<R>) -> Result<Option<V2>, BoxError> + Send + Sync>;

/// What a join does with records that have no key to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyless {
    /// They are dropped and counted.
    Dropped,
    /// They are joined with no row.
    Joined,
}

impl<K, V: Nullable, R, V2> Clone for RowJoiner<K, V, R, V2> {
    fn clone(&self) -> Self {
        Self {
            join: self.join.clone(),
            keyless: self.keyless,
        }
    }
}

impl<K: Nullable, V: Nullable, R: Data, V2: Nullable> RowJoiner<K, V, R, V2> {
    /// Records without a row are left out.
    pub(super) fn inner<O, M>(join: impl Fn(&K, V::Inner, R) -> O + Send + Sync + 'static) -> Self
    where
        O: Outcome<V2, M>,
    {
        Self {
            join: Arc::new(move |key, value, row| row.map(|row| join(key, value, row).outcome()).transpose()),
            keyless: Keyless::Dropped,
        }
    }

    /// Records without a row are joined with none.
    pub(super) fn left<O, M>(join: impl Fn(&K, V::Inner, Option<R>) -> O + Send + Sync + 'static) -> Self
    where
        O: Outcome<V2, M>,
    {
        Self {
            join: Arc::new(move |key, value, row| join(key, value, row).outcome().map(Some)),
            keyless: Keyless::Joined,
        }
    }

    pub(super) fn keyless(&self) -> Keyless {
        self.keyless
    }

    /// Joins a record with what it found, and forwards the outcome.
    pub(super) fn join(&self, cx: &mut NodeContext<'_>, record: Record<K, V>, found: Found<R>) -> Result<(), Error> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        let Some(value) = value.into_option() else {
            cx.drop_record();
            return Ok(());
        };
        let row = match found {
            Found::NoKey if self.keyless == Keyless::Dropped => {
                cx.drop_record();
                return Ok(());
            }
            Found::NoKey | Found::NoRow => None,
            Found::Row(row) => Some(row),
        };
        let Some(value) = (self.join)(&key, value, row).map_err(Error::User)? else {
            return Ok(());
        };
        cx.forward(Record {
            key,
            value,
            timestamp,
            headers,
        })
    }
}

/// Joins each record at once.
pub(super) struct LookupNode<K, V: Nullable, R, V2, L> {
    look: L,
    joiner: RowJoiner<K, V, R, V2>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V: Nullable, R, V2, L> LookupNode<K, V, R, V2, L> {
    pub(super) fn new(look: L, joiner: RowJoiner<K, V, R, V2>) -> Self {
        Self {
            look,
            joiner,
            types: PhantomData,
        }
    }
}

impl<K: Nullable, V: Nullable, R: Data, V2: Nullable, L: Look<K, V, R>> Node for LookupNode<K, V, R, V2, L> {
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let record = input.take::<K, V>();
        let found = self.look.look(cx, &record)?;
        self.joiner.join(cx, record, found)
    }
}
