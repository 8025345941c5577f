//! The rows of a join that has no store: joined anew, each time that one is asked for.

use std::rc::Rc;

use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::ValueAndTimestamp;
use kstreams_topology::{Data, Error};

use super::{Joiner, Required};
use crate::error::Result as BuildResult;
use crate::table::rows::GetRow;
use crate::table::{RowGetter, RowSource, RowsPlan};

pub(super) struct JoinedRows<K, V, VO, V2> {
    pub(super) this: Rc<dyn RowsPlan<K, V>>,
    pub(super) other: Rc<dyn RowsPlan<K, VO>>,
    pub(super) required: Required,
    pub(super) joiner: Joiner<V, VO, V2>,
}

impl<K: Data, V: Data, VO: Data, V2: Data> RowsPlan<K, V2> for JoinedRows<K, V, VO, V2> {
    /// The join has asked both tables already.
    fn enable(&self) {}

    fn lower(&self, asking: &str) -> BuildResult<RowSource<K, V2>> {
        let (this, other) = (self.this.lower(asking)?, self.other.lower(asking)?);
        let (required, joiner) = (self.required, self.joiner.clone());
        let mut stores = this.stores().to_vec();
        let others = other.stores().iter().filter(|store| !this.stores().contains(store));
        stores.extend(others.cloned());
        Ok(RowSource::new(stores, move || {
            Box::new(JoinedGetter {
                this: this.open(),
                other: other.open(),
                required,
                joiner: joiner.clone(),
            })
        }))
    }
}

struct JoinedGetter<K, V, VO, V2> {
    this: RowGetter<K, V>,
    other: RowGetter<K, VO>,
    required: Required,
    joiner: Joiner<V, VO, V2>,
}

impl<K: Data, V: Data, VO: Data, V2: Data> GetRow<K, V2> for JoinedGetter<K, V, VO, V2> {
    fn get(&mut self, cx: &mut NodeContext<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V2>>, Error> {
        let this = self.this.get(cx, key)?;
        if this.is_none() && self.required.this {
            return Ok(None);
        }
        let other = self.other.get(cx, key)?;
        let timestamps = (
            this.as_ref().map(|row| row.timestamp),
            other.as_ref().map(|row| row.timestamp),
        );
        let Some(timestamp) = timestamps.0.max(timestamps.1) else {
            return Ok(None);
        };
        if other.is_none() && self.required.other {
            return Ok(None);
        }
        let value = (self.joiner)(this.map(|row| row.value), other.map(|row| row.value)).map_err(Error::User)?;
        Ok(value.map(|value| ValueAndTimestamp { value, timestamp }))
    }

    /// The result of a join is not versioned, even where both sides are (KIP-914).
    fn get_as_of(&mut self, cx: &mut NodeContext<'_>, key: &K, _: i64) -> Result<Option<ValueAndTimestamp<V2>>, Error> {
        self.get(cx, key)
    }
}
