//! An answer as a list of byte slices, so that fetched batches go to the socket uncopied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Slices to be written one after the other.
#[derive(Debug, Default)]
pub(crate) struct Rope {
    slices: VecDeque<Bytes>,
    bytes: usize,
}

impl Rope {
    /// Appends a slice.
    pub(crate) fn push(&mut self, slice: Bytes) {
        if !slice.is_empty() {
            self.bytes += slice.len();
            self.slices.push_back(slice);
        }
    }

    /// Puts a slice in front.
    pub(crate) fn push_front(&mut self, slice: Bytes) {
        self.bytes += slice.len();
        self.slices.push_front(slice);
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.slices.front().map_or(&[], |slice| slice)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let pairs = into.iter_mut().zip(&self.slices);
        pairs.map(|(slot, slice)| *slot = IoSlice::new(slice)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while count > 0 {
            let Some(front) = self.slices.front_mut() else { return };
            if count < front.len() {
                return front.advance(count);
            }
            count -= front.len();
            self.slices.pop_front();
        }
    }
}
