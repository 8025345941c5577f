//! Tables with fewer rows: filter, filter_not.

use std::sync::Arc;

use kstreams_topology::Data;

use super::KTable;
use super::mapped::{Absence, Operator};
use crate::outcome::Outcome;

impl<K: Data, V: Data> KTable<K, V> {
    /// The rows for which the predicate holds. A row that no longer passes is deleted.
    pub fn filter<R, M>(&self, predicate: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> Self
    where
        R: Outcome<bool, M>,
    {
        self.keep(true, predicate)
    }

    /// The rows for which the predicate does not hold. A row that no longer passes is deleted.
    pub fn filter_not<R, M>(&self, predicate: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> Self
    where
        R: Outcome<bool, M>,
    {
        self.keep(false, predicate)
    }

    fn keep<R, M>(&self, wanted: bool, predicate: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> Self
    where
        R: Outcome<bool, M>,
    {
        self.mapped(Operator {
            prefix: "KTABLE-FILTER-",
            compute: Arc::new(move |key, value: V| {
                let holds = predicate(key, &value).outcome()?;
                Ok((holds == wanted).then_some(value))
            }),
            inherit: Clone::clone,
            absence: Absence::Suppressed,
        })
    }
}
