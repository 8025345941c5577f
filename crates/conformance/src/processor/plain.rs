//! Processors without stores.

use bytes::Bytes;
use kstreams_topology::BoxError;
use kstreams_topology::processor::Context;

use super::{Canned, Dynamic, Input};
use crate::key::{CaseKey, Key};
use crate::value::{Value, render};

/// Forwards what headers a record has, and adds one.
pub(super) struct HeaderEcho;

impl<K: CaseKey> Canned<K> for HeaderEcho {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, mut record: Input) -> Result<(), BoxError> {
        let mut text = format!("{}[", render(record.value.as_ref()));
        for header in record.headers.iter() {
            let value = header
                .value
                .as_ref()
                .map_or("null".into(), |value| String::from_utf8_lossy(value));
            text += &format!("{}={value};", String::from_utf8_lossy(&header.key));
        }
        text.push(']');
        let seen = record.key.as_ref().map_or("null", Key::text).to_owned();
        record
            .headers
            .push(Bytes::from_static(b"seen"), Some(Bytes::from(seen)));
        Ok(cx.forward(record.with_value(Some(Value::Text(text))))?)
    }
}

/// Forwards at another time.
pub(super) struct TimestampShift {
    pub(super) by: i64,
}

impl<K: CaseKey> Canned<K> for TimestampShift {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, mut record: Input) -> Result<(), BoxError> {
        record.timestamp = record.timestamp.saturating_add(self.by).max(0);
        Ok(cx.forward(record)?)
    }
}

/// Forwards what it knows of where it runs.
pub(super) struct ContextInfo;

impl<K: CaseKey> Canned<K> for ContextInfo {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        let metadata = cx.metadata();
        let topic = metadata.topic.map_or("null", |topic| topic);
        let origin = format!("{topic}/{}/{}", metadata.partition, metadata.offset);
        let text = format!(
            "{origin}|stream={}|wall={}|task={}",
            cx.stream_time(),
            cx.wall_clock(),
            cx.task_id()
        );
        Ok(cx.forward(record.with_value(Some(Value::Text(text))))?)
    }
}

/// Forwards several times.
pub(super) struct MultiForward {
    pub(super) times: i64,
}

impl<K: CaseKey> Canned<K> for MultiForward {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        let text = render(record.value.as_ref());
        for at in 0..self.times {
            let mut copy = record.clone().with_value(Some(Value::Text(format!("{text}#{at}"))));
            copy.timestamp += at;
            cx.forward(copy)?;
        }
        Ok(())
    }
}

/// Fails on one value.
pub(super) struct FailOn {
    pub(super) poison: String,
}

impl<K: CaseKey> Canned<K> for FailOn {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        if render(record.value.as_ref()) == self.poison {
            return Err(format!("fail_on {}", self.poison).into());
        }
        Ok(cx.forward(record)?)
    }
}
