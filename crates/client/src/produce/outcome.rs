//! What becomes of batches that were sent: acknowledged, sent again, or lost.

use std::collections::HashMap;

use kstreams_wire::TopicPartition;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::ProduceResponse;
use kstreams_wire::messages::produce_response::{NodeEndpoint, PartitionProduceResponse};
use rustc_hash::FxBuildHasher;
use tracing::{debug, warn};

use super::batch::Place;
use super::lost::{UNEXPLAINED, is_certain, is_of_producer};
use super::queue::{Numbered, Verdict};
use super::sender::Sender;
use super::{Ack, Fate, Letter, Lost, OnLoss};
use crate::cluster::{Leader, NodeId};
use crate::config::Address;
use crate::error::{Error, Result};
use crate::network::Instant;

impl Sender {
    /// A Produce request came to its end.
    pub(super) fn produced(&mut self, batches: Vec<Numbered>, answer: Result<ProduceResponse>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.unanswered(batches, &error),
        };
        let found: HashMap<_, _, FxBuildHasher> = answer
            .responses
            .iter()
            .flat_map(|topic| {
                topic
                    .partition_responses
                    .iter()
                    .map(|p| ((topic.name.0.as_str(), p.index), p))
            })
            .collect();
        let mut acks = Vec::with_capacity(batches.len());
        for mut batch in batches {
            let partition = self.partition(batch.batch.place);
            match found.get(&(&*partition.topic, partition.partition)) {
                Some(found) if found.error_code == 0 => acks.push(self.acknowledge(batch, found.base_offset)),
                Some(found) => {
                    self.follow(&partition, found, &answer.node_endpoints);
                    acks.extend(self.refused(batch, found));
                }
                None => {
                    batch.uncertain = true;
                    let what = "no answer for the partition".to_owned();
                    let code = ErrorCode::UNKNOWN_SERVER_ERROR;
                    self.again(batch, &Error::Refused { what, code });
                }
            }
        }
        if !acks.is_empty() {
            self.mailbox.put(Letter::Acked(acks));
        }
    }

    /// A broker that does not lead the partition any more may know who does (KIP-951).
    fn follow(&mut self, partition: &TopicPartition, answer: &PartitionProduceResponse, endpoints: &[NodeEndpoint]) {
        let leader = Leader {
            node: NodeId(answer.current_leader.leader_id.0),
            epoch: answer.current_leader.leader_epoch,
        };
        if leader.node.0 < 0 || !ErrorCode::from(answer.error_code).refreshes_metadata() {
            return;
        }
        let endpoint = endpoints.iter().find(|endpoint| endpoint.node_id.0 == leader.node.0);
        let address = endpoint.map(|endpoint| Address::of(&endpoint.host, endpoint.port));
        if self.cluster.move_leader(partition, leader, address) {
            debug!(%partition, leader = leader.node.0, "the leader has moved");
            self.find_leaders();
        }
    }

    /// A request without an answer was sent, or was not.
    pub(super) fn told(&mut self, batches: Vec<Numbered>, told: Result<()>) {
        match told {
            Ok(()) => {
                let acks = batches.into_iter().map(|batch| self.acknowledge(batch, -1)).collect();
                self.mailbox.put(Letter::Acked(acks));
            }
            Err(error) => self.unanswered(batches, &error),
        }
    }

    /// Batches that waited for too long are lost.
    pub(super) fn expire(&mut self, now: Instant) {
        let waited = self.config.delivery_timeout;
        let expired: Vec<_> = self
            .lines
            .values_mut()
            .flat_map(|line| line.queue.expire(now, waited))
            .collect();
        for batch in expired {
            let what = "delivery".to_owned();
            let source = self.obstacle.clone().map(Box::new);
            self.lose(batch, Error::Timeout { what, waited, source });
        }
    }

    /// Nothing can be written any more.
    pub(super) fn fail_all(&mut self, error: &Error) {
        let places: Vec<Place> = self.lines.keys().copied().collect();
        for place in places {
            self.bury(place);
        }
        self.mailbox.put(Letter::Failed {
            error: error.clone(),
            charged_bytes: Vec::new(),
        });
    }

    fn acknowledge(&mut self, batch: Numbered, base_offset: i64) -> Ack {
        if let Some(line) = self.lines.get_mut(&batch.batch.place) {
            line.queue.written(&batch);
        }
        let last_offset = (base_offset >= 0).then(|| base_offset + i64::from(batch.batch.records) - 1);
        Ack {
            batch: batch.batch,
            last_offset,
        }
    }

    /// The connection failed: whether the batches were written is not known.
    fn unanswered(&mut self, batches: Vec<Numbered>, error: &Error) {
        self.cluster.want_metadata();
        for mut batch in batches {
            batch.uncertain = true;
            if error.is_retriable() {
                self.again(batch, error);
            } else {
                self.lose(batch, error.clone());
            }
        }
    }

    /// The broker did not take a batch. Sometimes it has it already: then that is an acknowledgement.
    fn refused(&mut self, mut batch: Numbered, answer: &PartitionProduceResponse) -> Option<Ack> {
        let code = ErrorCode::from(answer.error_code);
        let place = batch.batch.place;
        let line = self.lines.get_mut(&place)?;
        let verdict = line.queue.judge(&batch, code);
        let what = answer
            .error_message
            .as_ref()
            .map_or_else(|| UNEXPLAINED.to_owned(), |text| text.as_str().to_owned());
        let error = Error::Refused { what, code };
        batch.uncertain |= !is_certain(code);
        match verdict {
            Verdict::Written => return Some(self.acknowledge(batch, -1)),
            Verdict::Retry => {
                if code.refreshes_metadata() {
                    self.cluster.want_metadata();
                }
                self.again(batch, &error);
            }
            Verdict::Behind if line.dead => self.lose(batch, error),
            Verdict::Behind => line.queue.put_back_behind(batch),
            Verdict::TooLarge => {
                line.queue.landed(batch.number);
                let partition = self.partition(place);
                warn!(%partition, records = batch.batch.records, "the broker finds a batch too large, splitting it");
                self.split(batch);
            }
            Verdict::Hopeless if self.config.on_loss == OnLoss::Report && !answer.record_errors.is_empty() => {
                self.sift(&batch, answer);
            }
            Verdict::Hopeless => self.lose(batch, error),
        }
        None
    }

    /// Loses the records that are to blame; the others are sent again.
    fn sift(&mut self, batch: &Numbered, answer: &PartitionProduceResponse) {
        let code = ErrorCode::from(answer.error_code);
        let blame = |at: usize| {
            answer
                .record_errors
                .iter()
                .find(|e| usize::try_from(e.batch_index) == Ok(at))
        };
        let blamed: Vec<_> = (0..batch.batch.records.unsigned_abs() as usize)
            .filter_map(blame)
            .collect();
        let place = batch.batch.place;
        let sifted = match batch.batch.sift(|at| blame(at).is_some(), self.config.codec) {
            Ok(sifted) => sifted,
            Err(error) => return self.fail_all(&error.into()),
        };
        let partition = self.partition(place);
        let Some(line) = self.lines.get_mut(&place) else { return };
        line.queue.landed(batch.number);
        let rest_bytes = sifted.rest.as_ref().map_or(0, |rest| rest.charged_bytes);
        let ended = sifted.rest.is_none();
        if let Some(rest) = sifted.rest {
            line.queue.put_back_rest(batch, rest);
        }
        let lost = sifted.refused.into_iter().zip(blamed).map(|(record, blamed)| {
            let what = blamed
                .batch_index_error_message
                .as_ref()
                .or(answer.error_message.as_ref());
            let what = what.map_or_else(|| UNEXPLAINED.to_owned(), |text| text.as_str().to_owned());
            Lost {
                partition: partition.clone(),
                error: Error::Refused { what, code },
                fate: Fate::NotWritten,
                records: vec![record],
            }
        });
        self.mailbox.put(Letter::Lost {
            place,
            lost: lost.collect(),
            charged_bytes: batch.batch.charged_bytes.saturating_sub(rest_bytes),
            ended,
        });
    }

    fn split(&mut self, batch: Numbered) {
        let (place, charged_bytes, codec) = (batch.batch.place, batch.batch.charged_bytes, self.config.codec);
        let Some(line) = self.lines.get_mut(&place) else { return };
        if let Err(error) = line.queue.put_back_halves(batch, codec) {
            self.bury(place);
            self.mailbox.put(Letter::Failed {
                error: error.into(),
                charged_bytes: vec![charged_bytes],
            });
        } else {
            self.mailbox.put(Letter::Split);
        }
    }

    fn again(&mut self, batch: Numbered, error: &Error) {
        let place = batch.batch.place;
        let retries = self.config.retries;
        let Some(line) = self.lines.get_mut(&place) else { return };
        line.queue.landed(batch.number);
        if line.dead || batch.attempts > retries {
            return self.lose(batch, error.clone());
        }
        self.obstacle = Some(error.clone());
        let pause = self.backoff.after(batch.attempts);
        let partition = self.partition(place);
        debug!(%partition, %error, attempts = batch.attempts, "sending a batch again after a pause");
        if let Some(line) = self.lines.get_mut(&place) {
            line.queue.put_back(batch, Instant::now(), pause);
        }
    }

    /// A batch will not be written. Unless the owner wants to decide about its records, neither will those behind it,
    /// whose order would be wrong without it.
    fn lose(&mut self, batch: Numbered, error: Error) {
        let place = batch.batch.place;
        let Some(line) = self.lines.get_mut(&place) else { return };
        let fate = line.queue.give_up(&batch);
        let charged_bytes = batch.batch.charged_bytes;
        let records = match self.config.on_loss {
            OnLoss::Report if !error.code().is_some_and(is_of_producer) => batch.batch.records(),
            _ => Ok(Vec::new()),
        };
        let lost = Lost {
            partition: self.partition(place),
            error,
            fate,
            records: match records {
                Ok(records) => records,
                Err(error) => return self.fail_all(&error.into()),
            },
        };
        if lost.records.is_empty() {
            self.bury(place);
            let error = Error::Delivery {
                partition: lost.partition,
                records: batch.batch.records,
                source: Box::new(lost.error),
            };
            self.mailbox.put(Letter::Failed {
                error,
                charged_bytes: vec![charged_bytes],
            });
            return;
        }
        // Nothing more may follow in a transaction that can only be aborted.
        if fate == Fate::Unknown && self.config.transactional.is_some() {
            self.bury(place);
        }
        self.mailbox.put(Letter::Lost {
            place,
            lost: vec![lost],
            charged_bytes,
            ended: true,
        });
    }

    fn bury(&mut self, place: Place) {
        let Some(line) = self.lines.get_mut(&place) else { return };
        line.dead = true;
        let charged_bytes: Vec<_> = line.queue.abandon().map(|batch| batch.batch.charged_bytes).collect();
        if !charged_bytes.is_empty() {
            self.mailbox.put(Letter::Dropped(charged_bytes));
        }
    }
}
