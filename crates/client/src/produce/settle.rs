//! Waiting for acknowledgements: until all is written, or until there is room for more.

use std::time::Duration;

use super::accumulator::Partition;
use super::{Ack, Fate, Letter, Lost, Producer};
use crate::error::{Error, Result};
use crate::network;

impl Producer {
    /// Sends everything and waits until all of it is acknowledged; the first failure wins.
    pub fn flush(&mut self) -> Result<()> {
        // Every batch ends by delivery.timeout.ms, and with one batch behind the other nothing takes twice as long.
        self.flush_within(
            self.config
                .delivery_timeout
                .saturating_mul(2)
                .max(self.config.block_max),
        )
    }

    /// Sends everything and waits up to `limit` until all of it is acknowledged.
    pub fn flush_within(&mut self, limit: Duration) -> Result<()> {
        self.check()?;
        self.seal_all()?;
        self.collect();
        let start = network::Instant::now();
        while self.unacked_batches > 0 {
            self.check()?;
            let waited = start.elapsed();
            if waited >= limit {
                return Err(Error::Timeout {
                    what: "flush".to_owned(),
                    waited: limit,
                    source: None,
                });
            }
            self.await_letters(limit - waited);
        }
        self.check()
    }

    /// Waits until `bytes` more fit into `buffer.memory`.
    #[cold]
    pub(super) fn make_room(&mut self, bytes: usize) -> Result<()> {
        self.seal_all()?;
        self.collect();
        let limit = self.config.block_max;
        let start = network::Instant::now();
        while self.buffered_bytes + bytes > self.config.buffer_bytes {
            self.check()?;
            let waited = start.elapsed();
            if waited >= limit {
                let what = format!("room for {bytes} bytes in buffer.memory");
                return Err(Error::Timeout {
                    what,
                    waited,
                    source: None,
                });
            }
            self.await_letters(limit - waited);
        }
        self.check()
    }

    pub(super) fn check(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    pub(super) fn collect(&mut self) {
        let mut letters = std::mem::take(&mut self.letters);
        self.mailbox.take(&mut letters);
        self.open_letters(letters);
    }

    fn await_letters(&mut self, limit: Duration) {
        let mut letters = std::mem::take(&mut self.letters);
        self.mailbox.wait(limit, &mut letters);
        self.open_letters(letters);
    }

    fn open_letters(&mut self, mut letters: Vec<Letter>) {
        for letter in letters.drain(..) {
            match letter {
                Letter::Identity(identity) => self.identity = Some(identity),
                Letter::Split => self.unacked_batches += 1,
                Letter::Acked(acks) => acks.into_iter().for_each(|ack| self.acked(ack)),
                Letter::Dropped(charged_bytes) => self.discharge(&charged_bytes),
                Letter::Lost {
                    place,
                    lost,
                    charged_bytes,
                    ended,
                } => {
                    self.buffered_bytes = self.buffered_bytes.saturating_sub(charged_bytes);
                    if ended {
                        self.unacked_batches = self.unacked_batches.saturating_sub(1);
                        self.slot(place).into_iter().for_each(Partition::landed);
                    }
                    self.lose(lost);
                }
                Letter::Failed { error, charged_bytes } => {
                    self.discharge(&charged_bytes);
                    self.failure.get_or_insert(error);
                }
            }
        }
        self.letters = letters;
    }

    /// Keeps what was lost for the owner. A transaction whose records may or may not be written is spoilt.
    fn lose(&mut self, lost: Vec<Lost>) {
        for lost in lost {
            if self.transactions.is_some() && lost.fate == Fate::Unknown {
                self.failure.get_or_insert_with(|| lost.to_error());
            }
            self.lost.push(lost);
        }
    }

    fn acked(&mut self, ack: Ack) {
        self.discharge(&[ack.batch.charged_bytes]);
        if let Some(slot) = self.slot(ack.batch.place) {
            slot.acked(ack.last_offset, ack.batch.bytes);
        }
    }

    fn discharge(&mut self, charged_bytes: &[usize]) {
        self.unacked_batches = self.unacked_batches.saturating_sub(charged_bytes.len());
        self.buffered_bytes = self.buffered_bytes.saturating_sub(charged_bytes.iter().sum());
    }
}
