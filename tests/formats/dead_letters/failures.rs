//! The topologies that fail, by the names of `java.jsonl`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kstreams::prelude::*;
use kstreams::{BoxError, Clock, Partitions, Produced, Repartitioned, SerdeError, TimerId};
use kstreams_topology::processor::{Context, ProcessingContext, Processor};
use kstreams_topology::serde::{SessionWindowedSerde, StringSerde, TimeWindowedSerde, Uuid};

type Text = Option<String>;

/// What every failing closure says.
const BOOM: Result<Text, &str> = Err("boom");

pub(super) fn topology(name: &str) -> Topology {
    let builder = StreamsBuilder::new();
    match name.split_once('/') {
        Some(("key", of)) => undecodable(&builder, of, true),
        Some(("value", of)) => undecodable(&builder, of, false),
        _ => {
            let failing = [decoding, processing, aggregating, sending]
                .iter()
                .any(|kind| kind(&builder, name));
            assert!(failing, "no topology for {name}");
        }
    }
    builder.build().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A stream whose keys, or whose values, are of the type that the name says.
fn undecodable(builder: &StreamsBuilder, of: &str, key: bool) {
    let of = of.split("_of_").next().unwrap_or(of);
    match of {
        "short" => copied::<i16>(builder, key),
        "integer" => copied::<i32>(builder, key),
        "long" => copied::<i64>(builder, key),
        "float" => copied::<f32>(builder, key),
        "double" => copied::<f64>(builder, key),
        "boolean" => copied::<bool>(builder, key),
        "uuid" => copied::<Uuid>(builder, key),
        "void" => copied::<()>(builder, key),
        "string" => copied::<String>(builder, key),
        "bytes" => copied::<Bytes>(builder, key),
        "list" => copied::<Vec<Option<i32>>>(builder, key),
        "time_windowed" => copied_by(
            builder,
            key,
            TimeWindowedSerde::new(StringSerde, Duration::from_millis(10)),
        ),
        "session_windowed" => copied_by(builder, key, SessionWindowedSerde::new(StringSerde)),
        _ => panic!("no type {of}"),
    }
}

fn copied<T: DefaultSerde + Data>(builder: &StreamsBuilder, key: bool) {
    copied_by(builder, key, <T::Serde as Default>::default());
}

fn copied_by<T: Data>(builder: &StreamsBuilder, key: bool, serde: impl Serde<T>) {
    let serde = Arc::new(serde);
    match key {
        true => {
            let stream = builder
                .stream::<Option<T>, Option<Vec<u8>>>("in")
                .key_serde(serde.clone());
            stream.to("out").key_serde(serde);
        }
        false => {
            let stream = builder
                .stream::<Option<Vec<u8>>, Option<T>>("in")
                .value_serde(serde.clone());
            stream.to("out").value_serde(serde);
        }
    }
}

fn texts(builder: &StreamsBuilder) -> KStream<Text, Text> {
    builder.stream("in")
}

fn decoding(builder: &StreamsBuilder, name: &str) -> bool {
    match name {
        "null_key" | "key_and_value" => {
            builder.stream::<Option<i64>, Option<i64>>("in").to("out");
        }
        "table" => {
            builder.table::<String, i64>("in");
        }
        _ => return false,
    }
    true
}

fn processing(builder: &StreamsBuilder, name: &str) -> bool {
    let sunk = |stream: KStream<Text, Text>| {
        stream.to("out");
    };
    match name {
        "map_values" | "null_key_and_value" => sunk(texts(builder).map_values(|_, _| BOOM)),
        "filter" => sunk(texts(builder).filter(|_, _| Err::<bool, _>("boom"))),
        "flat_map" => sunk(texts(builder).flat_map(|_, _| Err::<Vec<(Text, Text)>, _>("boom"))),
        "processor" => sunk(texts(builder).process(|| Failing)),
        "second_processor" => sunk(texts(builder).map_values(|_, v: Text| v).map_values(|_, _| BOOM)),
        "after_an_output" => {
            let stream = texts(builder);
            stream.to("out");
            stream.map_values(|_, _| BOOM).to("other");
        }
        "after_a_repartition" => {
            let again = texts(builder).repartition(Repartitioned::new().named("again"));
            sunk(again.map_values(|_, _| BOOM));
        }
        "joiner" => {
            let table = builder.table::<String, String>("table");
            texts(builder).join_table(&table, |_, _, _| BOOM).to("out");
        }
        "second_record" => sunk(texts(builder).map_values(|_, value: Text| match value.as_deref() {
            Some("bad") => BOOM,
            _ => Ok(value),
        })),
        "stream_time_punctuation" => sunk(texts(builder).process(|| Punctual(Clock::StreamTime))),
        "wall_clock_punctuation" => sunk(texts(builder).process(|| Punctual(Clock::WallClock))),
        _ => return false,
    }
    true
}

fn aggregating(builder: &StreamsBuilder, name: &str) -> bool {
    let counted = |store: Materialized<String, i64>| {
        let counts = builder.stream::<String, String>("in").group_by_key().count();
        let failing = counts.materialized(store.in_memory()).to_stream();
        failing.map_values(|_, _: Option<i64>| BOOM).to("out");
    };
    let grouped = || builder.stream::<String, String>("in").group_by_key();
    match name {
        "after_a_changelog" => counted(Materialized::named("counts").uncached()),
        "after_a_store" => counted(Materialized::named("counts").uncached().unlogged()),
        "cached_table_mapper" => counted(Materialized::named("counts").cached()),
        "aggregator" => {
            grouped()
                .aggregate(String::new, |_, _, _: String| BOOM)
                .to_stream()
                .to("out");
        }
        "initializer" => {
            let boom = || -> String { panic!("boom") };
            grouped()
                .aggregate(boom, |_, value, _: String| value)
                .to_stream()
                .to("out");
        }
        "table_mapper" => {
            let table = builder.table::<String, String>("in");
            table.map_values(|_, _: String| BOOM).to_stream().to("out");
        }
        "store_value" => {
            let store = Materialized::named("store")
                .in_memory()
                .uncached()
                .value_serde(Refusing);
            grouped()
                .aggregate(String::new, |_, value, _: String| value)
                .materialized(store);
        }
        _ => return false,
    }
    true
}

fn sending(builder: &StreamsBuilder, name: &str) -> bool {
    let texts = || texts(builder);
    match name {
        "sink_key" => {
            texts().to("out").key_serde(Refusing);
        }
        "sink_value" => {
            texts().to("out").value_serde(Refusing);
        }
        "sink_value_runtime_exception" => {
            texts().to("out").value_serde(Exploding);
        }
        "sink_value_below_a_processor" => {
            let twice = texts().map_values(|_, value: Text| value.map(|value| value.repeat(2)));
            twice.to("out").value_serde(Refusing);
        }
        "repartition_value" => {
            texts()
                .repartition(Repartitioned::new().named("again"))
                .value_serde(Refusing)
                .to("out");
        }
        "sink_partitioner" => {
            texts().to(Produced::topic("out").partitioner(|_, _, _, _| -> Partitions { panic!("boom") }));
        }
        "topic_extractor" => {
            texts().to(Produced::topic_by(|_, _, _| panic!("boom")));
        }
        _ => return false,
    }
    true
}

/// A serializer that refuses as one of Kafka's would.
struct Refusing;

impl Serde<String> for Refusing {
    fn serialize(&self, _: &str, value: &String, _: &mut Vec<u8>) -> Result<(), SerdeError> {
        let class = "org.apache.kafka.common.errors.SerializationException";
        let exception = kstreams::errors::Exception::new(class, format!("will not write {value}"));
        Err(SerdeError::new("a text that is refused").as_java(exception))
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<String, SerdeError> {
        StringSerde.deserialize(topic, bytes)
    }
}

/// A serializer that fails in a way of its own.
struct Exploding;

impl Serde<String> for Exploding {
    fn serialize(&self, _: &str, _: &String, _: &mut Vec<u8>) -> Result<(), SerdeError> {
        panic!("boom")
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<String, SerdeError> {
        StringSerde.deserialize(topic, bytes)
    }
}

/// A processor that fails.
struct Failing;

impl Processor for Failing {
    type KIn = Text;
    type VIn = Text;
    type KOut = Text;
    type VOut = Text;

    fn process(&mut self, _: &mut Context<'_, Self>, _: Record<Text, Text>) -> Result<(), BoxError> {
        Err("boom".into())
    }
}

/// A processor that fails when its timer is due.
struct Punctual(Clock);

impl Processor for Punctual {
    type KIn = Text;
    type VIn = Text;
    type KOut = Text;
    type VOut = Text;

    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
        cx.schedule(Duration::from_millis(100), self.0);
        Ok(())
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<Text, Text>) -> Result<(), BoxError> {
        Ok(cx.forward(record)?)
    }

    fn punctuate(&mut self, _: &mut Context<'_, Self>, _: TimerId, _: i64) -> Result<(), BoxError> {
        Err("boom".into())
    }
}
