//! What becomes of records that could not be sent: the production handler decides, as far as it may.

use std::sync::Arc;

use kstreams_client::{Error as ClientError, Fate, Origin, ProducerRecord};
use kstreams_store::{OutputRecord, RecordContext};
use kstreams_topology::TaskId;
use kstreams_topology::graph::{
    DeadLetter, Failure, ProductionFailure, ProductionHandler, ProductionOutcome, ProductionResponse, Stage,
};
use kstreams_wire::code::ErrorCode;
use kstreams_wire::{Headers, TopicName};
use tracing::warn;

use super::exception::java;
use super::origin::{Sending, Sent};
use super::unsent::{Consequence, Unsent};
use super::{ProducerOutput, now_ms};
use crate::config::Guarantee;

/// A record that could not be sent.
struct Lost<'a> {
    topic: &'a TopicName,
    partition: Option<i32>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    timestamp: Option<i64>,
    headers: &'a Headers,
    error: &'a ClientError,
    fate: Fate,
    sent: Option<Arc<Sent>>,
}

impl ProducerOutput {
    /// Decides about all that was lost by now. The first record that is not to be passed over ends that: to the tasks of
    /// those behind it the same happens.
    pub(super) fn settle(&mut self) -> Result<(), Box<Unsent>> {
        let mut settled = Ok(());
        for lost in self.producer.take_lost() {
            for record in lost.records {
                let sent = Sending::of(record.origin);
                if let Err(unsent) = &mut settled {
                    let unsent: &mut Box<Unsent> = unsent;
                    unsent.tasks.extend(sent.and_then(|sent| sent.task));
                    continue;
                }
                settled = self.decide(&Lost {
                    topic: &lost.partition.topic,
                    partition: Some(lost.partition.partition),
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    timestamp: Some(record.timestamp),
                    headers: &record.headers,
                    error: &lost.error,
                    fate: lost.fate,
                    sent,
                });
            }
        }
        settled
    }

    /// Decides about a record that the client did not even take.
    #[cold]
    pub(super) fn refused(&mut self, record: OutputRecord<'_>, error: &ClientError) -> Result<(), Box<Unsent>> {
        // What was lost before comes first.
        self.settle()?;
        let (topic, _) = self.known(record.topic);
        let sent = self.handler.is_some().then(|| self.sending.by(record.sender));
        self.decide(&Lost {
            topic: &topic,
            partition: record.partition,
            key: record.key,
            value: record.value,
            timestamp: record.timestamp,
            headers: record.headers,
            error,
            fate: Fate::NotWritten,
            sent,
        })
    }

    fn decide(&mut self, lost: &Lost<'_>) -> Result<(), Box<Unsent>> {
        let response = match &self.handler {
            _ if is_fatal(lost.error) => ProductionResponse::fail(),
            Some(handler) => ask(handler, lost),
            None if lost.error.is_retriable() => ProductionResponse::retry(),
            None => ProductionResponse::fail(),
        };
        if response.outcome != ProductionOutcome::Retry && !lost.sent.as_ref().is_some_and(|sent| sent.is_last) {
            for letter in &response.dead_letters {
                self.bury(letter, lost)?;
            }
        }
        let spoilt = self.guarantee == Guarantee::ExactlyOnce && lost.fate == Fate::Unknown;
        let consequence = match response.outcome {
            ProductionOutcome::Resume if spoilt => Consequence::Spoilt,
            ProductionOutcome::Resume => {
                self.drop_one(lost);
                return Ok(());
            }
            ProductionOutcome::Retry if lost.error.is_retriable() => Consequence::Again,
            ProductionOutcome::Retry | ProductionOutcome::Fail => Consequence::Failure,
        };
        Err(lost.unsent(consequence))
    }

    fn drop_one(&mut self, lost: &Lost<'_>) {
        let task = lost.sent.as_ref().and_then(|sent| sent.task);
        warn!(
            task = task.map(tracing::field::display),
            node = lost.sent.as_ref().map(|sent| &*sent.sender),
            topic = &**lost.topic,
            partition = lost.partition,
            error = lost.error as &dyn std::error::Error,
            "a record that could not be sent is dropped"
        );
        if let Some(task) = task {
            *self.dropped.entry(task).or_default() += 1;
        }
    }

    /// Sends a dead letter. If that fails, too, the handler is asked once more, and then nothing is sent for it.
    fn bury(&mut self, letter: &DeadLetter, lost: &Lost<'_>) -> Result<(), Box<Unsent>> {
        let topic = self.producer.topic(&letter.topic);
        let sent = lost.sent.as_ref().map(|sent| {
            Arc::new(Sent {
                is_last: true,
                ..Sent::clone(sent)
            })
        });
        let record = ProducerRecord {
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            timestamp: letter.timestamp.unwrap_or_else(now_ms),
            headers: &letter.headers,
        };
        let appended = match sent.clone() {
            Some(sent) => self.producer.append_from(topic, None, record, sent as Origin),
            None => self.producer.append(topic, None, record),
        };
        let Err(error) = appended else { return Ok(()) };
        self.decide(&Lost {
            topic: &letter.topic,
            partition: None,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            timestamp: letter.timestamp,
            headers: &letter.headers,
            error: &error,
            fate: Fate::NotWritten,
            sent,
        })
    }
}

impl Lost<'_> {
    fn unsent(&self, consequence: Consequence) -> Box<Unsent> {
        Box::new(Unsent {
            tasks: self.sent.iter().filter_map(|sent| sent.task).collect(),
            node: self.sent.as_ref().map(|sent| sent.sender.to_string()),
            topic: self.topic.clone(),
            partition: self.partition,
            consequence,
            source: Box::new(self.error.clone()),
        })
    }
}

fn ask(handler: &ProductionHandler, lost: &Lost<'_>) -> ProductionResponse {
    let unknown = RecordContext::none(lost.timestamp.unwrap_or(-1));
    let sent = lost.sent.as_deref();
    let input = sent.and_then(|sent| sent.input.as_deref());
    let error = java(lost.error, lost.topic);
    handler(&ProductionFailure {
        origin: Failure {
            task: sent.and_then(|sent| sent.task).unwrap_or(TaskId::new(0, -1)),
            node: sent.map_or("", |sent| &sent.sender),
            context: input.map_or(&unknown, |input| &input.context),
            source_key: input.and_then(|input| input.key.as_deref()),
            source_value: input.and_then(|input| input.value.as_deref()),
            error: &error,
        },
        topic: lost.topic,
        partition: lost.partition,
        key: lost.key,
        value: lost.value,
        headers: lost.headers,
        timestamp: lost.timestamp,
        stage: Stage::Sending,
        retriable: lost.error.is_retriable(),
    })
}

/// Whether an error is about one record, so that something can be decided about it: otherwise all that follow would fail
/// likewise, or the producer is not of use any more.
pub(super) fn is_of_record(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::RecordTooLarge { .. }
            | ClientError::Timeout { .. }
            | ClientError::Topic { .. }
            | ClientError::NoSuchPartition { .. }
    )
}

/// Whether no handler may pass over an error, because it is not the record's.
fn is_fatal(error: &ClientError) -> bool {
    let fatal = [
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::OFFSET_METADATA_TOO_LARGE,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED,
        ErrorCode::SECURITY_DISABLED,
        ErrorCode::UNSUPPORTED_SASL_MECHANISM,
        ErrorCode::ILLEGAL_SASL_STATE,
        ErrorCode::SASL_AUTHENTICATION_FAILED,
    ];
    let timed_out = matches!(error, ClientError::Timeout { .. });
    !timed_out && error.code().is_some_and(|code| fatal.contains(&code))
}
