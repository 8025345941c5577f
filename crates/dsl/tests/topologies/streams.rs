//! Operators of streams.

use kstreams_dsl::{Consumed, Optimization, Printed, Produced, Repartitioned};
use kstreams_topology::processor::{Context, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, Processor};
use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
use kstreams_topology::{BoxError, Record};

use super::harness::{check, check_with, input, rekeyed, stream};

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
    check("print", |b| {
        input(b).print(Printed::stdout());
    });
    check("merge", |b| {
        stream(b, "a").merge(&stream(b, "b")).to("out");
    });
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
