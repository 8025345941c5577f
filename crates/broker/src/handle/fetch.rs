//! Gives batches to consumers, who may wait for them.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Context;
use super::fetch_answer::{Answer, PartitionAnswer};
use crate::coordinate::sessions::{Opened, Opening, Told, TopicKey, Wanted};
use crate::log::{Isolation, Limit, PartitionLog};
use crate::node::Node;
use crate::topics::{Topic, Topics};

/// Waits until there is enough to read, or as long as the client allows, and reads.
pub(super) async fn fetch(node: &Rc<Node>, context: &Context, request: FetchRequest) -> Answer {
    let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms.try_into().unwrap_or(0));
    let bytes_min = u64::try_from(request.min_bytes).unwrap_or(0);
    let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0);
    let isolation = isolation(request.isolation_level);
    let session_id = request.session_id;
    let opened = node.sessions.borrow_mut().open(opening(context, request));
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return Answer::refused(error, session_id),
    };
    let waiting = Waiting {
        wanted: &opened.wanted,
        isolation,
        bytes_min,
    };
    wait(node, &waiting, deadline).await;
    let partitions = read(node, &opened, isolation, bytes_max);
    Answer {
        error: 0,
        session_id: opened.session_id,
        isolation,
        throttle_ms: node.troubles.borrow().throttle_ms(),
        partitions,
    }
}

/// How far the reader wants to read.
pub(super) fn isolation(level: i8) -> Isolation {
    match level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    }
}

fn opening(context: &Context, request: FetchRequest) -> Opening {
    let key = |name: &str, id| TopicKey {
        name: if context.version < 13 { name.into() } else { "".into() },
        id,
    };
    let mut wanted = Vec::new();
    for topic in request.topics {
        let key = key(&topic.topic, topic.topic_id);
        wanted.extend(topic.partitions.into_iter().map(|partition| Wanted {
            topic: key.clone(),
            partition: partition.partition,
            offset: partition.fetch_offset,
            bytes_max: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
            leader_epoch: partition.current_leader_epoch,
            last_epoch: partition.last_fetched_epoch,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let key = key(&topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.into_iter().map(|partition| (key.clone(), partition)));
    }
    Opening {
        // Versions before 7 know no sessions, and leave both fields at the default.
        session_id: request.session_id,
        epoch: if context.version < 7 { -1 } else { request.session_epoch },
        wanted,
        forgotten,
    }
}

/// Returns when there is enough to read, something to complain of, or the deadline has come.
async fn wait(node: &Rc<Node>, waiting: &Waiting<'_>, deadline: Instant) {
    let appended = Rc::new(Notify::new());
    while !waiting.wanted.is_empty() && Instant::now() < deadline && !waiting.is_enough(&node.topics.borrow()) {
        for wanted in waiting.wanted {
            let topics = node.topics.borrow();
            let log = topic_of(&topics, &wanted.topic).and_then(|topic| topic.log(wanted.partition));
            if let Some(mut log) = log {
                log.wake_later(&appended);
            }
        }
        if timeout_at(deadline, appended.notified()).await.is_err() {
            return;
        }
    }
}

/// What a reader waits for.
struct Waiting<'a> {
    wanted: &'a [Wanted],
    isolation: Isolation,
    bytes_min: u64,
}

impl Waiting<'_> {
    fn is_enough(&self, topics: &Topics) -> bool {
        let mut bytes = 0;
        for wanted in self.wanted {
            match readable(topics, wanted, self.isolation) {
                Ok(more) => bytes = u64::saturating_add(bytes, more),
                Err(_) => return true,
            }
            if bytes >= self.bytes_min {
                return true;
            }
        }
        false
    }
}

fn readable(topics: &Topics, wanted: &Wanted, isolation: Isolation) -> Result<u64, ResponseError> {
    let log = find(topics, wanted)?
        .log(wanted.partition)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    check_epoch(wanted.leader_epoch, log.epoch())?;
    // That the log was cut off is to be told at once.
    if divergence(&log, wanted)?.is_some() {
        return Ok(u64::MAX);
    }
    if wanted.offset < log.start() || wanted.offset > log.end() {
        return Err(ResponseError::OffsetOutOfRange);
    }
    let limit = wanted.bytes_max as u64;
    let until = log.end_for(isolation);
    Ok(log.readable_bytes(wanted.offset, until, limit).min(limit))
}

fn read(node: &Rc<Node>, opened: &Opened, isolation: Isolation, bytes_max: usize) -> Vec<PartitionAnswer> {
    let topics = node.topics.borrow();
    let mut sessions = node.sessions.borrow_mut();
    let mut left = Limit {
        bytes: bytes_max,
        whole_batch: true,
    };
    let mut answers = Vec::new();
    let mut served = HashSet::new();
    for (place, wanted) in opened.wanted.iter().enumerate() {
        let answer = read_one(&topics, wanted, isolation, left);
        let bytes: usize = answer.slices.iter().map(Bytes::len).sum();
        left.bytes = left.bytes.saturating_sub(bytes);
        left.whole_batch &= bytes == 0;
        let told = Told {
            error: answer.error,
            start: answer.start,
            end: answer.end,
            stable_end: answer.stable_end,
        };
        let is_news = sessions.tell(opened.session_id, place, told);
        if bytes > 0 {
            served.insert(place);
        }
        if bytes > 0 || is_news || !opened.incremental || answer.divergence.is_some() {
            answers.push(answer);
        }
    }
    sessions.serve_last(opened.session_id, &served);
    answers
}

fn read_one(topics: &Topics, wanted: &Wanted, isolation: Isolation, left: Limit) -> PartitionAnswer {
    let answer = PartitionAnswer::of(wanted);
    let refused = |error: ResponseError| PartitionAnswer {
        error: error.code(),
        ..PartitionAnswer::of(wanted)
    };
    let log = match find(topics, wanted).map(|topic| topic.log(wanted.partition)) {
        Ok(Some(log)) => log,
        Ok(None) => return refused(ResponseError::UnknownTopicOrPartition),
        Err(error) => return refused(error),
    };
    if let Err(error) = check_epoch(wanted.leader_epoch, log.epoch()) {
        return refused(error);
    }
    let marks = PartitionAnswer {
        start: log.start(),
        end: log.end(),
        stable_end: log.stable_end(),
        ..answer
    };
    match divergence(&log, wanted) {
        Ok(None) => {}
        Ok(divergence) => return PartitionAnswer { divergence, ..marks },
        Err(error) => {
            return PartitionAnswer {
                error: error.code(),
                ..marks
            };
        }
    }
    if wanted.offset > log.end() {
        return PartitionAnswer {
            error: ResponseError::OffsetOutOfRange.code(),
            ..marks
        };
    }
    let limit = Limit {
        bytes: left.bytes.min(wanted.bytes_max),
        whole_batch: left.whole_batch,
    };
    let until = log.end_for(isolation);
    match log.read(wanted.offset, until, limit) {
        Ok(slices) => PartitionAnswer {
            aborted: match isolation {
                Isolation::ReadCommitted => log.aborted_between(wanted.offset, until),
                Isolation::ReadUncommitted => Vec::new(),
            },
            slices,
            ..marks
        },
        Err(error) => {
            tracing::error!(%error, partition = wanted.partition, "could not read a log");
            refused(ResponseError::KafkaStorageError)
        }
    }
}

/// Where the log parts from what the client read: the last epoch they have in common, and its end.
fn divergence(log: &PartitionLog, wanted: &Wanted) -> Result<Option<(i32, i64)>, ResponseError> {
    if wanted.offset < log.start() {
        return Err(ResponseError::OffsetOutOfRange);
    }
    if wanted.last_epoch < 0 {
        return Ok(None);
    }
    // An epoch that is still to come: this is another log altogether.
    let common = log
        .end_of_epoch(wanted.last_epoch)
        .ok_or(ResponseError::OffsetOutOfRange)?;
    let (epoch, end) = common;
    Ok((epoch < wanted.last_epoch || end < wanted.offset).then_some(common))
}

fn topic_of<'a>(topics: &'a Topics, key: &TopicKey) -> Option<&'a Topic> {
    if key.name.is_empty() {
        topics.find_id(key.id)
    } else {
        topics.find(&key.name)
    }
}

fn find<'a>(topics: &'a Topics, wanted: &Wanted) -> Result<&'a Topic, ResponseError> {
    let missing = match wanted.topic.name.is_empty() {
        true => ResponseError::UnknownTopicId,
        false => ResponseError::UnknownTopicOrPartition,
    };
    topic_of(topics, &wanted.topic).ok_or(missing)
}

/// A client that knows another leader epoch than ours has old metadata, or newer than we can have.
pub(super) fn check_epoch(known: i32, ours: i32) -> Result<(), ResponseError> {
    match known {
        -1 => Ok(()),
        known if known < ours => Err(ResponseError::FencedLeaderEpoch),
        known if known > ours => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}
