//! How a store's kind becomes bytes: in the engine, and in the changelog.
//!
//! One file per layout. Where a store's rows are its changelog's records, a layout is two functions: what of a stored
//! value goes to the changelog, and how a changelog record becomes a stored value again. The kinds whose rows are others
//! log and restore by themselves, see [`kind`](crate::state::kind).

pub mod buffered;
pub mod list;
pub mod plain;
pub(crate) mod timed;
pub mod timestamped;
pub mod versioned;

use std::borrow::Cow;

use crate::spec::{Kind, TimeOrder, WindowLayout};

/// The value and the timestamp of the changelog record for a stored value. `None` if these are not bytes of this kind.
pub(crate) fn logged(kind: Kind, stored: &[u8], record_timestamp: i64) -> Option<(&[u8], i64)> {
    match kind {
        Kind::TimestampedKeyValue | Kind::Window(WindowLayout { timestamped: true, .. }) => {
            timestamped::split(stored).map(|(timestamp, value)| (value, timestamp))
        }
        _ => Some((stored, record_timestamp)),
    }
}

/// Appends the stored value of a changelog record.
pub(crate) fn restored(kind: Kind, value: &[u8], timestamp: i64, stored: &mut Vec<u8>) {
    match kind {
        Kind::TimestampedKeyValue | Kind::Window(WindowLayout { timestamped: true, .. }) => {
            timestamped::join(timestamp, value, stored);
        }
        _ => plain::join(value, stored),
    }
}

/// The name under which a store on disk says how its bytes are laid out. It changes whenever they do.
pub(crate) fn format(kind: Kind) -> Cow<'static, str> {
    let by_time = |order| match order {
        TimeOrder::KeyFirst => "",
        TimeOrder::TimeFirst => ":by-time",
    };
    match kind {
        Kind::KeyValue => "1:plain".into(),
        Kind::TimestampedKeyValue => "1:timestamped".into(),
        Kind::Window(layout) => {
            let duplicates = if layout.duplicates { ":duplicates" } else { "" };
            let value = if layout.timestamped { "timestamped" } else { "plain" };
            let (segment_ms, by_time) = (layout.segment_ms, by_time(layout.order));
            format!("1:window:{segment_ms}{by_time}{duplicates}:{value}").into()
        }
        Kind::Session(layout) => format!("1:session:{}{}:plain", layout.segment_ms, by_time(layout.order)).into(),
        Kind::Versioned(layout) => format!("1:versioned:{}", layout.segment_ms).into(),
        Kind::List => "1:list".into(),
        Kind::Suppression => "1:suppression".into(),
        Kind::GraceBuffer => "1:grace-buffer".into(),
    }
}
