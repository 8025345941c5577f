//! Session stores, on disk and in memory.

use std::time::Duration;

use kstreams_topology::stores::{SessionView, Stores};
use kstreams_topology::{Window, Windowed};
use serde_json::json;

use crate::harness::{Answer, check, shown};

const RETENTION: Duration = Duration::from_millis(100);

#[test]
fn sessions_are_found_as_in_java() {
    check(
        "store-session-rocksdb",
        Stores::persistent("st").session(RETENTION),
        answer,
    );
    check(
        "store-session-inmemory",
        Stores::in_memory("st").session(RETENTION),
        answer,
    );
}

fn answer(what: &str, mut store: SessionView<'_, String, String>) -> Answer {
    let session = |key: &str, start, end| Windowed::new(key.to_owned(), Window::new(start, end));
    let some = |value: &str| Some(value.to_owned());
    let (a, b) = ("a".to_owned(), "b".to_owned());
    match what {
        "findSessions(a, earliestEnd 20, latestStart 30)" => shown(store.find_sessions(&a, 20, 30)?),
        "findSessions(a, 21, 29)" => shown(store.find_sessions(&a, 21, 29)?),
        "findSessions(a, 0, 10)" => shown(store.find_sessions(&a, 0, 10)?),
        "backwardFindSessions(a,0,100)" => shown(store.backward_find_sessions(&a, 0, 100)?),
        "findSessions(a,b,0,100)" => shown(store.find_sessions_in(Some(&a), Some(&b), 0, 100)?),
        "findSessions(earliestEnd 15, latestEnd 40)" => {
            let ended = store.find_sessions_in(None, None, 15, i64::MAX)?;
            shown(ended.filter(|row| row.as_ref().is_ok_and(|(session, _)| session.window.end <= 40)))
        }
        "fetchSession(a,10,20) ; (a,10,21)" => Ok(json!([
            store.fetch_session(&a, 10, 20)?,
            store.fetch_session(&a, 10, 21)?
        ])),
        "fetch(a,b) ; backwardFetch(a)" => {
            let both = shown(store.fetch_keys(Some(&a), Some(&b))?)?;
            Ok(json!([both, shown(store.backward_fetch(&a)?)?]))
        }
        _ if what.starts_with("put a[0,0]=1") => {
            for (key, start, end, value) in [
                ("a", 0, 0, "1"),
                ("a", 10, 20, "2"),
                ("a", 30, 40, "3"),
                ("b", 5, 15, "4"),
            ] {
                store.put(&session(key, start, end), some(value).as_ref())?;
            }
            shown(store.fetch(&a)?)
        }
        _ if what.starts_with("remove a[10,20]") => {
            store.remove(&session("a", 10, 20))?;
            store.put(&session("b", 5, 15), None)?;
            shown(store.fetch_keys(Some(&a), Some(&b))?)
        }
        _ if what.starts_with("put z[135,140]") => {
            store.put(&session("z", 135, 140), some("z").as_ref())?;
            shown(store.fetch(&a)?)
        }
        _ if what.starts_with("put late a[35,40]") => {
            store.put(&session("a", 35, 40), some("late").as_ref())?;
            store.put(&session("a", 41, 41), some("edge").as_ref())?;
            shown(store.fetch(&a)?)
        }
        other => Err(format!("nobody knows {other}").into()),
    }
}
