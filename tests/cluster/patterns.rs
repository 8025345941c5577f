//! Sources by pattern: topics that appear while the application runs are read, too.

use kstreams::TopicName;
use kstreams::prelude::*;

use super::application::runs;
use super::{World, eventually, on_each_broker};

fn application(world: &World, state: &std::path::Path) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(Consumed::pattern(world.name("in-[a-z]")))
        .group_by_key()
        .reduce(|sum, value| format!("{sum}{value}"))
        .materialized("sums")
        .to_stream()
        .to(world.name("out").as_str());
    let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("num.stream.threads", 2)
        .set("commit.interval.ms", 100)
        .set("metadata.max.age.ms", 300)
        .set("session.timeout.ms", 6000)
        .set("heartbeat.interval.ms", 500);
    let mut streams =
        KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
    streams.start().expect("a start");
    streams
}

#[test]
fn topics_that_come_and_go_are_followed_by_the_tasks_there_are() {
    on_each_broker("patterns", |world| {
        world.topics(&["out", "in-a"], 2);
        world.topics(&["in-other", "within-c"], 2);
        let state = tempfile::tempdir().expect("a directory");
        let streams = application(world, state.path());
        runs(&streams);
        let keys = ["k0", "k1", "k2", "k3"];
        let write = |topic: &str, value: &str| {
            for key in keys {
                world.write(topic, &[(key, Some(value), 1)]);
            }
        };
        let all_are = |value: &str| {
            let latest = world.latest("out");
            keys.iter()
                .all(|key| latest.get(*key).is_some_and(|found| found == value))
        };
        write("in-a", "a");
        write("within-c", "c");
        write("in-other", "o");
        eventually(|| all_are("a"));

        // The tasks that there are take the topic on, and keep their state.
        world.topics(&["in-b"], 2);
        write("in-b", "b");
        eventually(|| all_are("ab"));

        // A topic that goes takes nothing along but itself.
        world.delete(&TopicName::from(world.name("in-b")));
        write("in-a", "a");
        eventually(|| all_are("aba"));
        world.topics(&["in-c"], 2);
        write("in-c", "c");
        eventually(|| all_are("abac"));
        runs(&streams);
    });
}
