//! How long, and in how much memory, changes of a table are held back.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use kstreams_store::Logging;
use kstreams_topology::{Data, Windowed};

use crate::window::millis;

/// How changes of a table are held back, see [`KTable::suppress`](crate::KTable::suppress).
#[derive(Debug)]
pub struct Suppressed<K> {
    pub(crate) until: Until<K>,
    pub(crate) buffer: Limits,
}

/// For how long.
#[derive(Debug)]
pub(crate) enum Until<K> {
    /// So many milliseconds of stream time.
    TimeLimit(i64),
    /// Until the key's window takes no more records. The function tells the end of a key's window.
    WindowCloses(fn(&K) -> i64),
}

impl<K> Clone for Until<K> {
    fn clone(&self) -> Self {
        match self {
            Self::TimeLimit(wait_ms) => Self::TimeLimit(*wait_ms),
            Self::WindowCloses(end) => Self::WindowCloses(*end),
        }
    }
}

impl<K: Data> Suppressed<K> {
    /// Holds the changes of a key back until stream time is `wait` or more ahead of the first of them, and lets only the
    /// last one pass. With a buffer that [emits early](Buffer::emit_early_when_full) they may pass sooner.
    pub fn until_time_limit<F>(wait: Duration, buffer: Buffer<F>) -> Self {
        Self {
            until: Until::TimeLimit(millis(wait)),
            buffer: buffer.limits,
        }
    }
}

impl<K: Data> Suppressed<Windowed<K>> {
    /// Holds the results of a window back until it is closed, and lets only the final one pass. How long a window stays
    /// open is a matter of the grace of the windowed aggregation above. The buffer must not emit early: results would not be
    /// final.
    pub fn until_window_closes(buffer: Buffer<ShutDown>) -> Self {
        Self {
            until: Until::WindowCloses(|key| key.window.end),
            buffer: buffer.limits,
        }
    }
}

/// What a buffer does when it is full, at the type level: it lets the first changes pass early.
#[derive(Clone, Copy, Debug)]
pub struct EmitEarly(());

/// What a buffer does when it is full, at the type level: the application ends.
#[derive(Clone, Copy, Debug)]
pub struct ShutDown(());

/// The memory in which changes wait: how much, what happens when it is full, and whether it is logged. It is, by default:
/// the buffer is rebuilt from its changelog at every start.
///
/// ```
/// # use kstreams_dsl::Buffer;
/// let as_much_as_it_takes = Buffer::unbounded();
/// let early_rather_than_large = Buffer::max_records(1_000).max_bytes(1 << 20);
/// let never_early = Buffer::max_records(1_000).shut_down_when_full();
/// # let _ = (as_much_as_it_takes, early_rather_than_large, never_early);
/// ```
#[derive(Clone, Debug)]
pub struct Buffer<F = EmitEarly> {
    limits: Limits,
    when_full: PhantomData<fn() -> F>,
}

/// A buffer's limits.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) records_max: u64,
    pub(crate) bytes_max: u64,
    pub(crate) emits_early: bool,
    pub(crate) logging: Logging,
}

impl Buffer<ShutDown> {
    /// A buffer without limits.
    pub fn unbounded() -> Self {
        Self::of(Limits {
            records_max: u64::MAX,
            bytes_max: u64::MAX,
            emits_early: false,
            logging: Logging::enabled(),
        })
    }
}

impl Buffer<EmitEarly> {
    /// A buffer for the changes of so many keys. When there are more, the first ones pass early.
    pub fn max_records(records: u64) -> Self {
        let unbounded = Buffer::unbounded().limits;
        Self::of(Limits {
            records_max: records,
            emits_early: true,
            ..unbounded
        })
    }
}

impl<F> Buffer<F> {
    /// Limits the buffer to so many bytes of keys, values and what is known of their records.
    pub fn max_bytes(self, bytes: u64) -> Self {
        Self::of(Limits {
            bytes_max: bytes,
            ..self.limits
        })
    }

    /// When the buffer is full, the first changes pass early.
    pub fn emit_early_when_full(self) -> Buffer<EmitEarly> {
        Buffer::of(Limits {
            emits_early: true,
            ..self.limits
        })
    }

    /// When the buffer is full, processing fails: no change ever passes early.
    pub fn shut_down_when_full(self) -> Buffer<ShutDown> {
        Buffer::of(Limits {
            emits_early: false,
            ..self.limits
        })
    }

    /// Keeps no changelog: changes that wait are lost at a restart.
    pub fn unlogged(self) -> Self {
        Self::of(Limits {
            logging: Logging::Disabled,
            ..self.limits
        })
    }

    /// Keeps a changelog with these configs on top of the defaults. Without configs this is the default.
    pub fn logged(self, configs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::of(Limits {
            logging: Logging::Enabled(configs.into_iter().collect::<BTreeMap<_, _>>()),
            ..self.limits
        })
    }

    fn of(limits: Limits) -> Self {
        Self {
            limits,
            when_full: PhantomData,
        }
    }
}
