//! What a producer may be told: Kafka's keys as types.

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams_wire::compression::{Codec, Compression};

use super::OnLoss;
use crate::config::{ConfigError, Properties};

/// How to produce.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerConfig {
    /// `acks`: who must have a batch before it counts as written.
    pub acks: Acks,
    /// `enable.idempotence`: whether brokers drop what a retry brings twice.
    pub idempotent: bool,
    /// `linger.ms`: how long a batch waits to be filled.
    pub linger: Duration,
    /// `batch.size`: how large a batch is to become.
    pub batch_bytes: usize,
    /// `buffer.memory`: as much may be on its way before appending waits.
    pub buffer_bytes: usize,
    /// `max.block.ms`: how long appending waits, for metadata and for room.
    pub block_max: Duration,
    /// `max.request.size`: the largest request, and so the largest record.
    pub request_bytes_max: usize,
    /// `max.in.flight.requests.per.connection`: as many requests to one broker wait for their answer.
    pub in_flight_max: usize,
    /// `delivery.timeout.ms`: how long a batch may take, with all attempts.
    pub delivery_timeout: Duration,
    /// `retries`: how many attempts a batch gets after the first.
    pub retries: u32,
    /// `compression.type` with its level.
    pub codec: Codec,
    /// What makes the producer a transactional one.
    pub transactional: Option<TransactionalConfig>,
    /// What to do about records that cannot be delivered: the owner's choice, no key of Kafka's.
    pub on_loss: OnLoss,
}

/// How to write in transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionalConfig {
    /// `transactional.id`: whoever begins to write under it fences who did so before.
    pub id: String,
    /// `transaction.timeout.ms`: a transaction that is open for longer is aborted by its coordinator.
    pub timeout: Duration,
}

/// Who must have a batch before it counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody: whether it arrived is not known.
    None,
    /// The leader.
    Leader,
    /// All replicas in sync.
    All,
}

impl Acks {
    pub(super) fn to_wire(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

impl ProducerConfig {
    /// The keys read by [`ProducerConfig::from_properties`].
    pub const KEYS: &[&str] = &[
        "acks",
        "batch.size",
        "buffer.memory",
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.type",
        "compression.zstd.level",
        "delivery.timeout.ms",
        "enable.idempotence",
        "linger.ms",
        "max.block.ms",
        "max.in.flight.requests.per.connection",
        "max.request.size",
        "retries",
        "transaction.timeout.ms",
        "transactional.id",
    ];

    /// Reads Kafka's keys, with Kafka's defaults. Keys that are not in [`ProducerConfig::KEYS`] are the caller's
    /// concern.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let p = Properties::new(properties);
        let default = Self::default();
        let bytes_max = i32::MAX as usize;
        let idempotent = p.boolean("enable.idempotence", true)?;
        let acks = match p.one_of("acks", "all", &["all", "-1", "0", "1"])? {
            "0" => Acks::None,
            "1" => Acks::Leader,
            _ => Acks::All,
        };
        // Asked for or not, weaker acknowledgements cannot be idempotent; only asking for both is a contradiction.
        if acks != Acks::All && idempotent && properties.contains_key("enable.idempotence") {
            return Err(p.bad("acks", "must be all with enable.idempotence"));
        }
        let idempotent = idempotent && acks == Acks::All;
        let in_flight_max = p.number(
            "max.in.flight.requests.per.connection",
            default.in_flight_max,
            1..=bytes_max,
        )?;
        if idempotent && in_flight_max > 5 {
            return Err(p.bad(
                "max.in.flight.requests.per.connection",
                "must be at most 5 with enable.idempotence",
            ));
        }
        Ok(Self {
            acks,
            idempotent,
            linger: p.millis("linger.ms", 5)?,
            batch_bytes: p.number("batch.size", default.batch_bytes, 0..=bytes_max)?,
            buffer_bytes: p.number("buffer.memory", default.buffer_bytes, 0..=usize::MAX)?,
            block_max: p.millis("max.block.ms", 60_000)?,
            request_bytes_max: p.number("max.request.size", default.request_bytes_max, 0..=bytes_max)?,
            in_flight_max,
            delivery_timeout: p.millis("delivery.timeout.ms", 120_000)?,
            retries: p.number("retries", default.retries, 0..=default.retries)?,
            codec: codec(&p)?,
            transactional: transactional(&p, idempotent)?,
            on_loss: OnLoss::default(),
        })
    }
}

fn transactional(p: &Properties<'_>, idempotent: bool) -> Result<Option<TransactionalConfig>, ConfigError> {
    let timeout = p.millis("transaction.timeout.ms", 60_000)?;
    let id = p.text("transactional.id", "");
    if id.is_empty() {
        return Ok(None);
    }
    if !idempotent {
        return Err(p.bad("transactional.id", "needs acks=all and enable.idempotence"));
    }
    Ok(Some(TransactionalConfig { id, timeout }))
}

fn codec(p: &Properties<'_>) -> Result<Codec, ConfigError> {
    let kinds = ["none", "gzip", "snappy", "lz4", "zstd"];
    let (compression, level_key) = match p.one_of("compression.type", "none", &kinds)? {
        "gzip" => (Compression::Gzip, Some("compression.gzip.level")),
        "snappy" => (Compression::Snappy, None),
        "lz4" => (Compression::Lz4, Some("compression.lz4.level")),
        "zstd" => (Compression::Zstd, Some("compression.zstd.level")),
        _ => (Compression::None, None),
    };
    let Some(key) = level_key.filter(|key| p.has(key)) else {
        return Ok(Codec::from(compression));
    };
    let level = p.number(key, 0, i32::MIN..=i32::MAX)?;
    Codec::with_level(compression, level).map_err(|error| p.bad(key, &error.to_string()))
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            linger: Duration::from_millis(5),
            batch_bytes: 16_384,
            buffer_bytes: 33_554_432,
            block_max: Duration::from_secs(60),
            request_bytes_max: 1_048_576,
            in_flight_max: 5,
            delivery_timeout: Duration::from_secs(120),
            retries: i32::MAX as u32,
            codec: Codec::from(Compression::None),
            transactional: None,
            on_loss: OnLoss::default(),
        }
    }
}
