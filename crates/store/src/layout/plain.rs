//! The plain layout: a value as its serde wrote it, in the store and in the changelog alike.

/// Appends the stored form of `value`.
pub fn join(value: &[u8], stored: &mut Vec<u8>) {
    stored.extend_from_slice(value);
}
