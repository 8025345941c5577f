//! Stateless operators, sources, sinks, splits and repartition topics.

use std::io::{self, Write};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use kstreams_dsl::{Consumed, KStream, Printed, Produced, Repartitioned, StreamsBuilder};
use kstreams_topology::graph::Partitions;

use crate::harness::check;

type Text = Option<String>;

fn input(builder: &StreamsBuilder) -> KStream<Text, Text> {
    builder.stream("in")
}

fn starts_with(value: &Text, start: &str) -> bool {
    value.as_ref().is_some_and(|value| value.starts_with(start))
}

#[test]
fn filters() {
    check("stateless-filter", |b| {
        input(b).filter(|_, value| starts_with(value, "a")).to("out");
        input(b).filter_not(|_, value| starts_with(value, "a")).to("out2");
    });
}

#[test]
fn maps() {
    check("stateless-map-family", |b| {
        input(b).map(|key, value| (value, key)).to("m");
        input(b)
            .map_values(|_, value| format!("X{}", value.as_deref().unwrap_or("null")))
            .to("mv");
        input(b).select_key(|_, value| value.clone()).to("sk");
    });
    check("stateless-flatmap-order", |b| {
        let words = |value: Text| -> Vec<String> {
            value
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect()
        };
        input(b)
            .flat_map(move |_, value| {
                words(value)
                    .into_iter()
                    .enumerate()
                    .map(|(at, word)| (word, at.to_string()))
            })
            .to("fm");
        input(b).flat_map_values(move |_, value| words(value)).to("fmv");
    });
}

#[test]
fn pipes_and_lines() {
    check("stateless-pipe", |b| {
        b.stream::<Text, Text>("streams-plaintext-input")
            .to("streams-pipe-output");
    });
    check("stateless-line-split", |b| {
        b.stream::<Text, String>("streams-plaintext-input")
            .flat_map_values(|_, line| java_words(&line))
            .to("streams-linesplit-output");
    });
}

/// What Java's `split("\\W+")` makes of a line: a separator at the beginning gives an empty word.
fn java_words(line: &str) -> Vec<String> {
    let words = line.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let words = words.enumerate().filter(|(at, word)| *at == 0 || !word.is_empty());
    words.map(|(_, word)| word.to_owned()).collect()
}

#[test]
fn merges_and_sources() {
    check("stateless-merge", |b| {
        b.stream::<Text, Text>("a").merge(&b.stream("b")).to("out");
    });
    check("source-same-topic-twice", |b| {
        input(b).map_values(|_, value| value.map(|value| value + "1")).to("out");
        input(b).map_values(|_, value| value.map(|value| value + "2")).to("out");
    });
}

#[test]
fn several_topics_and_patterns() {
    check("stream-multi-topic", |b| {
        b.stream::<Text, Text>(["a", "b"]).to("out");
        b.stream::<Text, Text>(Consumed::pattern("p.*")).to("out2");
    });
}

#[test]
fn peeks_and_ends() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |prefix: &'static str| {
        let log = log.clone();
        move |key: &Text, value: &Text| {
            let show = |text: &Text| text.clone().unwrap_or("null".to_owned());
            log.lock()
                .expect("no test panics while it notes")
                .push(format!("{prefix}:{}={}", show(key), show(value)));
        }
    };
    check("peek-foreach-print", |b| {
        let end = note("f");
        input(b).peek(note("p")).for_each(move |key, value| end(&key, &value));
    });
    let once = ["p:k=v", "f:k=v", "p:null=null", "f:null=null"];
    assert_eq!(
        *log.lock().expect("no test panics while it notes"),
        [once, once].concat()
    );
}

#[test]
fn splits() {
    check("split-first-match", |b| {
        let split = input(b).split().named("sp-");
        let a = split.branch(|_, value| starts_with(value, "a")).named("A");
        let b = split.branch(|_, value| starts_with(value, "a") || starts_with(value, "b"));
        split.branch(|_, value| starts_with(value, "c")).to("out-c");
        let d = split.branch(|_, value| starts_with(value, "d")).named("D");
        let d = d.map_values(|_, value| value.map(|value| value.to_uppercase()));
        let rest = split.otherwise();
        a.to("out-sp-A");
        b.to("out-sp-2");
        d.to("out-sp-D");
        rest.to("out-sp-0");
    });
    check("split-no-default", |b| {
        input(b)
            .split()
            .branch(|_, value| value.as_deref() == Some("x"))
            .to("out");
    });
}

#[test]
fn sinks_that_choose() {
    check("dynamic-sink", |b| {
        input(b).to(Produced::topic_by(|_, _, context| match context.headers.last(b"to") {
            Some(header) => String::from_utf8_lossy(header.value.as_deref().unwrap_or_default()).into_owned(),
            None => {
                let topic = context.topic.as_deref().unwrap_or_default();
                format!("d-{topic}-{}-{}", context.partition, context.offset)
            }
        }));
    });
    check("sink-multicast", |b| {
        input(b).to(
            Produced::topic("out").partitioner(|_, _, value: &Text, _| match value.as_deref() {
                Some("drop") => Partitions::Many(Vec::new()),
                Some("default") => Partitions::Default,
                _ => Partitions::Many(vec![0]),
            }),
        );
    });
}

#[test]
fn repartition_topics() {
    check("repartition-explicit", |b| {
        let options = Repartitioned::new().named("rp").partitions(3);
        let stream = input(b);
        stream
            .select_key(|_, value| value.clone())
            .repartition(options)
            .to("out");
        stream.repartition(()).to("out2");
    });
    check("repartition-required", |b| {
        let stream = input(b);
        let rekeyed = stream.select_key(|_, value| value.clone()).map_values(|_, value| value);
        rekeyed.group_by_key().count().to_stream().to("o1");
        stream.filter(|_, _| true).group_by_key().count().to_stream().to("o2");
        let mapped = stream.map(|_, value: Text| (value.clone(), value));
        mapped
            .group_by_key()
            .named("g")
            .count()
            .named("c")
            .materialized("st")
            .to_stream()
            .to("o3");
    });
}

#[test]
fn siblings_share_a_repartition_topic_if_so_wished() {
    for id in ["repartition-merge-optimised", "repartition-not-optimised"] {
        check(id, |b| {
            let rekeyed = b.stream::<String, String>("in").select_key(|_, value| value.clone());
            rekeyed.group_by_key().count().to_stream().to("o1");
            rekeyed.group_by_key().reduce(|a, b| a + &b).to_stream().to("o2");
        });
    }
}

/// Sends on what is written.
struct Lines(Sender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).into_owned();
        self.0.send(line).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn printed_lines() {
    let (sender, lines) = mpsc::channel();
    check("print-format", |b| {
        let stream = b.stream::<Text, Text>("in");
        let to = || Printed::<Text, Text>::writer(Lines(sender.clone()));
        stream.print(to().label("L"));
        let text = |value: &Text| value.clone().unwrap_or_else(|| "null".to_owned());
        stream.print(to().text(move |key, value| text(key) + "/" + &text(value)));
        stream.map_values(|_, value| value).print(to());
    });
    let expected = [
        "[L]: k, v\n",
        "[KSTREAM-SOURCE-0000000000]: k/v\n",
        "[KSTREAM-MAPVALUES-0000000003]: k, v\n",
        "[L]: null, null\n",
        "[KSTREAM-SOURCE-0000000000]: null/null\n",
        "[KSTREAM-MAPVALUES-0000000003]: null, null\n",
    ];
    let lines: Vec<String> = lines.try_iter().collect();
    assert!(!lines.is_empty());
    assert!(lines.chunks(expected.len()).all(|run| run == expected), "{lines:?}");
}
