//! Key-value stores, on disk, in memory and cached.

use kstreams_topology::BoxError;
use kstreams_topology::stores::{KeyValueView, Stores};
use serde_json::json;

use crate::harness::{Answer, check};

#[test]
fn entries_are_found_as_in_java() {
    check("store-kv-rocksdb", Stores::persistent("st").key_value(), answer);
    check("store-kv-inmemory", Stores::in_memory("st").key_value(), answer);
    check(
        "store-kv-inmemory-caching",
        Stores::in_memory("st").key_value().cached(),
        answer,
    );
}

#[test]
fn integers_are_ordered_by_their_bytes() {
    let store = Stores::persistent("st").key_value::<i32, String>();
    check("store-kv-int-order", store, |_, mut store| {
        for key in [-2, -1, 0, 1, 256] {
            store.put(&key, &"x".to_owned())?;
        }
        let keys: Vec<i32> = store
            .all()?
            .map(|entry| Ok(entry?.0))
            .collect::<Result<_, BoxError>>()?;
        Ok(json!([keys, shown(store.range(Some(&-1), Some(&1))?)?]))
    });
}

fn shown<E: Into<BoxError>, K: serde::Serialize>(entries: impl Iterator<Item = Result<(K, String), E>>) -> Answer {
    entries.map(|entry| Ok(json!(entry.map_err(Into::into)?))).collect()
}

fn answer(what: &str, mut store: KeyValueView<'_, String, String>) -> Answer {
    let key = |key: &str| key.to_owned();
    match what.split([' ', ';']).next().unwrap_or_default() {
        "put" => {
            for (name, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")] {
                store.put(&key(name), &key(value))?;
            }
            store.delete(&key("c"))?;
            store.put(&key("bb"), &key("x"))?;
            shown(store.all()?)
        }
        "get(a)," => Ok(json!([
            store.get(&key("a"))?,
            store.get(&key("c"))?,
            store.get(&key("zz"))?
        ])),
        "range(b,d)" => shown(store.range(Some(&key("b")), Some(&key("d")))?),
        "range(null,bb)" => shown(store.range(None, Some(&key("bb")))?),
        "range(bb,null)" => shown(store.range(Some(&key("bb")), None)?),
        "range(null,null)" => shown(store.range(None, None)?),
        "range(d,b)" => shown(store.range(Some(&key("d")), Some(&key("b")))?),
        "range(a0,a9)" => shown(store.range(Some(&key("a0")), Some(&key("a9")))?),
        "reverseRange(b,d)" => shown(store.reverse_range(Some(&key("b")), Some(&key("d")))?),
        "reverseAll()" => shown(store.reverse_all()?),
        "prefixScan('b')" => shown(store.prefix_scan(b"b")?),
        "prefixScan('z')" => shown(store.prefix_scan(b"z")?),
        "putIfAbsent(a,9)" => Ok(json!([
            store.put_if_absent(&key("a"), &key("9"))?,
            store.put_if_absent(&key("n"), &key("9"))?,
            store.get(&key("a"))?,
            store.get(&key("n"))?
        ])),
        "delete(a)" => Ok(json!([store.delete(&key("a"))?, store.delete(&key("a"))?])),
        "putAll([(x,1),(x,2),(n,null)])" => {
            store.put_all([(&key("x"), &key("1")), (&key("x"), &key("2"))])?;
            store.delete(&key("n"))?;
            shown(store.all()?)
        }
        "approximateNumEntries" => Ok(json!(store.approximate_num_entries()?)),
        "iterator:" => {
            // No write can come while an iterator is open: the borrow checker sees to it.
            let mut entries = store.range(Some(&key("b")), Some(&key("bb")))?.peekable();
            let once = entries.peek().and_then(|entry| Some(entry.as_ref().ok()?.0.clone()));
            let twice = entries.peek().and_then(|entry| Some(entry.as_ref().ok()?.0.clone()));
            let first = entries.next().transpose()?;
            let second = entries.next().transpose()?;
            Ok(json!([
                once,
                twice,
                first,
                second,
                entries.peek().is_some(),
                "NoSuchElement"
            ]))
        }
        other => Err(format!("nobody knows {other}").into()),
    }
}
