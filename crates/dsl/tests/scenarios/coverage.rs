//! Every scenario of the golden file is checked somewhere, or it says here why not.

use serde_json::Value as Json;

/// The tests that name scenarios in their calls.
const SOURCES: [&str; 12] = [
    include_str!("aggregate.rs"),
    include_str!("changelogs.rs"),
    include_str!("cogroup.rs"),
    include_str!("foreign_key.rs"),
    include_str!("join.rs"),
    include_str!("process.rs"),
    include_str!("stateless.rs"),
    include_str!("suppress.rs"),
    include_str!("table.rs"),
    include_str!("table_join.rs"),
    include_str!("versioned.rs"),
    include_str!("window.rs"),
];

/// The tests of the test driver, which are functions named like scenarios or probe stores.
const DRIVER_SOURCES: [&str; 9] = [
    include_str!("../../../test-driver/tests/scenarios/driver.rs"),
    include_str!("../../../test-driver/tests/scenarios/errors.rs"),
    include_str!("../../../test-driver/tests/scenarios/processors.rs"),
    include_str!("../../../test-driver/tests/scenarios/punctuation.rs"),
    include_str!("../../../test-driver/tests/scenarios/stores.rs"),
    include_str!("../../../test-driver/tests/probes/key_values.rs"),
    include_str!("../../../test-driver/tests/probes/sessions.rs"),
    include_str!("../../../test-driver/tests/probes/versions.rs"),
    include_str!("../../../test-driver/tests/probes/windows.rs"),
];

/// Scenarios that are not run under their name, and why.
const OTHERWISE: [(&str, &str); 14] = [
    (
        "split-unnamed-default",
        "there is no map of branches: each is a value; their names are in the topologies' split_default",
    ),
    ("win-retention-too-small", "an error at build: errors.rs"),
    ("stj-grace-needs-versioned", "an error at build: errors.rs"),
    (
        "suppress-final-needs-window",
        "does not compile for tables without windows",
    ),
    (
        "suppress-shutdown",
        "an error: suppress.rs of the crate's own tests, and the conformance cases",
    ),
    (
        "store-kv-timestamped",
        "stores.rs of the test driver: rows_know_when_they_were_set",
    ),
    (
        "timestamp-extractors",
        "timestamps.rs of the test driver, an extractor a test",
    ),
    ("store-kv-lru", "there is no store that forgets by itself"),
    ("store-iqv2", "interactive queries are not there yet"),
    ("store-versioned-iq", "interactive queries are not there yet"),
    ("v43-headers-store", "a format of 4.3, off by default there"),
    ("v43-dsl-headers-format", "a format of 4.3, off by default there"),
    ("print-format", "print writes where the program says: a test of its own"),
    ("table-transform-values", "transform_values has a test of its own"),
];

#[test]
fn every_scenario_is_checked() {
    let lines = include_str!("../golden/scenarios.jsonl").lines();
    let ids = lines.map(|line| {
        let scenario: Json = serde_json::from_str(line).expect("a scenario a line");
        scenario["id"].as_str().expect("an id").to_owned()
    });
    let unchecked: Vec<String> = ids.filter(|id| !is_checked(id)).collect();
    assert_eq!(unchecked, Vec::<String>::new());
}

fn is_checked(id: &str) -> bool {
    let (called, function) = (format!("\"{id}\""), format!("fn {}()", id.replace('-', "_")));
    let mut sources = SOURCES.iter().chain(&DRIVER_SOURCES);
    sources.any(|source| source.contains(&called) || source.contains(&function))
        || OTHERWISE.iter().any(|(known, _)| *known == id)
}
