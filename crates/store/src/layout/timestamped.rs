//! The timestamped layout: eight bytes of big-endian timestamp, then the value. −1 is an unknown timestamp.

/// Appends the stored form of a value and its timestamp.
pub fn join(timestamp: i64, value: &[u8], stored: &mut Vec<u8>) {
    stored.extend_from_slice(&timestamp.to_be_bytes());
    stored.extend_from_slice(value);
}

/// The timestamp and the value of a stored form; `None` if it is too short to be one.
pub fn split(stored: &[u8]) -> Option<(i64, &[u8])> {
    let (timestamp, value) = stored.split_first_chunk()?;
    Some((i64::from_be_bytes(*timestamp), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_kafka_streams() {
        let mut stored = Vec::new();
        join(1000, b"val", &mut stored);
        assert_eq!(stored, [0, 0, 0, 0, 0, 0, 3, 0xe8, b'v', b'a', b'l']);
        assert_eq!(split(&stored), Some((1000, &b"val"[..])));
        assert_eq!(split(&[0; 7]), None);
    }
}
