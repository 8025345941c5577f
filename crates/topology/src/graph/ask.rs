//! Asking the handlers about what went wrong, and doing what they say.

use std::error::Error as StdError;

use kstreams_store::{Origin, OutputRecord};
use kstreams_wire::{Headers, TopicName};

use super::handler::place;
use super::parts::Role;
use super::{DeadLetter, Failure, NodeContext, Part, ProductionFailure, ProductionOutcome, ProductionResponse, Stage};
use crate::error::{BoxError, Error, Result};
use crate::panic::{Panic, guarded};
use crate::serde::SerdeError;

/// A record that a sink could not serialize.
pub(super) struct Unserialized<'a> {
    pub(super) topic: &'a TopicName,
    pub(super) part: Part,
    /// The key's bytes, if there is a key and it is the value that failed.
    pub(super) key: Option<&'a [u8]>,
    pub(super) timestamp: i64,
    pub(super) headers: &'a Headers,
}

impl NodeContext<'_> {
    /// Tells the output what is being processed, if somebody will ask.
    #[inline]
    pub(super) fn tell_origin(&mut self) {
        if self.parts.handlers.production.is_some() {
            self.output.origin(Origin {
                record: &self.parts.record,
                raw: self.raw,
            });
        }
    }

    /// Decides about an error that came out of `node`. The innermost processor is asked, once: what it lets pass is gone,
    /// what it does not travels up unchanged.
    #[cold]
    pub(super) fn failed(&mut self, node: usize, error: Error) -> Result<()> {
        if self.parts.slot(node).role != Role::Processor || !error.is_record_failure() {
            return Err(error);
        }
        let handler = self.parts.handlers.processing.clone();
        let source = error.into_user();
        let answer = guarded(|| Ok(handler(&self.failure(node, source.as_ref())).into()));
        match self.obey("processing", node, answer, source)? {
            None => Ok(()),
            Some(source) => Err(self.processing(node, source)),
        }
    }

    /// The running source's error: nobody is asked about its timestamp extractor.
    #[cold]
    pub(super) fn unasked(&self, error: Error) -> Error {
        if !error.is_record_failure() {
            return error;
        }
        self.processing(self.node, error.into_user())
    }

    /// Decides about a record that the running source cannot decode.
    #[cold]
    pub(super) fn undecodable(&mut self, source: SerdeError) -> Result<()> {
        let handler = self.parts.handlers.deserialization.clone();
        let answer = guarded(|| Ok(handler(&self.failure(self.node, &source)).into()));
        match self.obey("deserialization", self.node, answer, source)? {
            None => Ok(()),
            Some(source) => Err(Error::Deserialization {
                node: self.node_name().to_owned(),
                at: place(&self.parts.record),
                source: source.into(),
            }),
        }
    }

    /// Decides about a record that the running sink cannot serialize. There is no use in trying again.
    #[cold]
    pub(super) fn unserialized(&mut self, record: &Unserialized<'_>, source: SerdeError) -> Result<()> {
        let answer = match self.parts.handlers.production.clone() {
            None => Ok(ProductionResponse::fail()),
            Some(handler) => guarded(|| {
                Ok(handler(&ProductionFailure {
                    origin: self.failure(self.node, &source),
                    topic: record.topic,
                    partition: None,
                    key: record.key,
                    value: None,
                    headers: record.headers,
                    timestamp: Some(record.timestamp),
                    stage: Stage::Serialization(record.part),
                    retriable: false,
                }))
            }),
        };
        match self.obey("production", self.node, answer, source)? {
            None => Ok(()),
            Some(source) => Err(Error::Production {
                node: self.node_name().to_owned(),
                topic: record.topic.clone(),
                part: record.part,
                at: place(&self.parts.record),
                source: source.into(),
            }),
        }
    }

    /// Does what a handler said about a failure of this node. `None` if the record is dropped; if the task is to fail, the
    /// cause again.
    fn obey<E: Into<BoxError>>(
        &mut self,
        handler: &'static str,
        node: usize,
        answer: Result<ProductionResponse, Panic>,
        source: E,
    ) -> Result<Option<E>> {
        let response = match answer {
            Ok(response) => response,
            Err(panic) => {
                return Err(Error::Handler {
                    handler,
                    node: self.parts.slot(node).name.clone(),
                    at: place(&self.parts.record),
                    panic: panic.into(),
                    source: source.into(),
                });
            }
        };
        self.bury(node, &response.dead_letters)?;
        if response.outcome != ProductionOutcome::Resume {
            return Ok(Some(source));
        }
        self.parts.totals.dropped += 1;
        Ok(None)
    }

    /// Sends dead letters of this node.
    fn bury(&mut self, node: usize, dead_letters: &[DeadLetter]) -> Result<()> {
        let sender = &self.parts.slot(node).name;
        for letter in dead_letters {
            let topic = self.output.topic(&letter.topic);
            self.output.send(OutputRecord {
                topic,
                partition: None,
                key: letter.key.as_deref(),
                value: letter.value.as_deref(),
                timestamp: letter.timestamp,
                headers: &letter.headers,
                sender,
            })?;
        }
        Ok(())
    }

    fn failure<'f>(&'f self, node: usize, error: &'f (dyn StdError + 'static)) -> Failure<'f> {
        Failure {
            task: self.parts.task,
            node: &self.parts.slot(node).name,
            context: &self.parts.record,
            source_key: self.raw.and_then(|raw| raw.key),
            source_value: self.raw.and_then(|raw| raw.value),
            error,
        }
    }

    fn processing(&self, node: usize, source: BoxError) -> Error {
        Error::Processing {
            node: self.parts.slot(node).name.clone(),
            at: place(&self.parts.record),
            source,
        }
    }
}
