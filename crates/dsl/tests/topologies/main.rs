//! Programs come to the topologies that Java makes of them: names, order and text, internal topics and their configs, and
//! what is partitioned alike. The expectations were printed by Java.

mod aggregates;
mod harness;
mod joins;
mod streams;
mod tables;
mod windows;

const SOURCES: [&str; 5] = [
    include_str!("aggregates.rs"),
    include_str!("joins.rs"),
    include_str!("streams.rs"),
    include_str!("tables.rs"),
    include_str!("windows.rs"),
];

#[test]
fn every_golden_is_checked() {
    let is_checked = |name: &str| SOURCES.iter().any(|source| source.contains(&format!("(\"{name}\"")));
    let unchecked = harness::goldens()
        .map(|golden| golden.name)
        .filter(|name| !is_checked(name));
    assert_eq!(unchecked.collect::<Vec<_>>(), Vec::<String>::new());
}
