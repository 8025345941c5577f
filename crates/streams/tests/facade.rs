//! Whatever the DSL offers can be named through this crate.

/// The names in a file's lists of what it offers again.
fn offered(source: &str) -> impl Iterator<Item = &str> {
    let lists = source
        .split("\npub use ")
        .skip(1)
        .filter_map(|list| list.split_once(';'));
    lists.flat_map(|(list, _)| {
        let names = list.rsplit("::").next().unwrap_or_default();
        names
            .split([',', '{', '}'])
            .map(str::trim)
            .filter(|name| !name.is_empty())
    })
}

#[test]
fn the_dsl_is_offered_as_a_whole() {
    let ours: Vec<_> = offered(include_str!("../src/lib.rs")).collect();
    assert!(ours.contains(&"StreamsBuilder"), "{ours:?}");
    // Its errors go by another name here: a running program has errors, too.
    let missing = offered(include_str!("../../dsl/src/lib.rs"))
        .filter(|name| !["Error", "Result"].contains(name) && !ours.contains(name));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
}
