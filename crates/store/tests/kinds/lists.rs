//! A store of lists: what is put is what is there, and what the changelog says.

use std::collections::BTreeMap;

use kstreams_store::layout::list;
use kstreams_store::{Kind, State, Write};
use proptest::prelude::*;

use crate::{Log, Model, context, rows};

#[derive(Default)]
pub(crate) struct Lists(BTreeMap<Vec<u8>, Vec<Vec<u8>>>);

/// Adds a value to a key's list, or deletes the list.
#[derive(Clone, Debug)]
pub(crate) struct Add(u8, Option<Vec<u8>>);

impl Model for Lists {
    type Op = Add;

    fn kind() -> Kind {
        Kind::List
    }

    fn op() -> BoxedStrategy<Add> {
        let value = proptest::collection::vec(any::<u8>(), 0..4);
        let value = proptest::option::weighted(0.8, value);
        (0..4_u8, value).prop_map(|(key, value)| Add(key, value)).boxed()
    }

    fn play(&mut self, Add(key, value): Add, state: &mut State, changelog: &mut Log) {
        let key = vec![key];
        let mut write = Write {
            output: changelog,
            context: &context(5),
        };
        let Some(value) = value else {
            self.0.remove(&key);
            return state.put(&mut write, &key, None).expect("it can be deleted");
        };
        let known = state.get(&mut write, &key).expect("it can be read");
        let mut values = known.unwrap_or_default().to_vec();
        list::push(&mut values, &value);
        state.put(&mut write, &key, Some(&values)).expect("it can be put");
        self.0.entry(key).or_default().push(value);
    }

    fn compare(&mut self, state: &mut State) {
        let rows = rows(state);
        let lists = rows.iter().map(|(key, values)| {
            let values = list::values(values).map(|value| value.expect("a whole list").to_vec());
            (key.clone(), values.collect())
        });
        assert_eq!(lists.collect::<BTreeMap<_, Vec<Vec<u8>>>>(), self.0);
    }
}
