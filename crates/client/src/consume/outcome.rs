//! What becomes of answers: positions move, records go to the application, errors are retried or told.

use std::collections::HashMap;

use kstreams_wire::TopicPartition;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::fetch_response::PartitionData;
use kstreams_wire::messages::{FetchResponse, ListOffsetsResponse};
use rustc_hash::FxBuildHasher;
use tracing::{debug, info};

use super::fetcher::{Asked, Fetcher, Way};
use super::positions::{Edge, State};
use super::{Fetched, Letter, answer};
use crate::cluster::NodeId;
use crate::error::{Error, Result};
use crate::network::Instant;

impl Fetcher {
    /// A fetch came to its end.
    pub(super) fn fetched(&mut self, node: NodeId, way: Way, asked: &[Asked], answer: Result<FetchResponse>) {
        self.land(node, way, &answer);
        for one in asked {
            if let Some(position) = self.positions.get_mut(&one.partition).filter(|p| p.epoch == one.epoch) {
                position.in_flight = false;
            }
        }
        match answer {
            Ok(mut answer) if answer.error_code == 0 => {
                let asked: HashMap<_, _, FxBuildHasher> = asked
                    .iter()
                    .map(|one| ((&*one.partition.topic, one.partition.partition), one))
                    .collect();
                for topic in &mut answer.responses {
                    let name = topic.topic.0.as_str();
                    for data in &mut topic.partitions {
                        if let Some(one) = asked.get(&(name, data.partition_index)) {
                            self.admit(one, data);
                        }
                    }
                }
            }
            Ok(answer) => self.retry_all(asked, &ErrorCode::from(answer.error_code).to_string()),
            Err(error) if error.is_retriable() => self.retry_all(asked, &error.to_string()),
            Err(error) => asked.iter().for_each(|one| self.fail_asked(one, error.clone())),
        }
    }

    /// Look-ups of the ends of logs came to their end.
    pub(super) fn offsets_found(&mut self, asked: &[Asked], answer: Result<ListOffsetsResponse>) {
        for one in asked {
            if let Some(position) = self.positions.get_mut(&one.partition).filter(|p| p.epoch == one.epoch) {
                position.in_flight = false;
            }
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_retriable() => return self.retry_all(asked, &error.to_string()),
            Err(error) => return asked.iter().for_each(|one| self.fail_asked(one, error.clone())),
        };
        let found: HashMap<_, _, FxBuildHasher> = answer
            .topics
            .iter()
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|p| ((topic.name.0.as_str(), p.partition_index), p))
            })
            .collect();
        for one in asked {
            let Some(found) = found.get(&(&*one.partition.topic, one.partition.partition)) else {
                self.retry(one, "no answer for the partition");
                continue;
            };
            match ErrorCode::from(found.error_code) {
                ErrorCode::NONE => self.reset(one, found.offset),
                code if code.is_retriable() => self.retry(one, code.name()),
                code => self.fail_asked(
                    one,
                    Error::Fetch {
                        partition: one.partition.clone(),
                        code,
                    },
                ),
            }
        }
    }

    fn land(&mut self, node: NodeId, way: Way, answer: &Result<FetchResponse>) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        if way == Way::Aside {
            state.aside = false;
            return;
        }
        state.main = None;
        match answer {
            Ok(answer) => state
                .session
                .answered(answer.session_id, ErrorCode::from(answer.error_code)),
            Err(_) => state.session.failed(),
        }
    }

    fn admit(&mut self, one: &Asked, data: &mut PartitionData) {
        match ErrorCode::from(data.error_code) {
            ErrorCode::NONE if data.diverging_epoch.end_offset >= 0 => {
                self.cut_off(one, data.diverging_epoch.end_offset)
            }
            ErrorCode::NONE => self.read(one, data),
            ErrorCode::OFFSET_OUT_OF_RANGE => self.out_of_range(one),
            code if code.is_retriable() => self.retry(one, code.name()),
            code => self.fail_asked(
                one,
                Error::Fetch {
                    partition: one.partition.clone(),
                    code,
                },
            ),
        }
    }

    fn read(&mut self, one: &Asked, data: &mut PartitionData) {
        let Some(position) = self.positions.get_mut(&one.partition).filter(|p| p.epoch == one.epoch) else {
            return;
        };
        let read = match answer::read(data, one.offset, &self.config) {
            Ok(read) => read,
            Err(damage) => {
                let (partition, offset) = (one.partition.clone(), damage.offset);
                let error = Error::Corrupt {
                    partition,
                    offset,
                    source: damage.source.into(),
                };
                return self.fail(&one.partition, error);
            }
        };
        let limit = self
            .config
            .isolation
            .limit(data.high_watermark, data.last_stable_offset);
        if read.next_offset > one.offset {
            position.state = State::Reading(read.next_offset);
            let last_epoch = read.leader_epochs.last().map(|(_, epoch)| *epoch);
            position.last_epoch = last_epoch.filter(|epoch| *epoch >= 0);
            position.buffered_bytes = read.bytes.max(1);
            position.high_watermark = Some(limit);
            self.mailbox.put(Letter::Fetched(Fetched {
                partition: one.partition.clone(),
                epoch: one.epoch,
                records: read.records,
                leader_epochs: read.leader_epochs,
                next_offset: read.next_offset,
                high_watermark: limit,
            }));
        } else if position.high_watermark != Some(limit) {
            position.high_watermark = Some(limit);
            self.stand(one, one.offset, Some(limit));
        }
    }

    /// Tells where the partition stands, without waking anyone for it.
    fn stand(&self, one: &Asked, position: i64, high_watermark: Option<i64>) {
        let (partition, epoch) = (one.partition.clone(), one.epoch);
        self.mailbox.put_quietly(Letter::Standing {
            partition,
            epoch,
            position,
            high_watermark,
        });
    }

    fn out_of_range(&mut self, one: &Asked) {
        let Some(position) = self.positions.get_mut(&one.partition).filter(|p| p.epoch == one.epoch) else {
            return;
        };
        let Asked {
            partition,
            epoch,
            offset,
        } = one;
        if let Some(edge) = Edge::of(self.config.reset) {
            info!(%partition, offset, ?edge, "the log does not have the position, resetting it");
            position.state = State::Reset(edge);
        } else {
            position.state = State::Stopped;
            let letter = Letter::OutOfRange {
                partition: partition.clone(),
                epoch: *epoch,
                offset: *offset,
            };
            self.mailbox.put(letter);
        }
    }

    /// Brokers were lost, and with them records that were read: the log goes on from another place (KIP-320).
    fn cut_off(&mut self, one: &Asked, end: i64) {
        let Some(position) = self.positions.get_mut(&one.partition).filter(|p| p.epoch == one.epoch) else {
            return;
        };
        position.state = State::Stopped;
        self.mailbox.put(Letter::CutOff {
            partition: one.partition.clone(),
            epoch: one.epoch,
            offset: one.offset,
            end: end.min(one.offset),
        });
    }

    fn reset(&mut self, one: &Asked, offset: i64) {
        let Some(position) = self.positions.get_mut(&one.partition).filter(|p| p.epoch == one.epoch) else {
            return;
        };
        debug!(partition = %one.partition, offset, "position found");
        position.state = State::Reading(offset);
        position.last_epoch = None;
        self.stand(one, offset, None);
    }

    fn retry_all(&mut self, asked: &[Asked], cause: &str) {
        for one in asked {
            self.retry(one, cause);
        }
    }

    /// Leaders move, brokers restart: after a pause, and with new metadata, it may go on.
    fn retry(&mut self, one: &Asked, cause: &str) {
        let Some(position) = self.positions.get_mut(&one.partition).filter(|p| p.epoch == one.epoch) else {
            return;
        };
        debug!(partition = %one.partition, cause, "fetching again after a pause");
        position.pause(Instant::now(), self.cluster.config().retry_backoff);
        self.cluster.want_metadata();
    }

    fn fail_asked(&mut self, one: &Asked, error: Error) {
        let partition: &TopicPartition = &one.partition;
        if self
            .positions
            .get(partition)
            .is_some_and(|position| position.epoch == one.epoch)
        {
            self.fail(partition, error);
        }
    }
}
