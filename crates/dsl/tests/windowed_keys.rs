//! Windowed keys in topics: their partitions, and reading them back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kstreams_dsl::{StreamsBuilder, TimeWindows};
use kstreams_test_driver::{TopologyTestDriver, record};
use kstreams_topology::serde::{I64Serde, StringSerde, TimeWindowedSerde};
use kstreams_topology::{Window, Windowed};

const TEN_MS: Duration = Duration::from_millis(10);

#[test]
fn all_windows_of_a_key_go_to_one_partition() {
    let builder = StreamsBuilder::new();
    let grouped = builder.stream::<String, String>("in").group_by_key();
    let counts = grouped.windowed_by(TimeWindows::of_size(TEN_MS)).count().to_stream();
    counts.to("out");
    counts.repartition("by-window").to("through");
    let topology = builder.build().expect("a good topology");
    let driver = TopologyTestDriver::builder(topology)
        .cache_bytes(0)
        .partitions(8)
        .build();
    let mut driver = driver.expect("a driver");
    let input = driver.input::<String, String>("in");
    for timestamp in (0..400).step_by(10) {
        for key in ["a", "b", "c"] {
            driver
                .pipe(&input, record(key, "x").at(timestamp))
                .expect("no record fails");
        }
    }
    let partitions = |topic: &str, key: u8| -> BTreeSet<Option<i32>> {
        let sent = driver.produced().iter().filter(|record| &*record.topic == topic);
        let of_key = sent.filter(|record| record.key.as_ref().is_some_and(|bytes| bytes.first() == Some(&key)));
        of_key.map(|record| record.partition).collect()
    };
    for (key, partition) in [(b'a', 4), (b'b', 4), (b'c', 2)] {
        let where_java_puts_it = BTreeSet::from([Some(partition)]);
        assert_eq!(partitions("out", key), where_java_puts_it, "{}", char::from(key));
        assert_eq!(partitions("through", key), where_java_puts_it, "{}", char::from(key));
    }
}

#[test]
fn windowed_keys_can_be_read_back() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Windowed<String>, i64>("windowed")
        .key_serde(TimeWindowedSerde::new(StringSerde, TEN_MS))
        .map(|windowed, n| (format!("{}@{:?}", windowed.key, windowed.window), n))
        .to("out");
    let topology = builder.build().expect("a good topology");
    let mut driver = TopologyTestDriver::builder(topology).build().expect("a driver");
    let input = driver.input_with::<Windowed<String>, i64>(
        "windowed",
        Arc::new(TimeWindowedSerde::new(StringSerde, TEN_MS)),
        Arc::new(I64Serde),
    );
    let output = driver.output::<String, i64>("out");
    let key = Windowed::new("k".to_owned(), Window::new(20, 30));
    driver.pipe(&input, (key, 3)).expect("no record fails");
    assert_eq!(
        driver.read_key_values(&output).expect("the output can be read"),
        [("k@Window { start: 20, end: 30 }".to_owned(), 3)]
    );
}
