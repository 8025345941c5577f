//! Programs over topics of several partitions: each subtopology has a task per partition, as in a cluster.

use std::collections::BTreeMap;

use kstreams_dsl::{Consumed, Repartitioned, StreamsBuilder};
use kstreams_test_driver::{Error, ProducedRecord, TopologyTestDriver};
use kstreams_topology::stores::TimestampedKeyValueStore;

fn driver(builder: StreamsBuilder, partitions: i32) -> TopologyTestDriver {
    let topology = builder.build().expect("a good topology");
    let driver = TopologyTestDriver::builder(topology).partitions(partitions).build();
    driver.expect("a driver")
}

/// In which partitions of a store each key is.
fn places(driver: &mut TopologyTestDriver, store: &str, partitions: i32, keys: &[&str]) -> BTreeMap<String, Vec<i32>> {
    let mut places: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for partition in 0..partitions {
        let mut view = driver
            .store_named_of::<TimestampedKeyValueStore<String, i64>>(store, partition)
            .expect("a store");
        for key in keys {
            if view.get(&(*key).to_owned()).expect("memory").is_some() {
                places.entry((*key).to_owned()).or_default().push(partition);
            }
        }
    }
    places
}

#[test]
fn a_key_is_counted_in_one_place_wherever_it_came_from() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("lines")
        .group_by(|_, word| word.clone())
        .count()
        .materialized("counts")
        .to_stream()
        .to("out");
    let mut driver = driver(builder, 3);
    let input = driver.input::<Option<String>, String>("lines");
    let output = driver.output::<String, i64>("out");
    let words = ["a", "b", "c", "d"];
    for _ in 0..5 {
        driver
            .pipe_all(&input, words.map(|word| (None, word)))
            .expect("no record fails");
    }
    let counts = driver.read_map(&output).expect("counts");
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [5; 4]);
    let before = places(&mut driver, "counts", 3, &words);
    assert!(before.values().all(|places| places.len() == 1), "{before:?}");
    assert!(before.values().any(|places| *places != [0]), "{before:?}");

    driver.restart().expect("a restart");
    assert_eq!(places(&mut driver, "counts", 3, &words), before);
    assert!(driver.counters().restored > 0);
    driver.pipe(&input, (None, "a")).expect("no record fails");
    assert_eq!(driver.read_key_value(&output).expect("a count"), ("a".to_owned(), 6));
}

#[test]
fn joined_topics_meet_and_a_global_table_is_everywhere() {
    let builder = StreamsBuilder::new();
    let users = builder.table::<String, String>("users").materialized("users");
    let countries = builder
        .global_table::<String, String>("countries")
        .materialized("countries");
    builder
        .stream::<String, String>("clicks")
        .join_table(&users, |_, click, user: String| format!("{click}/{user}"))
        .join_global(
            &countries,
            |_, joined: &String| joined.rsplit('/').next().unwrap_or_default().to_owned(),
            |_, joined, country: String| format!("{joined}/{country}"),
        )
        .to("out");
    let mut driver = driver(builder, 4);
    let countries = driver.input::<String, String>("countries");
    let users = driver.input::<String, String>("users");
    let clicks = driver.input::<String, String>("clicks");
    let output = driver.output::<String, String>("out");
    driver
        .pipe_all(&countries, [("pe", "Peru"), ("it", "Italy")])
        .expect("no record fails");
    let names = ["ann", "bob", "cid", "dan", "eve", "fay"];
    driver
        .pipe_all(&users, names.map(|name| (name, "pe")))
        .expect("no record fails");
    driver.pipe(&users, ("bob", "it")).expect("no record fails");
    driver.restart().expect("a restart");
    driver
        .pipe_all(&clicks, names.map(|name| (name, "c")))
        .expect("no record fails");
    let found = driver.read_map(&output).expect("records");
    let expected = |name: &str| if name == "bob" { "c/it/Italy" } else { "c/pe/Peru" };
    for name in names {
        assert_eq!(found.get(name).map(String::as_str), Some(expected(name)));
    }
}

#[test]
fn a_number_of_partitions_that_is_said_is_kept() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(Consumed::pattern("in-.*"))
        .repartition(Repartitioned::new().named("five").partitions(5))
        .group_by_key()
        .count()
        .materialized("counts")
        .to_stream()
        .to("out");
    let mut driver = driver(builder, 2);
    let input = driver.input::<String, String>("in-a");
    let keys: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    let records = keys.iter().map(|key| (key.clone(), "v".to_owned()));
    driver.pipe_all(&input, records).expect("no record fails");
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let places = places(&mut driver, "counts", 5, &keys);
    assert_eq!(places.len(), 40);
    assert!(places.values().any(|places| *places == [4]), "{places:?}");

    let sent = driver.produced().first().expect("something was sent").clone();
    let raw = |partition| ProducedRecord {
        topic: "in-a".into(),
        partition: Some(partition),
        ..sent.clone()
    };
    driver.pipe_raw(raw(1)).expect("a partition");
    let refused = driver.pipe_raw(raw(2));
    assert!(
        matches!(refused, Err(Error::UnknownPartition { partition: 2, .. })),
        "{refused:?}"
    );
}
