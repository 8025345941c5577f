//! Asking the handlers about what went wrong, and doing what they say.

use std::error::Error as StdError;

use kstreams_store::{Origin, OutputRecord};

use super::handler::place;
use super::parts::Role;
use super::{DeadLetter, Failure, FailureHandler, NodeContext, Outcome};
use crate::error::{Error, Result};
use crate::serde::SerdeError;

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
        if self.ask(&handler, node, source.as_ref())? == Outcome::Resume {
            self.parts.totals.dropped += 1;
            return Ok(());
        }
        Err(Error::Processing {
            node: self.parts.slot(node).name.clone(),
            at: place(&self.parts.record),
            source,
        })
    }

    /// Decides about a record that the running source cannot decode.
    #[cold]
    pub(super) fn undecodable(&mut self, source: SerdeError) -> Result<()> {
        let handler = self.parts.handlers.deserialization.clone();
        if self.ask(&handler, self.node, &source)? == Outcome::Resume {
            self.parts.totals.dropped += 1;
            return Ok(());
        }
        Err(Error::Deserialization {
            node: self.node_name().to_owned(),
            at: place(&self.parts.record),
            source,
        })
    }

    fn ask(&mut self, handler: &FailureHandler, node: usize, error: &(dyn StdError + 'static)) -> Result<Outcome> {
        let response = handler(&self.failure(node, error));
        self.bury(node, &response.dead_letters)?;
        Ok(response.outcome)
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
}
