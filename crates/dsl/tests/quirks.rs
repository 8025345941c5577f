//! Where Java is wrong the default is right, and the switch makes Java's mistake.

use kstreams_dsl::{BuildOptions, StreamsBuilder};
use kstreams_test_driver::TopologyTestDriver;

/// Counts the keys that were counted, without a record cache.
fn keys_counted(options: BuildOptions) -> Vec<Option<i64>> {
    let builder = StreamsBuilder::new();
    let counts = builder.stream::<String, String>("in").group_by_key().count();
    let keys = counts.group_by(|_, count: i64| ("all".to_owned(), count)).count();
    keys.to_stream().to("out");
    let topology = builder.build_with(options).expect("the program is right");
    let driver = TopologyTestDriver::builder(topology).cache_bytes(0).build();
    let mut driver = driver.expect("it can run");
    let input = driver.input::<String, String>("in");
    for key in ["a", "b", "c"] {
        driver.pipe(&input, (key, "x")).expect("it runs");
    }
    let output = driver.output::<String, Option<i64>>("out");
    let counted = driver.read_key_values(&output).expect("it can be read");
    counted.into_iter().map(|(_, count)| count).collect()
}

#[test]
fn a_new_aggregate_takes_nothing_away_below() {
    assert_eq!(keys_counted(BuildOptions::default()), [Some(1), Some(2), Some(3)]);
    let as_in_java = BuildOptions::default().java_quirks(true);
    assert_eq!(keys_counted(as_in_java), [Some(1), Some(1), Some(1)]);
}
