//! Versioned stores.

use std::time::Duration;

use kstreams_topology::stores::{PutOutcome, Stores, VersionedRecord, VersionedView};
use serde_json::{Value as Json, json};

use crate::harness::{Answer, check};

#[test]
fn versions_are_found_as_in_java() {
    let store = Stores::persistent("st").versioned(Duration::from_millis(100), None);
    check("store-versioned", store, answer);
}

/// Java's store does not tell until when a version was valid.
fn shown(version: Option<VersionedRecord<String>>) -> Json {
    json!(version.map(|version| json!({"v": version.value, "from": version.timestamp, "to": null})))
}

fn answer(what: &str, mut store: VersionedView<'_, String, String>) -> Answer {
    let k = "k".to_owned();
    let put = |store: &mut VersionedView<'_, String, String>, key: &str, value: Option<&str>, time| {
        let outcome = store.put(&key.to_owned(), value.map(str::to_owned).as_ref(), time);
        outcome.map(|outcome| match outcome {
            PutOutcome::ValidTo(time) => time,
            PutOutcome::Latest => -1,
            PutOutcome::TooOld => i64::MIN,
        })
    };
    match what {
        "get(k)" => Ok(shown(store.get(&k)?)),
        _ if what.starts_with("put k: v10@10") => {
            let puts = [
                (Some("v10"), 10),
                (Some("v20"), 20),
                (Some("v15"), 15),
                (None, 30),
                (Some("v40"), 40),
            ];
            let codes = puts
                .into_iter()
                .map(|(value, time)| Ok(json!(put(&mut store, "k", value, time)?)));
            codes.collect()
        }
        _ if what.starts_with("get(k, asOf)") => {
            let times = [9, 10, 14, 15, 19, 20, 29, 30, 39, 40, 1000];
            let found = times.into_iter().map(|time| Ok(shown(store.get_as_of(&k, time)?)));
            found.collect()
        }
        _ if what.starts_with("put(k,'x20',20)") => {
            let code = put(&mut store, "k", Some("x20"), 20)?;
            Ok(json!([code, shown(store.get_as_of(&k, 20)?)]))
        }
        _ if what.starts_with("delete(k,25)") => Ok(json!([
            shown(store.delete(&k, 25)?),
            shown(store.get_as_of(&k, 27)?),
            shown(store.delete(&k, 5)?)
        ])),
        _ if what.starts_with("put(o,'new',200)") => {
            let mut answers = vec![json!(put(&mut store, "o", Some("new"), 200)?)];
            for time in [40, 99, 100, 39] {
                answers.push(shown(store.get_as_of(&k, time)?));
            }
            Ok(json!(answers))
        }
        _ if what.starts_with("put(k,'late',99)") => {
            let codes = [
                put(&mut store, "k", Some("late"), 99)?,
                put(&mut store, "k", Some("edge"), 100)?,
            ];
            Ok(json!([codes[0], codes[1], shown(store.delete(&k, 50)?)]))
        }
        _ if what.starts_with("put(k,null,300)") => {
            let code = put(&mut store, "k", None, 300)?;
            Ok(json!([code, shown(store.get(&k)?), shown(store.get_as_of(&k, 250)?)]))
        }
        other => Err(format!("nobody knows {other}").into()),
    }
}
