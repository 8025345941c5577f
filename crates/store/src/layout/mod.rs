//! How a store's kind becomes bytes: in the engine, and in the changelog.
//!
//! A layout is two functions: what of a stored value goes to the changelog, and how a changelog record becomes a stored
//! value again. One file per layout.

pub mod plain;
pub mod timestamped;

use crate::spec::Kind;

/// The value and the timestamp of the changelog record for a stored value. `None` if these are not bytes of this kind.
pub(crate) fn logged(kind: Kind, stored: &[u8], record_timestamp: i64) -> Option<(&[u8], i64)> {
    match kind {
        Kind::KeyValue => Some((stored, record_timestamp)),
        Kind::TimestampedKeyValue => timestamped::split(stored).map(|(timestamp, value)| (value, timestamp)),
    }
}

/// Appends the stored value of a changelog record.
pub(crate) fn restored(kind: Kind, value: &[u8], timestamp: i64, stored: &mut Vec<u8>) {
    match kind {
        Kind::KeyValue => plain::join(value, stored),
        Kind::TimestampedKeyValue => timestamped::join(timestamp, value, stored),
    }
}

/// The name under which a store on disk says how its bytes are laid out. It changes whenever they do.
pub(crate) fn format(kind: Kind) -> &'static str {
    match kind {
        Kind::KeyValue => "1:plain",
        Kind::TimestampedKeyValue => "1:timestamped",
    }
}
