//! What a topology refuses, how it is divided, described and counted.

use std::collections::BTreeMap;

use kstreams_wire::TopicName;

use super::{InternalTopic, PartitionCounts, Subtopologies, Topics, Topology};
use crate::processor::{Context, Processor};
use crate::stores::{StoreId, Stores};
use crate::{BoxError, Consumed, Error, Produced, Record};

struct Pass(Vec<StoreId>);

impl Processor for Pass {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        self.0.clone()
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        Ok(cx.forward(record)?)
    }
}

/// A topology written as one node per word: `source<topic`, `processor:parent` or `sink>topic:parent`.
fn topology(nodes: &[&str]) -> Topology {
    let mut topology = Topology::new();
    for node in nodes {
        let added = if let Some((name, topics)) = node.split_once('<') {
            let topics: Vec<String> = topics.split('+').map(str::to_owned).collect();
            topology.add_source(name, topics, Consumed::<String, String>::default())
        } else if let Some((name, to)) = node.split_once('>') {
            let (topic, parent) = to.split_once(':').expect("a sink has a parent");
            topology.add_sink(name, topic, Produced::<String, String>::default(), &[parent])
        } else {
            let (name, parents) = node.split_once(':').expect("a processor has a parent");
            let parents: Vec<&str> = parents.split('+').collect();
            topology.add_processor(name, || Pass(Vec::new()), &parents)
        };
        added.map(|_| ()).expect("the topology is valid");
    }
    topology
}

fn internal(mut topology: Topology, topics: &[(&str, Option<i32>)]) -> Topology {
    for (name, partitions) in topics {
        topology.add_internal_topic(InternalTopic {
            name: (*name).to_owned(),
            partitions: *partitions,
        });
    }
    topology
}

fn external(counts: &[(&str, i32)]) -> BTreeMap<TopicName, i32> {
    counts
        .iter()
        .map(|(topic, count)| (TopicName::new(topic), *count))
        .collect()
}

fn nodes(parts: &Subtopologies) -> Vec<String> {
    parts
        .parts
        .iter()
        .map(|part| format!("{} {}", part.id, part.nodes.join(" ")))
        .collect()
}

#[test]
fn subtopologies_are_numbered_by_their_first_node() {
    let mut parts = topology(&["a<a", "b<b", "pb:b", "pa:a", "s>out:pb", "c<c", "pc:c"]);
    assert_eq!(nodes(&parts.subtopologies("app")), ["0 a pa", "1 b pb s", "2 c pc"]);

    // A shared store joins what no edge joins.
    let store = Stores::in_memory("st").key_value::<String, String>();
    parts
        .add_store_definition(store.into_definition(), &["pa", "pc"])
        .expect("both are processors");
    let parts = parts.subtopologies("app");
    assert_eq!(nodes(&parts), ["0 a pa c pc", "1 b pb s"]);
    let (part, entry) = parts.store("st").expect("it was added");
    assert_eq!(part.id, 0);
    assert_eq!(entry.changelog.as_deref(), Some("app-st-changelog"));
}

#[test]
fn internal_topics_are_known_by_the_application_id() {
    let topology = topology(&["a<a", "s>rp:a", "r<rp", "t>out:r"]);
    let parts = internal(topology, &[("rp", Some(3))]).subtopologies("app");
    let [first, second] = parts.parts.as_slice() else {
        panic!("two subtopologies");
    };
    assert!(first.sink_topics.contains("app-rp"));
    assert_eq!(second.repartition_sources.get("app-rp"), Some(&Some(3)));
    assert_eq!(parts.external_topics().len(), 1);
}

#[test]
fn a_source_topic_may_serve_as_changelog() {
    let mut topology = topology(&["a<a", "p:a"]);
    let store = Stores::in_memory("st").key_value::<String, String>();
    topology
        .add_store_definition(store.into_definition(), &["p"])
        .expect("p is a processor");
    topology.use_source_topic_as_changelog("st", "a").expect("st was added");
    let parts = topology.subtopologies("app");
    let (_, entry) = parts.store("st").expect("it was added");
    assert_eq!(
        (entry.changelog.as_deref(), entry.changelog_is_source),
        (Some("a"), true)
    );
}

#[test]
fn description_sorts_by_size_and_prints_sets_in_hash_order() {
    let mut topology = topology(&[
        "source<topic-b+topic-a",
        "first:source",
        "second:first+source",
        "sink>out:second",
    ]);
    for name in ["store-1", "q", "p"] {
        let store = Stores::in_memory(name).key_value::<String, String>();
        topology
            .add_store_definition(store.into_definition(), &["first"])
            .expect("first is a processor");
    }
    assert_eq!(
        topology.describe(),
        "Topologies:\n   Sub-topology: 0\n    \
         Source: source (topics: [topic-a, topic-b])\n      --> first, second\n    \
         Processor: first (stores: [p, q, store-1])\n      --> second\n      <-- source\n    \
         Processor: second (stores: [])\n      --> sink\n      <-- source, first\n    \
         Sink: sink (topic: out)\n      <-- second\n\n"
    );
}

#[test]
fn every_subtopology_is_described() {
    let topology = topology(&["a<a", "s>mid:a", "b<mid", "t>out:b"]);
    assert_eq!(
        topology.describe(),
        "Topologies:\n   Sub-topology: 0\n    Source: a (topics: [a])\n      --> s\n    \
         Sink: s (topic: mid)\n      <-- a\n\n  \
         Sub-topology: 1\n    Source: b (topics: [mid])\n      --> t\n    \
         Sink: t (topic: out)\n      <-- b\n\n"
    );
}

#[test]
fn internal_topics_take_the_most_partitions_that_are_upstream() {
    let topology = topology(&[
        "a<a",
        "b<b",
        "p:a+b",
        "s>one:p",
        "r1<one",
        "s2>two:r1",
        "r2<two",
        "t>out:r2",
    ]);
    let parts = internal(topology, &[("one", None), ("two", None)]).subtopologies("app");
    let counts = PartitionCounts::decide(&parts, &external(&[("a", 3), ("b", 5)])).expect("they can be derived");
    assert_eq!((counts.topic("app-one"), counts.topic("app-two")), (Some(5), Some(5)));
    let [first, second, _] = parts.parts.as_slice() else {
        panic!("three subtopologies");
    };
    assert_eq!((counts.tasks(first), counts.tasks(second)), (5, 5));
    // Only b has a partition 4.
    let inputs: Vec<String> = counts.inputs(first, 4).iter().map(ToString::to_string).collect();
    assert_eq!(inputs, ["b-4"]);
}

fn refused(parts: &Subtopologies, external: &BTreeMap<TopicName, i32>) -> String {
    let error: Error = PartitionCounts::decide(parts, external).expect_err("it cannot be run");
    error.to_string()
}

#[test]
fn a_missing_source_topic_is_named() {
    let parts = topology(&["a<a+b+c"]).subtopologies("app");
    assert_eq!(
        refused(&parts, &external(&[("b", 1)])),
        "invalid topology: source topics do not exist: a, c; create them before the application starts"
    );
}

#[test]
fn a_cycle_without_a_number_is_refused() {
    let topology = topology(&["r<one", "s>two:r", "r2<two", "s2>one:r2"]);
    let parts = internal(topology, &[("one", None), ("two", None)]).subtopologies("app");
    assert!(refused(&parts, &external(&[])).contains("app-one, app-two"));
}

fn copartitioned(topics: &[(&str, Option<i32>)], sources: &[&str]) -> Subtopologies {
    let mut topology = internal(
        topology(&["x<x", "s1>r1:x", "s2>r2:x", "a<a", "b<b", "r1<r1", "r2<r2"]),
        topics,
    );
    topology.copartition(sources).expect("the sources are there");
    topology.subtopologies("app")
}

const FREE: [(&str, Option<i32>); 2] = [("r1", None), ("r2", None)];

#[test]
fn external_topics_impose_their_number() {
    let counts = external(&[("x", 2), ("a", 4), ("b", 4)]);
    let decided = PartitionCounts::decide(&copartitioned(&FREE, &["a", "b", "r1"]), &counts).expect("they agree");
    assert_eq!(decided.topic("app-r1"), Some(4));
    let unequal = external(&[("x", 2), ("a", 4), ("b", 3)]);
    assert_eq!(
        refused(&copartitioned(&FREE, &["a", "b", "r1"]), &unequal),
        "invalid topology: topics are not co-partitioned, their numbers of partitions must be equal: a (4), b (3)"
    );
    let fixed = copartitioned(&[("r1", Some(3)), ("r2", None)], &["a", "r1"]);
    assert!(refused(&fixed, &counts).ends_with("a (4), app-r1 (3)"));
}

#[test]
fn among_internal_topics_the_fixed_number_wins() {
    let counts = external(&[("x", 2), ("a", 4), ("b", 4)]);
    let decide = |topics: &[_]| PartitionCounts::decide(&copartitioned(topics, &["r1", "r2"]), &counts);
    let fixed = decide(&[("r1", Some(7)), ("r2", None)]).expect("one is fixed");
    assert_eq!(fixed.topic("app-r2"), Some(7));
    let free = decide(&FREE).expect("none is fixed");
    assert_eq!(free.topic("app-r2"), Some(2));
    assert!(decide(&[("r1", Some(7)), ("r2", Some(8))]).is_err());
}

#[test]
fn a_source_needs_a_topic_and_no_parent() {
    let mut topology = Topology::new();
    let none = topology.add_source("a", Topics::Names(Vec::new()), Consumed::<String, String>::default());
    assert!(none.is_err());
    assert!(
        topology
            .add_processor("p", || Pass(vec![StoreId::new()]), &["a"])
            .is_err()
    );
}
