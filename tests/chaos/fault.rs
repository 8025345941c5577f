//! The process dies at each step of a commit, under both guarantees; what it leaves, and what comes of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kstreams::TopicName;
use kstreams_client::Client;
use kstreams_client::admin::NewTopic;
use kstreams_client::consume::Isolation;
use kstreams_tests::chaos::brokers::{Broker, Fall, Kind};
use kstreams_tests::chaos::feed::Feed;
use kstreams_tests::chaos::fleet::Process;
use kstreams_tests::chaos::model::{self, LEFT, OUTPUTS, PARTITIONS, RIGHT, Values};
use kstreams_tests::chaos::{client, outputs};

use super::replay;

/// Where, and the how manieth time: in the midst of the work, and at points within a commit in the midst of its tasks.
const POINTS: [&str; 9] = [
    "commit:1@5",
    "commit:1+@13",
    "commit:2@6",
    "commit:3@5",
    "commit:4@6",
    "commit:5@5",
    "store:1@29",
    "store:2@30",
    "commit:6@5",
];

/// Reached in transactions only.
const OF_TRANSACTIONS: &str = "commit:4@6";

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn whatever_step_of_a_transaction_is_the_last_all_is_counted_exactly_once() {
    for point in POINTS {
        let [totals, joined, pairs] = dies_and_goes_on(point, "exactly_once_v2", Isolation::ReadCommitted);
        let numbers = joined.values().map(Vec::len).sum::<usize>() as u64;
        for ((topic, expected), found) in OUTPUTS
            .iter()
            .zip(model::single_pass(numbers))
            .zip([totals, joined, pairs])
        {
            let differences = model::differences(topic, &expected, &found, 3);
            assert!(differences.is_empty(), "{point}: {differences:?}");
        }
    }
}

#[test]
fn whatever_step_of_a_commit_is_the_last_all_is_counted_at_least_once() {
    for point in POINTS.into_iter().filter(|point| *point != OF_TRANSACTIONS) {
        let [totals, joined, _] = dies_and_goes_on(point, "at_least_once", Isolation::ReadUncommitted);
        let numbers: BTreeSet<&str> = joined.values().flatten().map(|text| first(text)).collect();
        let [expected, ..] = model::single_pass(numbers.len() as u64);
        assert_eq!(totals.len(), expected.len(), "{point}");
        for (group, expected) in expected {
            let counted = last_count(&totals[&group]);
            assert!(counted >= last_count(&expected), "{point}: {group} {counted:?}");
        }
    }
}

/// What stands first in a text: a number, or how many there were.
fn first(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// How many numbers the last totals of a group count.
fn last_count(totals: &[String]) -> Option<u64> {
    first(totals.last()?).parse().ok()
}

/// Dies at a point, is compared with its changelogs, goes on until everything is put out, and is compared again. What the
/// output topics hold then.
fn dies_and_goes_on(point: &str, guarantee: &str, isolation: Isolation) -> [Values; 3] {
    let folder = tempfile::tempdir().expect("a directory");
    let program = env!("CARGO_BIN_EXE_chaos").as_ref();
    let mut broker = Broker::start(Kind::Embedded, program, folder.path());
    let client = client(&broker.bootstrap());
    let topics: Vec<NewTopic> = [LEFT, RIGHT]
        .into_iter()
        .chain(OUTPUTS)
        .map(|topic| NewTopic::new(TopicName::from(topic), PARTITIONS))
        .collect();
    let created = client.admin().create_topics(&topics).expect("a broker");
    assert!(created.values().all(Result::is_ok), "{created:?}");
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let feed = Feed::start(&broker.bootstrap(), 200, since.as_millis() as i64);
    // A static member need not wait until the group has forgotten who died.
    let settings = [
        format!("processing.guarantee={guarantee}"),
        "num.stream.threads=1".to_owned(),
        "group.instance.id=one".to_owned(),
    ];
    let mut process = Process::new(program, &broker.bootstrap(), folder.path().join("process"), &settings);
    process.die_at(point);
    let compared = replay::compare(&client, &process.state(), isolation);
    assert!(compared.stores > 0, "{point}: {compared:?}");

    process.start();
    std::thread::sleep(Duration::from_millis(500));
    let numbers = feed.stop().expect("a broker");
    until_all_is_put_out(&client, numbers, isolation);
    process.fall(Fall::Stop);
    assert_eq!(process.failures(), [] as [String; 0], "{point}");
    let compared = replay::compare(&client, &process.state(), isolation);
    assert!(compared.rows as u64 > numbers, "{point}: {compared:?}");
    let found = OUTPUTS.map(|topic| outputs::values(&client, topic, PARTITIONS, isolation));
    broker.fall(Fall::Stop);
    found
}

/// Waits until each number has been put out at least once, and each pair.
fn until_all_is_put_out(client: &Client, numbers: u64, isolation: Isolation) {
    let deadline = Instant::now() + PATIENCE;
    let [_, joined, pairs] = model::single_pass(numbers);
    let wanted = |expected: &Values, found: &Values| {
        expected.iter().all(|(key, expected)| {
            let found = found.get(key).map_or(&[] as &[String], Vec::as_slice);
            let found: BTreeSet<&str> = found.iter().map(|text| first(text)).collect();
            expected.iter().all(|text| found.contains(first(text)))
        })
    };
    let is_there =
        |topic: &str, expected: &Values| wanted(expected, &outputs::values(client, topic, PARTITIONS, isolation));
    let [_, joined_out, pairs_out] = OUTPUTS;
    while !(is_there(joined_out, &joined) && is_there(pairs_out, &pairs)) {
        assert!(Instant::now() < deadline, "{numbers} numbers are not put out");
        std::thread::sleep(Duration::from_millis(100));
    }
}
