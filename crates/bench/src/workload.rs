//! The topologies of the JVM's `Bench.java`, one to one.

use kstreams::prelude::*;

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
}

impl Workload {
    /// Its operators, on the builder.
    pub(crate) fn build(self, builder: &StreamsBuilder) {
        match self {
            Self::Pipe => {
                events(builder).to("out");
            }
            Self::Stateless => {
                events(builder)
                    .filter(|_, value| !value.starts_with('x'))
                    .map_values(|_, value| value.split(',').next().unwrap_or_default().to_uppercase())
                    .to("out");
            }
            Self::Wordcount => {
                builder
                    .stream::<Option<String>, String>("lines")
                    .flat_map_values(|_, line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
                    .group_by(|_, word| word.clone())
                    .count()
                    .materialized("counts")
                    .to_stream()
                    .to("out");
            }
            Self::Count => {
                events(builder)
                    .group_by_key()
                    .count()
                    .materialized("counts")
                    .to_stream()
                    .to("out");
            }
            Self::CountMem => {
                let store = Materialized::named("counts").in_memory();
                events(builder)
                    .group_by_key()
                    .count()
                    .materialized(store)
                    .to_stream()
                    .to("out");
            }
        }
    }
}

fn events(builder: &StreamsBuilder) -> KStream<String, String> {
    builder.stream::<String, String>("events")
}
