//! The first difference between two results of a case.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

/// What Java says where it fails for no fault of the program, see `docs/differences.md`.
const FAILS_IN_JAVA_ONLY: &str = "\"windowBeingProcessed.value\" is null";

/// What first differs, in words, or none. A case that the oracle gave up, because it produces without end, never differs,
/// nor does one on which Java fails by a mistake of its own.
pub fn difference(expected: &Json, actual: &Json) -> Option<String> {
    let at = |result, field| member(result, field);
    let failed = at(expected, "error");
    let cause = at(failed, "root_message").as_str().unwrap_or_default();
    if at(failed, "phase") == "limit" || cause.contains(FAILS_IN_JAVA_ONLY) {
        return None;
    }
    description(at(expected, "description"), at(actual, "description"))
        .or_else(|| error(at(expected, "error"), at(actual, "error")))
        .or_else(|| outputs(at(expected, "outputs"), at(actual, "outputs")))
        .or_else(|| {
            let mut sections = ["peeks", "stores", "metrics"].into_iter();
            sections.find_map(|section| members(section, at(expected, section), at(actual, section)))
        })
}

fn member<'a>(json: &'a Json, field: &str) -> &'a Json {
    json.get(field).unwrap_or(&Json::Null)
}

fn description(expected: &Json, actual: &Json) -> Option<String> {
    let normal = |text: &Json| normalized(text.as_str().unwrap_or_default());
    let (expected, actual) = (normal(expected), normal(actual));
    if expected == actual {
        return None;
    }
    let (mut left, mut right) = (expected.lines(), actual.lines());
    for at in 1.. {
        let (left, right) = (left.next(), right.next());
        if left != right || left.is_none() {
            let what = format!("description, line {at}");
            return Some(told(&what, left.unwrap_or("(end)"), right.unwrap_or("(end)")));
        }
    }
    None
}

/// Store and topic names of one node print in the order of a Java hash set: no order is promised.
fn normalized(description: &str) -> String {
    let mut lines = Vec::new();
    for line in description.lines() {
        let list = ["(stores: [", "(topics: ["].iter().find_map(|open| {
            let from = line.find(open)? + open.len();
            let to = from + line.get(from..)?.find(']')?;
            Some((line.get(..from)?, line.get(from..to)?, line.get(to..)?))
        });
        lines.push(match list {
            None => line.to_owned(),
            Some((before, names, after)) => {
                let names: BTreeSet<&str> = names.split(", ").collect();
                let names: Vec<&str> = names.into_iter().collect();
                format!("{before}{}{after}", names.join(", "))
            }
        });
    }
    lines.join("\n")
}

fn error(expected: &Json, actual: &Json) -> Option<String> {
    let differs = |field: &&str| member(expected, field) != member(actual, field);
    ["phase", "step", "class"]
        .iter()
        .find(|field| differs(field))
        .map(|_| told("error", expected, actual))
}

/// User topics come first: their difference says more than that of a changelog.
fn outputs(expected: &Json, actual: &Json) -> Option<String> {
    let is_internal = |topic: &str| topic.ends_with("-changelog") || topic.ends_with("-repartition");
    let (internal, user): (Vec<_>, Vec<_>) = names(expected, actual)
        .into_iter()
        .partition(|topic| is_internal(topic));
    user.into_iter()
        .chain(internal)
        .find_map(|topic| records(topic, member(expected, topic), member(actual, topic)))
}

fn names<'a>(a: &'a Json, b: &'a Json) -> BTreeSet<&'a str> {
    let keys = |json: &'a Json| json.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    keys(a).chain(keys(b)).collect()
}

fn records(topic: &str, expected: &Json, actual: &Json) -> Option<String> {
    let what = format!("outputs of topic {topic}, record");
    entries(&what, expected, actual, |left, right| {
        // A partition counts only where both sides know it.
        let known = |record: &Json| !member(record, "partition").is_null();
        let partition = known(left) && known(right);
        bare(left, partition) == bare(right, partition)
    })
}

/// Only what both sides must state: decoded forms and the global sequence are conveniences.
fn bare(record: &Json, partition: bool) -> Vec<(&String, &Json)> {
    let ignored = |field: &str| matches!(field, "seq" | "k" | "v") || field == "partition" && !partition;
    let fields = record.as_object().into_iter().flatten();
    fields.filter(|(field, _)| !ignored(field)).collect()
}

fn members(section: &str, expected: &Json, actual: &Json) -> Option<String> {
    names(expected, actual).into_iter().find_map(|name| {
        let what = format!("{section}.{name}");
        let (left, right) = (member(expected, name), member(actual, name));
        let (inner_left, inner_right) = (member(left, "entries"), member(right, "entries"));
        if left.is_array() && right.is_array() {
            entries(&format!("{what}, entry"), left, right, Json::eq)
        } else if inner_left.is_array() && inner_right.is_array() {
            entries(&format!("{what}, entry"), inner_left, inner_right, Json::eq).or_else(|| same(&what, left, right))
        } else {
            same(&what, left, right)
        }
    })
}

fn entries(what: &str, expected: &Json, actual: &Json, equal: impl Fn(&Json, &Json) -> bool) -> Option<String> {
    let count = |json: &Json| json.as_array().map_or(0, Vec::len);
    let counts = (count(expected), count(actual));
    (0..counts.0.max(counts.1)).find_map(|at| {
        let entry = |json: &'_ Json| json.get(at).cloned().unwrap_or(Json::Null);
        let (left, right) = (entry(expected), entry(actual));
        let place = format!("{what} {at} ({} expected, {} actual)", counts.0, counts.1);
        (!equal(&left, &right)).then(|| told(&place, left, right))
    })
}

/// The first time in the buffer of a join with grace is, in Java, when the buffer was last looked through.
fn same(what: &str, expected: &Json, actual: &Json) -> Option<String> {
    if member(actual, "type") == "buffer" && member(actual, "min_ts").is_null() {
        let same = ["records", "bytes"]
            .iter()
            .all(|field| member(expected, field) == member(actual, field));
        return (!same).then(|| told(what, expected, actual));
    }
    (expected != actual).then(|| told(what, expected, actual))
}

fn told(what: &str, expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> String {
    format!("{what}\n  expected {expected}\n  actual   {actual}")
}
