//! The topologies of the JVM's `Bench.java`, one to one.

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams::prelude::*;
use kstreams::{JoinWindows, SessionWindows, TimeWindows, Windowed};

/// A topology to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// Source to sink.
    Pipe,
    /// A filter and a mapping.
    Stateless,
    /// Words of lines, regrouped and counted.
    Wordcount,
    /// Events counted by key, in a persistent store.
    Count,
    /// The same in memory.
    CountMem,
    /// Events counted by key and minute.
    Window,
    /// Events counted by key and session.
    Session,
    /// Events joined with a table.
    Enrich,
    /// Events joined with clicks at about the same time.
    StreamJoin,
    /// Orders joined with the profiles that they name.
    FkJoin,
    /// What exactly-once has to keep: records on their way, counts, windows, and both sides of a join that waits for the
    /// later one.
    Everything,
}

/// What topics are called, where it is not what the workloads call them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topics(pub(crate) BTreeMap<String, String>);

impl Topics {
    fn of<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }
}

impl Workload {
    /// Its operators, on the builder. Java, too, reads the events whether they are used or not.
    pub(crate) fn build(self, builder: &StreamsBuilder, topics: &Topics) {
        let events = builder.stream::<String, String>(topics.of("events"));
        let out = topics.of("out");
        match self {
            Self::Pipe => {
                events.to(out);
            }
            Self::Stateless => {
                events
                    .filter(|_, value| !value.starts_with('x'))
                    .map_values(|_, value| value.split(',').next().unwrap_or_default().to_uppercase())
                    .to(out);
            }
            Self::Wordcount => {
                builder
                    .stream::<Option<String>, String>("lines")
                    .flat_map_values(|_, line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
                    .group_by(|_, word| word.clone())
                    .count()
                    .materialized("counts")
                    .to_stream()
                    .to(out);
            }
            Self::Count => {
                let counts = events.group_by_key().count();
                counts.materialized("counts").to_stream().to(out);
            }
            Self::CountMem => {
                let store = Materialized::named("counts").in_memory();
                let counts = events.group_by_key().count();
                counts.materialized(store).to_stream().to(out);
            }
            Self::Window => window(&events, out),
            Self::Session => session(&events, out),
            Self::Enrich => {
                let profiles = builder.table::<String, String>("profiles");
                events
                    .join_table(&profiles.materialized("profiles-store"), |_, event, profile| {
                        format!("{profile}|{}", head(&event, 16))
                    })
                    .to(out);
            }
            Self::StreamJoin => join(builder, &events, Duration::from_secs(5), out),
            Self::FkJoin => {
                let orders = builder.table::<String, String>("orders");
                let profiles = builder.table::<String, String>("profiles");
                orders
                    .join_foreign_key(
                        &profiles,
                        |_, order| order.split(',').next().unwrap_or_default().to_owned(),
                        |order, profile| format!("{order}{profile}"),
                    )
                    .to_stream()
                    .to(out);
            }
            Self::Everything => {
                Self::Wordcount.build(builder, topics);
                Self::Window.build(builder, topics);
                join(builder, &events, Duration::from_secs(3600), out);
            }
        }
    }
}

fn window(events: &KStream<String, String>, out: &str) {
    let minute = Duration::from_secs(60);
    let windows = TimeWindows::of_size(minute).grace(minute);
    let counts = events.group_by_key().windowed_by(windows).count();
    by_start(&counts.materialized("windowed"), out);
}

fn session(events: &KStream<String, String>, out: &str) {
    let windows = SessionWindows::of_inactivity_gap(Duration::from_secs(5)).grace(Duration::from_secs(30));
    let counts = events.group_by_key().windowed_by(windows).count();
    by_start(&counts.materialized("sessions"), out);
}

/// Joins events with the clicks at about the same time, as late as `grace`.
fn join(builder: &StreamsBuilder, events: &KStream<String, String>, grace: Duration, out: &str) {
    let clicks = builder.stream::<String, String>("clicks");
    let windows = JoinWindows::of_time_difference(Duration::from_millis(500)).grace(grace);
    events
        .join(&clicks, windows, |_, event, click| {
            format!("{}{}", head(event, 8), head(click, 8))
        })
        .to(out);
}

/// Sends counts under their key and the start of their window.
fn by_start(counts: &KTable<Windowed<String>, i64>, out: &str) {
    let named = counts
        .to_stream()
        .select_key(|windowed, _| format!("{}@{}", windowed.key, windowed.window.start));
    named.to(out);
}

/// The first so many bytes: the values are plain ASCII.
fn head(text: &str, bytes: usize) -> &str {
    text.get(..bytes).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_workload_is_a_topology_of_its_topics() {
        for workload in Workload::value_variants() {
            let builder = StreamsBuilder::new();
            workload.build(&builder, &Topics::default());
            let topology = builder.build().unwrap_or_else(|error| panic!("{workload:?}: {error}"));
            assert!(topology.source_topics().any(|topic| topic == "events"), "{workload:?}");
        }
    }
}
