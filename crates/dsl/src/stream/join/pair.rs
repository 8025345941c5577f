//! Two records of joined streams, one from each side: what a join's closure is called with.

use std::sync::Arc;

use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::{JoinSide, SideValue};
use kstreams_topology::{BoxError, Data, Error, Nullable, Record};

/// Joins a left and a right value of one key; none is left out. At least one of them is there.
pub(super) type PairJoiner<K, L, R, V> =
    Arc<dyn Fn(&K, Option<&L>, Option<&R>) -> Result<Option<V>, BoxError> + Send + Sync>;

/// One of the two streams of a join.
pub(super) trait Side<L: Data, R: Data>: Send + 'static {
    /// This stream's values.
    type This: Data;
    /// The other stream's values.
    type Other: Data;

    /// Which side it is.
    const SIDE: JoinSide;
    /// Which side the other one is.
    const OTHER: JoinSide;

    /// The values as left and right.
    fn pair<'a>(this: &'a Self::This, other: Option<&'a Self::Other>) -> Pair<'a, L, R>;

    /// A value as one of its side.
    fn side_value(this: Self::This) -> SideValue<L, R>;
}

/// The stream whose method was called.
pub(super) struct Left;

/// The stream that it was called with.
pub(super) struct Right;

impl<L: Data, R: Data> Side<L, R> for Left {
    type This = L;
    type Other = R;

    const SIDE: JoinSide = JoinSide::Left;
    const OTHER: JoinSide = JoinSide::Right;

    fn pair<'a>(this: &'a L, other: Option<&'a R>) -> Pair<'a, L, R> {
        (Some(this), other)
    }

    fn side_value(this: L) -> SideValue<L, R> {
        SideValue::Left(this)
    }
}

impl<L: Data, R: Data> Side<L, R> for Right {
    type This = R;
    type Other = L;

    const SIDE: JoinSide = JoinSide::Right;
    const OTHER: JoinSide = JoinSide::Left;

    fn pair<'a>(this: &'a R, other: Option<&'a L>) -> Pair<'a, L, R> {
        (other, Some(this))
    }

    fn side_value(this: R) -> SideValue<L, R> {
        SideValue::Right(this)
    }
}

/// A left and a right value, of which one may be missing.
pub(super) type Pair<'a, L, R> = (Option<&'a L>, Option<&'a R>);

/// Joins a pair and forwards the outcome.
pub(super) fn forward_joined<K: Nullable, L, R, V: Nullable>(
    cx: &mut NodeContext<'_>,
    joiner: &PairJoiner<K, L, R, V>,
    record: Record<K, Pair<'_, L, R>>,
) -> Result<(), Error> {
    let (left, right) = record.value;
    let Some(value) = joiner(&record.key, left, right).map_err(Error::User)? else {
        return Ok(());
    };
    cx.forward(record.with_value(value))
}
