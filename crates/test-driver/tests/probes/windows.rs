//! Window stores, on disk and in memory, with and without duplicates.

use std::time::Duration;

use kstreams_topology::stores::{Stores, WindowOptions, WindowView};
use serde_json::json;

use crate::harness::{Answer, check, shown};

fn options(retain_duplicates: bool) -> WindowOptions {
    let mut options = WindowOptions::new(Duration::from_millis(100), Duration::from_millis(10));
    options.retain_duplicates = retain_duplicates;
    options
}

#[test]
fn windows_are_found_as_in_java() {
    check(
        "store-window-rocksdb",
        Stores::persistent("st").window(options(false)),
        answer,
    );
    check(
        "store-window-rocksdb-dups",
        Stores::persistent("st").window(options(true)),
        answer,
    );
    check(
        "store-window-inmemory",
        Stores::in_memory("st").window(options(false)),
        answer,
    );
    check(
        "store-window-inmemory-dups",
        Stores::in_memory("st").window(options(true)),
        answer,
    );
}

fn answer(what: &str, mut store: WindowView<'_, String, String>) -> Answer {
    let key = |key: &str| key.to_owned();
    let put = |store: &mut WindowView<'_, String, String>, name: &str, value: Option<&str>, start| {
        store.put(&key(name), value.map(str::to_owned).as_ref(), start)
    };
    let rows = |rows: &mut dyn Iterator<Item = kstreams_topology::Result<(i64, String)>>| -> Answer {
        rows.map(|row| Ok(json!(row?))).collect()
    };
    let (a, b) = (key("a"), key("b"));
    match what.split([' ', ';']).next().unwrap_or_default() {
        "put" => {
            for (name, value, start) in [
                ("a", "1", 10),
                ("a", "2", 20),
                ("b", "3", 20),
                ("a", "4", 30),
                ("a", "5", 20),
            ] {
                put(&mut store, name, Some(value), start)?;
            }
            shown(store.all()?)
        }
        "fetch(a,10,20)" => rows(&mut store.fetch_range(&a, 10, 20)?),
        "fetch(a,11,19)" => rows(&mut store.fetch_range(&a, 11, 19)?),
        "fetch(a,30,10)" => rows(&mut store.fetch_range(&a, 30, 10)?),
        "backwardFetch(a,10,30)" => rows(&mut store.backward_fetch_range(&a, 10, 30)?),
        "fetch(a,b,10,30)" => shown(store.fetch_keys(Some(&a), Some(&b), 10, 30)?),
        "fetch(null,null,20,20)" => shown(store.fetch_keys(None, None, 20, 20)?),
        "fetchAll(15,30)" => shown(store.fetch_all(15, 30)?),
        "backwardFetchAll(0,100)" => shown(store.backward_fetch_all(0, 100)?),
        "backwardAll" => shown(store.backward_all()?),
        "fetch(a,20)" => Ok(json!(store.fetch(&a, 20)?)),
        "put(a,null)@20" => {
            put(&mut store, "a", None, 20)?;
            rows(&mut store.fetch_range(&a, 0, 100)?)
        }
        "put(z,9)@120" => {
            put(&mut store, "z", Some("9"), 120)?;
            shown(store.all()?)
        }
        "fetch(b,20)" => Ok(json!([store.fetch(&b, 20)?, store.fetch(&a, 30)?])),
        "put(e,late)@20" => {
            put(&mut store, "e", Some("late"), 20)?;
            put(&mut store, "e", Some("edge"), 21)?;
            shown(store.fetch_all(0, 200)?)
        }
        other => Err(format!("nobody knows {other}").into()),
    }
}
