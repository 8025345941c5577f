//! Builds programs and compares them with what Java printed.

use std::collections::{BTreeMap, BTreeSet};

use kstreams_dsl::{BuildOptions, KStream, KTable, Optimization, StreamsBuilder};
use kstreams_topology::blueprint::{InternalTopicConfig, Subtopologies, changelog_config, repartition_config};

pub(crate) type Builder = StreamsBuilder;

/// Java wants the topic in front of the repartition topic partitioned like the others, where that topic itself is meant.
const JAVA_ASKS_TOO_MUCH: &str = "cogroup_repartition";

pub(crate) fn input(builder: &Builder) -> KStream<String, String> {
    stream(builder, "in")
}

pub(crate) fn stream(builder: &Builder, topic: &str) -> KStream<String, String> {
    builder.stream(topic)
}

pub(crate) fn rekeyed(builder: &Builder) -> KStream<String, String> {
    input(builder).select_key(|_, value| value.clone())
}

pub(crate) fn table(builder: &Builder) -> KTable<String, String> {
    builder.table("t")
}

pub(crate) fn check(golden: &str, program: impl Fn(&Builder)) {
    check_with(golden, Optimization::NONE, program);
}

pub(crate) fn check_with(golden: &str, optimization: Optimization, program: impl Fn(&Builder)) {
    let expected = expected(golden);
    assert_eq!(
        optimization != Optimization::NONE,
        expected.optimization == "all",
        "{golden}: optimization"
    );
    let builder = StreamsBuilder::new();
    program(&builder);
    let topology = builder
        .build_with(BuildOptions::default().optimization(optimization))
        .expect("the program is right");
    assert_eq!(topology.describe(), expected.description, "{golden}");
    let parts = topology.subtopologies("app");
    let decided = parts.copartitioned.iter();
    let decided = decided.map(|group| group.iter().map(|topic| topic.to_string()).collect());
    let decided: BTreeSet<BTreeSet<String>> = decided.collect();
    if golden != JAVA_ASKS_TOO_MUCH {
        assert_eq!(decided, expected.copartition_groups, "{golden}");
    }
    // Java also lists the source topics that are changelogs at the same time; their configs are the user's.
    let is_own = |(topic, _): &(&String, _)| topic.starts_with("app-");
    let topics = expected.internal_topics.iter().filter(is_own);
    assert_eq!(
        internal(&parts).iter().collect::<Vec<_>>(),
        topics.collect::<Vec<_>>(),
        "{golden}"
    );
    if optimization == Optimization::NONE {
        assert_eq!(
            names_consumed(&program),
            expected.names_consumed,
            "{golden}: names consumed"
        );
    }
}

/// The number that the next generated name gets.
fn names_consumed(program: impl Fn(&Builder)) -> usize {
    let builder = StreamsBuilder::new();
    program(&builder);
    stream(&builder, "behind-all-others");
    let topology = builder.build().expect("the program is right").describe();
    let source = topology.lines().find(|line| line.contains("[behind-all-others]"));
    let number = source.and_then(|line| line.split("KSTREAM-SOURCE-").nth(1)?.split(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a numbered source")
}

fn internal(parts: &Subtopologies) -> BTreeMap<String, InternalTopicConfig> {
    let none = BTreeMap::new();
    let mut topics = BTreeMap::new();
    for part in &parts.parts {
        let repartition = part.repartition_sources.keys();
        topics.extend(repartition.map(|topic| (topic.to_string(), repartition_config(&none))));
        for store in part.stores.iter().filter(|store| !store.changelog_is_source) {
            let topic = store.changelog.as_ref().map(ToString::to_string);
            topics.extend(topic.map(|topic| (topic, changelog_config(&store.spec, &none))));
        }
    }
    topics
}

/// Everything that Java printed.
pub(crate) fn goldens() -> impl Iterator<Item = Golden> {
    let lines = include_str!("../golden/topologies.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).expect("a golden a line"))
}

fn expected(golden: &str) -> Golden {
    goldens()
        .find(|known| known.name == golden)
        .unwrap_or_else(|| panic!("no golden {golden}"))
}

#[derive(serde::Deserialize)]
pub(crate) struct Golden {
    pub(crate) name: String,
    optimization: String,
    names_consumed: usize,
    description: String,
    copartition_groups: BTreeSet<BTreeSet<String>>,
    internal_topics: BTreeMap<String, InternalTopicConfig>,
}
