//! Where answers come back to the left side of a foreign-key join, and become rows of the result.

use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{BoxError, Data, Error, Record};

use super::message::Answer;
use super::send::RowHasher;
use crate::table::RowGetter;

/// Makes a row of the result out of a left row and the right one, if there is one; `None` for no row.
pub(super) type Joiner<V, VO, V2> = Arc<dyn Fn(V, Option<VO>) -> Result<Option<V2>, BoxError> + Send + Sync>;

/// Joins the current row of the left table with the answer to it.
pub(super) struct ResolveNode<K, V, VO, V2> {
    pub(super) rows: RowGetter<K, V>,
    pub(super) hasher: RowHasher<V>,
    pub(super) joiner: Joiner<V, VO, V2>,
}

impl<K: Data, V: Data, VO: Data, V2: Data> Node for ResolveNode<K, V, VO, V2> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.hasher.init(cx)
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let Record {
            key,
            value: answer,
            timestamp,
            headers,
        } = input.take::<K, Answer<VO>>();
        let row = self.rows.get(cx, &key)?;
        let hash = row.as_ref().map(|row| self.hasher.hash(&row.value)).transpose()?;
        if hash != answer.hash {
            // The row has changed since it asked, and has asked again.
            cx.drop_record();
            return Ok(());
        }
        let value = match row {
            Some(row) => (self.joiner)(row.value, answer.value).map_err(Error::User)?,
            None => None,
        };
        cx.forward(Record {
            key,
            value,
            timestamp,
            headers,
        })
    }
}
