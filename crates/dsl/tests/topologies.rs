//! Programs come to the topologies that Java makes of them: names, order and text. The expectations were printed by Java.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kstreams_dsl::{
    BuildOptions, Consumed, JoinWindows, KStream, KTable, Materialized, Optimization, Produced, Repartitioned,
    StreamsBuilder,
};
use kstreams_topology::blueprint::{InternalTopicConfig, Subtopologies, changelog_config, repartition_config};
use kstreams_topology::processor::{Context, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, Processor};
use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
use kstreams_topology::{BoxError, Record};

type Builder = StreamsBuilder;

#[test]
fn stateless_operators() {
    check("source_sink", |b| {
        input(b).to("out");
    });
    check("source_two_topics", |b| {
        b.stream::<String, String>(["b", "a"]).to("out");
    });
    check("source_pattern", |b| {
        b.stream::<String, String>(Consumed::pattern("in.*")).to("out");
    });
    check("source_same_topic_twice", |b| {
        input(b).to("o1");
        input(b).to("o2");
    });
    check("sink_extractor", |b| {
        input(b).to(Produced::topic_by(|_, value: &String, _| value.clone()).label("MyExtractor"));
    });
    check("stateless_chain", |b| {
        input(b)
            .filter(|_, _| true)
            .filter_not(|_, _| false)
            .map_values(|_, value| value)
            .map(|key, value| (key, value))
            .flat_map(|key, value| [(key, value)])
            .flat_map_values(|_, value| Some(value))
            .select_key(|key, _| key.clone())
            .peek(|_, _| ())
            .for_each(|_, _| ());
    });
    check("named_stateless", |b| {
        input(b)
            .named("src")
            .filter(|_, _| true)
            .named("myf")
            .map_values(|_, value| value)
            .to("out")
            .named("snk");
    });
    check("merge", |b| {
        stream(b, "a").merge(&stream(b, "b")).to("out");
    });
}

#[test]
fn global_tables() {
    check("stream_global_table_join", |b| {
        let visits = stream(b, "a");
        let rows = b.global_table::<String, String>("t");
        visits.join_global(&rows, |key, _| key.clone(), |_, value, _| value);
    });
    check("stream_global_table_left_join", |b| {
        let visits = stream(b, "a");
        let rows = b.global_table::<String, String>("t").materialized("gs");
        visits.left_join_global(&rows, |_, value| Some(value.clone()), |_, value, _| value);
    });
    check("global_table_named", |b| {
        b.global_table::<String, String>("t").named("n").materialized("gs");
    });
    check("global_then_table_order", |b| {
        b.global_table::<String, String>("g");
        input(b).to("out");
    });
}

#[test]
fn joins_of_streams_with_tables() {
    check("stream_table_join", |b| {
        stream(b, "a").join_table(&table(b), |_, value, _| value);
    });
    check("stream_table_left_join", |b| {
        stream(b, "a").left_join_table(&table(b), |_, value, _| value);
    });
    let rekeyed = |b: &Builder| stream(b, "a").select_key(|_, value| value.clone());
    check("stream_table_join_repartition", |b| {
        rekeyed(b).join_table(&table(b), |_, value, _| value);
    });
    check("stream_table_join_repartition_named", |b| {
        rekeyed(b).join_table(&table(b), |_, value, _| value).named("j");
    });
    check("null_key_left_join_repartition", |b| {
        rekeyed(b).left_join_table(&table(b), |_, value, _| value);
    });
}

#[test]
fn joins_of_two_streams() {
    let minute = || JoinWindows::of_time_difference(Duration::from_secs(60));
    check("stream_stream_join", |b| {
        stream(b, "a").join(&stream(b, "b"), minute(), |_, left, _| left.clone());
    });
    check("stream_stream_left_join", |b| {
        stream(b, "a").left_join(&stream(b, "b"), minute(), |_, left, _| left.clone());
    });
    check("stream_stream_outer_join", |b| {
        stream(b, "a").outer_join(&stream(b, "b"), minute(), |_, left, _| left.cloned());
    });
    check("stream_stream_left_join_named", |b| {
        let joined = stream(b, "a").left_join(&stream(b, "b"), minute(), |_, left, _| left.clone());
        joined.named("n").store_name("j");
    });
    check("stream_stream_outer_join_named", |b| {
        let joined = stream(b, "a").outer_join(&stream(b, "b"), minute(), |_, left, _| left.cloned());
        joined.named("n").store_name("j");
    });
    let mapped = |b: &Builder, topic| stream(b, topic).map(|key, value| (key, value));
    check("stream_stream_join_repartition", |b| {
        mapped(b, "a").join(&mapped(b, "b"), minute(), |_, left, _| left.clone());
    });
    check("stream_stream_join_repartition_named", |b| {
        let joined = mapped(b, "a").join(&mapped(b, "b"), minute(), |_, left, _| left.clone());
        joined.named("n");
    });
    for (golden, optimization) in [
        ("self_join", Optimization::NONE),
        ("self_join_optimized", Optimization::ALL),
    ] {
        check_with(golden, optimization, |b| {
            let stream = stream(b, "a");
            stream.join(&stream, minute(), |_, left, _| left.clone());
        });
    }
}

#[test]
fn splits() {
    check("split_default", |b| {
        let split = input(b).split();
        split.branch(|_, _| true);
        split.branch(|_, _| true);
        split.otherwise();
    });
    check("split_named", |b| {
        let split = input(b).split().named("br-");
        split.branch(|_, _| true).named("a");
        split.branch(|_, _| true);
        split.otherwise().named("d");
    });
}

#[test]
fn processors() {
    check("process", |b| {
        input(b).process(|| Pass).process_values(|| Pass).to("out");
    });
    check("process_named", |b| {
        input(b).process(|| Pass).named("p").to("out");
    });
    check("state_store", |b| {
        let store = b.add_store(Stores::persistent("kv").key_value::<String, String>());
        input(b).process(move || Keeps(store));
    });
}

#[test]
fn repartition_topics() {
    check("repartition", |b| {
        input(b).repartition(()).to("out");
    });
    check("repartition_named", |b| {
        input(b)
            .repartition(Repartitioned::new().named("rep").partitions(3))
            .to("out");
    });
    for (golden, optimization) in [
        ("merge_repartition", Optimization::NONE),
        ("merge_repartition_optimized", Optimization::ALL),
    ] {
        check_with(golden, optimization, |b| {
            let stream = rekeyed(b);
            stream.group_by_key().count();
            stream.group_by_key().reduce(|a, _| a);
            stream
                .group_by_key()
                .named("g")
                .aggregate(String::new, |_, _, so_far| so_far);
        });
    }
    for (golden, optimization) in [
        ("merge_repartition_value_op", Optimization::NONE),
        ("merge_repartition_value_op_optimized", Optimization::ALL),
    ] {
        check_with(golden, optimization, |b| {
            let stream = input(b).map(|key, value| (key, value));
            stream.filter(|_, _| true).group_by_key().count();
            stream.map_values(|_, value| value).group_by_key().reduce(|a, _| a);
        });
    }
}

#[test]
fn streams_to_tables() {
    check("to_table", |b| {
        input(b).to_table();
    });
    check("to_table_mat", |b| {
        input(b).to_table().materialized("st");
    });
    check("to_table_repartition", |b| {
        rekeyed(b).to_table().materialized("st");
    });
    check("to_table_repartition_named", |b| {
        rekeyed(b).to_table().named("tt").materialized("st");
    });
}

#[test]
fn aggregations_by_key() {
    check("group_by_key_count", |b| {
        input(b).group_by_key().count();
    });
    check("group_by_key_count_mat_serde_only", |b| {
        input(b).group_by_key().count().materialized(Materialized::new());
    });
    check("group_by_key_count_named_store", |b| {
        input(b).group_by_key().count().materialized("c");
    });
    check("group_by_key_count_named_op", |b| {
        input(b).group_by_key().count().named("cn");
    });
    check("group_by_key_reduce", |b| {
        input(b).group_by_key().reduce(|a, _| a);
    });
    check("group_by_key_aggregate", |b| {
        input(b).group_by_key().aggregate(String::new, |_, _, so_far| so_far);
    });
}

#[test]
fn aggregations_by_other_keys() {
    let grouped = |b: &Builder| input(b).group_by(|_, value| value.clone());
    check("group_by_count", |b| {
        grouped(b).count();
    });
    check("group_by_count_grouped", |b| {
        grouped(b).named("g").count();
    });
    check("group_by_count_store", |b| {
        grouped(b).count().materialized("c");
    });
    check("group_by_twice_same_grouped", |b| {
        let grouped = grouped(b).named("g");
        grouped.count();
        grouped.reduce(|a, _| a);
    });
    check("group_by_twice_unnamed", |b| {
        let grouped = grouped(b);
        grouped.count();
        grouped.reduce(|a, _| a);
    });
}

#[test]
fn tables() {
    check("table", |b| {
        table(b);
    });
    check("table_mat", |b| {
        table(b).materialized("ts");
    });
    check("table_mat_serde_only", |b| {
        table(b).materialized(Materialized::new());
    });
    check_with("table_mat_optimized", Optimization::ALL, |b| {
        table(b).materialized("ts");
    });
    check("table_named", |b| {
        table(b).named("n").materialized("ts");
    });
    check("table_ops", |b| {
        let kept = table(b).filter(|_, _| true).filter_not(|_, _| false);
        kept.map_values(|_, value| value).to_stream().to("o");
    });
    check("table_filter_mat_serde_only", |b| {
        table(b)
            .filter(|_, _| true)
            .materialized(Materialized::new())
            .to_stream()
            .to("o");
    });
    check("table_filter_mat", |b| {
        table(b).filter(|_, _| true).materialized("f").to_stream().to("o");
    });
    check("table_mapvalues_mat_serde_only", |b| {
        table(b).map_values(|_, value| value).materialized(Materialized::new());
    });
    check("table_tostream_map", |b| {
        table(b).to_stream().select_key(|key, _| key.clone()).to("o");
    });
}

#[test]
fn tables_grouped_by_other_keys() {
    let grouped = |b: &Builder| table(b).group_by(|key: &String, value: String| (key.clone(), value));
    check("table_groupby_count", |b| {
        grouped(b).count();
    });
    check("table_groupby_reduce_store", |b| {
        grouped(b).reduce(|a, _| a, |a, _| a).materialized("r");
    });
    check("table_groupby_aggregate_named", |b| {
        let folded = grouped(b)
            .named("g")
            .aggregate(String::new, |_, _, so_far| so_far, |_, _, so_far| so_far);
        folded.named("n");
    });
}

#[test]
fn foreign_key_joins() {
    let sides = |b: &Builder| (b.table::<String, String>("t1"), b.table::<String, String>("t2"));
    check("fk_join", |b| {
        let (left, right) = sides(b);
        left.join_foreign_key(&right, |_, value| value.clone(), |left: String, _| left);
    });
    check("fk_left_join_named", |b| {
        let (left, right) = sides(b);
        left.left_join_foreign_key(&right, |_, value| value.clone(), |left: String, _| left)
            .named("fj")
            .materialized("st");
    });
}

#[test]
fn versioned_tables() {
    check("versioned_table", |b| {
        let options = Materialized::named("vt").versioned(Duration::from_secs(300));
        table(b).materialized(options);
    });
}

#[test]
fn table_joins() {
    let sides = |b: &Builder| (b.table::<String, String>("t1"), b.table::<String, String>("t2"));
    check("table_table_join", |b| {
        let (left, right) = sides(b);
        left.join(&right, |left: String, _| left);
    });
    check("table_table_left_join_mat", |b| {
        let (left, right) = sides(b);
        left.left_join(&right, |left: String, _| left)
            .materialized(Materialized::new());
    });
    check("table_table_outer_join_named", |b| {
        let (left, right) = sides(b);
        left.outer_join(&right, |left: Option<String>, _| left)
            .named("j")
            .materialized("st");
    });
}

fn input(builder: &Builder) -> KStream<String, String> {
    stream(builder, "in")
}

fn stream(builder: &Builder, topic: &str) -> KStream<String, String> {
    builder.stream(topic)
}

fn rekeyed(builder: &Builder) -> KStream<String, String> {
    input(builder).select_key(|_, value| value.clone())
}

fn table(builder: &Builder) -> KTable<String, String> {
    builder.table("t")
}

fn check(golden: &str, program: impl Fn(&Builder)) {
    check_with(golden, Optimization::NONE, program);
}

fn check_with(golden: &str, optimization: Optimization, program: impl Fn(&Builder)) {
    let builder = StreamsBuilder::new();
    program(&builder);
    let topology = builder
        .build_with(BuildOptions::default().optimization(optimization))
        .expect("the program is right");
    let Golden {
        description,
        copartition_groups,
        internal_topics,
        ..
    } = expected(golden);
    assert_eq!(topology.describe(), description, "{golden}");
    let parts = topology.subtopologies("app");
    if let Some(groups) = copartition_groups {
        let decided = parts.copartitioned.iter();
        let decided = decided.map(|group| group.iter().map(|topic| topic.to_string()).collect());
        assert_eq!(decided.collect::<Vec<BTreeSet<String>>>(), groups, "{golden}");
    }
    if let Some(topics) = internal_topics {
        assert_eq!(internal(&parts), topics, "{golden}");
    }
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

fn expected(golden: &str) -> Golden {
    let lines = include_str!("golden/topologies.jsonl").lines();
    let mut goldens = lines.map(|line| serde_json::from_str::<Golden>(line).expect("a golden a line"));
    goldens
        .find(|known| known.name == golden)
        .unwrap_or_else(|| panic!("no golden {golden}"))
}

#[derive(serde::Deserialize)]
struct Golden {
    name: String,
    description: String,
    copartition_groups: Option<Vec<BTreeSet<String>>>,
    internal_topics: Option<BTreeMap<String, InternalTopicConfig>>,
}

struct Pass;

impl Processor for Pass {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        Ok(cx.forward(record)?)
    }
}

impl FixedKeyProcessor for Pass {
    type K = String;
    type VIn = String;
    type VOut = String;

    fn process(
        &mut self,
        cx: &mut FixedKeyContext<'_, Self>,
        record: FixedKeyRecord<String, String>,
    ) -> Result<(), BoxError> {
        Ok(cx.forward(record)?)
    }
}

struct Keeps(StoreHandle<KeyValueStore<String, String>>);

impl Processor for Keeps {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        Ok(cx.store(self.0).put(&record.key, &record.value)?)
    }
}
