//! The entries of a range, typed.

use std::marker::PhantomData;

use kstreams_store::Range;

use super::front::{Codec, Read};
use crate::error::Result;

/// The entries of a range, in order: an iterator of `Result<(K, V)>`. It borrows the store, so that nothing is written
/// meanwhile; [`collect_owned`](Self::collect_owned) ends that.
pub struct Entries<'a, K, S, V> {
    range: Range<'a>,
    codec: &'a Codec<K, S>,
    read: Read<K, S, V>,
    value: PhantomData<fn() -> V>,
}

impl<'a, K: 'static, S: 'static, V> Entries<'a, K, S, V> {
    pub(super) fn new(range: Range<'a>, codec: &'a Codec<K, S>, read: Read<K, S, V>) -> Self {
        Self {
            range,
            codec,
            read,
            value: PhantomData,
        }
    }

    /// All entries, or the first error.
    pub fn collect_owned(self) -> Result<Vec<(K, V)>> {
        self.collect()
    }
}

impl<K: 'static, S: 'static, V> Iterator for Entries<'_, K, S, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Result<(K, V)>> {
        let (key, value) = match self.range.next_entry() {
            Ok(entry) => entry?,
            Err(error) => return Some(Err(error.into())),
        };
        let key = self.codec.decode_key(key);
        let value = (self.read)(self.codec, value);
        Some(key.and_then(|key| Ok((key, value?))))
    }
}
