//! Records that found no match yet, shared by both sides of a left or outer join.

use kstreams_topology::stores::{JoinRow, JoinRowsView};
use kstreams_topology::{Data, Error};

/// How many rows are read at a time.
const BATCH: usize = 32;

/// The first rows, or those behind a row; whether there are more.
pub(super) fn next_rows<K: Data, L: Data, R: Data>(
    rows: &mut JoinRowsView<'_, K, L, R>,
    behind: Option<&JoinRow<K, L, R>>,
) -> Result<(Vec<JoinRow<K, L, R>>, bool), Error> {
    let rows = rows.oldest(behind, BATCH)?;
    let more = rows.len() == BATCH;
    Ok((rows, more))
}
