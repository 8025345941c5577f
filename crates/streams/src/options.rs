//! What of an application's settings takes effect where its topology is built.

use kstreams_dsl::{BuildOptions, Optimization};
use kstreams_runtime::{ConfigError, Settings, StreamsConfig};

/// The choices for [`StreamsBuilder::build_with`](crate::StreamsBuilder::build_with) that the settings
/// `topology.optimization`, `default.dsl.store` and `dsl.store.suppliers.class` make, as Java's `StreamsBuilder.build(props)`
/// takes them. An error if any of the settings is refused.
///
/// ```
/// use kstreams::prelude::*;
///
/// let config = StreamsConfig::new("totals", "localhost:9092")
///     .set("topology.optimization", "reuse.ktable.source.topics")
///     .set("default.dsl.store", "in_memory");
/// let builder = StreamsBuilder::new();
/// builder.table::<String, i64>("amounts").materialized("amounts").to_stream().to("out");
/// let topology = builder.build_with(kstreams::build_options(&config)?)?;
/// // The table's topic serves as its changelog.
/// let parts = topology.subtopologies("totals");
/// let (_, store) = parts.store("amounts").ok_or("no store")?;
/// assert_eq!(store.changelog.as_deref(), Some("amounts"));
/// assert_eq!(store.spec.engine, kstreams::EngineKind::Memory);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn build_options(config: &StreamsConfig) -> Result<BuildOptions, ConfigError> {
    let dsl = Settings::parse(config)?.dsl;
    let optimization = Optimization {
        reuse_source_topics: dsl.reuse_source_topics,
        merge_repartition_topics: dsl.merge_repartition_topics,
        single_store_self_join: dsl.single_store_self_join,
    };
    Ok(BuildOptions::default()
        .default_engine(dsl.store)
        .optimization(optimization))
}
