//! What a consumer may be told: Kafka's keys as types.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{ConfigError, Properties};

/// How to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// `fetch.min.bytes`: a broker waits until it has this much, or `fetch.max.wait.ms` are over.
    pub fetch_bytes_min: i32,
    /// `fetch.max.bytes`: about as much comes with one answer.
    pub fetch_bytes_max: i32,
    /// `fetch.max.wait.ms`: a broker answers after this long, even if it has nothing.
    pub fetch_wait_max: Duration,
    /// `max.partition.fetch.bytes`: about as much of one partition comes with one answer.
    pub partition_bytes_max: i32,
    /// `auto.offset.reset`: where to begin without a position, or with one that the log does not have.
    pub reset: ResetPolicy,
    /// `isolation.level`: which records of transactions are seen.
    pub isolation: Isolation,
    /// `check.crcs`: whether checksums of batches are verified.
    pub check_crcs: bool,
    /// As many decompressed bytes wait for the application before fetching pauses. Kafka has no key for it.
    pub prefetch_bytes_max: usize,
}

/// Where to begin a partition without a usable position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetPolicy {
    /// At the oldest record.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// Nowhere: the application decides.
    None,
}

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All.
    ReadUncommitted,
    /// Those of committed transactions only, and nothing behind the first open transaction.
    ReadCommitted,
}

impl Isolation {
    /// The offset behind the newest record that may be read.
    pub(super) fn limit(self, high_watermark: i64, last_stable_offset: i64) -> i64 {
        match self {
            Self::ReadCommitted if last_stable_offset >= 0 => last_stable_offset,
            _ => high_watermark,
        }
    }
}

impl ConsumerConfig {
    /// The keys read by [`ConsumerConfig::from_properties`].
    pub const KEYS: &[&str] = &[
        "auto.offset.reset",
        "check.crcs",
        "fetch.max.bytes",
        "fetch.max.wait.ms",
        "fetch.min.bytes",
        "isolation.level",
        "max.partition.fetch.bytes",
    ];

    /// Reads Kafka's keys, with Kafka's defaults. Keys that are not in [`ConsumerConfig::KEYS`] are the caller's
    /// concern.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let p = Properties::new(properties);
        let reset = match p.one_of("auto.offset.reset", "latest", &["earliest", "latest", "none"])? {
            "earliest" => ResetPolicy::Earliest,
            "none" => ResetPolicy::None,
            _ => ResetPolicy::Latest,
        };
        let isolation = match p.one_of(
            "isolation.level",
            "read_uncommitted",
            &["read_uncommitted", "read_committed"],
        )? {
            "read_committed" => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        };
        let wait = p.number("fetch.max.wait.ms", 500, 0..=i32::MAX)?;
        Ok(Self {
            fetch_bytes_min: p.number("fetch.min.bytes", 1, 0..=i32::MAX)?,
            fetch_bytes_max: p.number("fetch.max.bytes", 52_428_800, 0..=i32::MAX)?,
            fetch_wait_max: Duration::from_millis(u64::from(wait.unsigned_abs())),
            partition_bytes_max: p.number("max.partition.fetch.bytes", 1_048_576, 0..=i32::MAX)?,
            reset,
            isolation,
            check_crcs: p.boolean("check.crcs", true)?,
            ..Self::default()
        })
    }
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            fetch_bytes_min: 1,
            fetch_bytes_max: 52_428_800,
            fetch_wait_max: Duration::from_millis(500),
            partition_bytes_max: 1_048_576,
            reset: ResetPolicy::Latest,
            isolation: Isolation::ReadUncommitted,
            check_crcs: true,
            prefetch_bytes_max: 16 << 20,
        }
    }
}
