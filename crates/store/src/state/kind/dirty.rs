//! The keys that changed since the last flush, in the order in which a Java `HashSet` would give them.
//!
//! The order decides nothing but that of the records in the changelog. It is Java's so that the two can be compared record
//! by record.

use crate::table::Table;

/// Keys that changed.
#[derive(Default)]
pub(in crate::state) struct DirtyKeys {
    keys: Table<()>,
    /// How many buckets Java's set has by now. It never gets smaller.
    buckets: usize,
}

impl DirtyKeys {
    pub(in crate::state) fn insert(&mut self, key: &[u8]) {
        if self.keys.find(key).is_some() {
            return;
        }
        self.keys.insert_new(key, ());
        self.buckets = self.buckets.max(16);
        while self.keys.len() * 4 > self.buckets * 3 {
            self.buckets *= 2;
        }
    }

    /// Takes all keys out.
    pub(in crate::state) fn take(&mut self) -> Vec<Box<[u8]>> {
        let mut keys: Vec<Box<[u8]>> = self.keys.slots().map(|(_, key, ())| Box::from(key)).collect();
        self.keys.clear();
        // Within a bucket, keys stand in the order in which they came.
        keys.sort_by_key(|key| bucket(key, self.buckets));
        keys
    }

    pub(in crate::state) fn clear(&mut self) {
        self.keys.clear();
    }
}

fn bucket(key: &[u8], buckets: usize) -> usize {
    let hash = key.iter().fold(1_u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add((*byte as i8) as u32)
    });
    (hash ^ (hash >> 16)) as usize & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_their_buckets() {
        let mut dirty = DirtyKeys::default();
        for key in ["b", "a", "b", "q"] {
            dirty.insert(key.as_bytes());
        }
        // 31 + 97 is in bucket 0 of 16, as is 31 + 113; 31 + 98 in bucket 1.
        assert_eq!(
            dirty.take(),
            [Box::from(*b"a") as Box<[u8]>, Box::from(*b"q"), Box::from(*b"b")]
        );
        assert!(dirty.take().is_empty());
    }
}
