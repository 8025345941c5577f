//! The topology under test, as a process.

use std::time::Duration;

use kstreams::prelude::*;

use super::model;

/// The name of the application, its group, and the beginning of its internal topics.
pub const APPLICATION: &str = "chaos";

/// Longer than any run in record time: each number is one millisecond.
const WINDOW: Duration = Duration::from_secs(3600);

/// The topology: see the folder's [story](super) for why its output is known.
pub fn topology() -> Result<Topology, Box<dyn std::error::Error>> {
    let builder = StreamsBuilder::new();
    let left = builder.stream::<String, String>(model::LEFT);
    let right = builder.stream::<String, String>(model::RIGHT);
    let [totals_out, joined_out, pairs_out] = model::OUTPUTS;
    let by_group = left
        .select_key(|_, number| parsed(number).map(model::group))
        .repartition("by-group");
    let totals = by_group
        .group_by_key()
        .aggregate(String::new, |_, number, totals| {
            parsed(&number).map(|number| model::fold(number, &totals))
        })
        .materialized(Materialized::named("totals").uncached());
    totals.to_stream().to(totals_out);
    by_group
        .join_table(&totals, |_, number, totals| model::join_totals(&number, &totals))
        .to(joined_out);
    left.join(&right, JoinWindows::of_time_difference(WINDOW), |_, left, right| {
        model::join_sides(left, right)
    })
    .to(pairs_out);
    Ok(builder.build()?)
}

fn parsed(number: &str) -> Result<u64, std::num::ParseIntError> {
    number.parse()
}

/// The settings of every process: short time-outs, so that what went wrong is noticed soon.
pub fn settings(bootstrap: &str, state: &str) -> StreamsConfig {
    StreamsConfig::new(APPLICATION, bootstrap)
        .set("state.dir", state)
        .set("processing.guarantee", "exactly_once_v2")
        .set("num.stream.threads", 2)
        .set("commit.interval.ms", 100)
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", 3000)
        .set("heartbeat.interval.ms", 500)
        .set("max.poll.interval.ms", 20_000)
        .set("request.timeout.ms", 5000)
        .set("default.api.timeout.ms", 15_000)
        .set("producer.transaction.timeout.ms", 6000)
        .set("reconnect.backoff.max.ms", 200)
        .set("repartition.purge.interval.ms", 1000)
}

/// Runs until SIGTERM. `more` are further settings, `key=value`.
pub fn run(bootstrap: &str, state: &str, more: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = settings(bootstrap, state);
    for setting in more {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("{setting} is not key=value"))?;
        config = config.set(key, value);
    }
    let mut streams = KafkaStreams::new(topology()?, config)?;
    streams.start()?;
    streams.wait_for_ctrl_c()?;
    streams.close(None)?;
    Ok(())
}
