//! Windowed state: what is emitted on close is emitted once, whatever happens; changelogs are configured for it.

use std::path::Path;
use std::time::Duration;

use kstreams::prelude::*;
use kstreams::{EmitStrategy, TimeWindows, TopicName, Windowed};
use kstreams_client::admin::Resource;

use super::application::{metric, runs};
use super::{World, eventually, on_each_broker};

/// Records by key and ten seconds, emitted when these are over.
fn application(world: &World, state: &Path) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(world.name("in").as_str())
        .group_by_key()
        .windowed_by(TimeWindows::of_size(Duration::from_secs(10)))
        .emit(EmitStrategy::OnWindowClose)
        .count()
        .materialized("counts")
        .to_stream()
        .map(|window: Windowed<String>, count: Option<i64>| {
            let name = format!("{}@{}", window.key, window.window.start);
            (name, count.unwrap_or_default().to_string())
        })
        .to(world.name("out").as_str());
    let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("commit.interval.ms", 100)
        .set("windowstore.changelog.additional.retention.ms", 5000)
        .set("topic.segment.bytes", 1048576);
    let mut streams =
        KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
    streams.start().expect("a start");
    streams
}

/// Lets time pass in the stream until this window is out.
fn wait_for(world: &World, from: i64, window: &str) {
    let now = std::cell::Cell::new(from);
    eventually(|| {
        now.set(now.get() + 1);
        world.write("in", &[("tick", Some(""), now.get())]);
        world.latest("out").contains_key(window)
    });
}

#[test]
fn a_window_is_emitted_once_even_if_its_task_starts_anew_elsewhere() {
    on_each_broker("windows", |world| {
        world.topics(&["in", "out"], 1);
        let state = tempfile::tempdir().expect("a directory");
        let mut streams = application(world, state.path());
        runs(&streams);
        world.write(
            "in",
            &[
                ("k", Some("a"), 1_000),
                ("k", Some("b"), 2_000),
                ("k", Some("c"), 15_000),
            ],
        );
        wait_for(world, 15_000, "k@0");
        assert!(streams.close(None).expect("a close"));
        drop(streams);

        let changelog = format!("{}-counts-changelog", world.name("app"));
        let admin = world.client().admin();
        let configs = admin
            .describe_configs(&[Resource::Topic(TopicName::from(changelog))])
            .expect("a broker");
        let configs: Vec<_> = configs.into_values().map(|found| found.expect("a topic")).collect();
        let config = |key: &str| {
            let found = configs.iter().flatten().find(|(name, _)| *name == key);
            found.and_then(|(_, entry)| entry.value.clone()).unwrap_or_default()
        };
        let set = ["cleanup.policy", "retention.ms", "segment.bytes"].map(config);
        assert_eq!(set, ["compact,delete", "15000", "1048576"]);

        // Another disk: everything comes from the changelog and from what was committed with the offsets.
        let elsewhere = tempfile::tempdir().expect("a directory");
        let streams = application(world, elsewhere.path());
        runs(&streams);
        assert!(metric(&streams, "stream-task-metrics", "restore-total") > 0);
        wait_for(world, 25_000, "k@10000");
        let emitted = world.read_raw(&world.name("out"));
        let of = |window: &str| {
            let found = emitted.iter().filter(|(key, _)| key == window.as_bytes());
            found
                .map(|(_, value)| value.clone().unwrap_or_default())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("k@0"), [b"2".to_vec()]);
        assert_eq!(of("k@10000"), [b"1".to_vec()]);
    });
}
