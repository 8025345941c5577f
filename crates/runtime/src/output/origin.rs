//! Where sent records come from, remembered until they are acknowledged: only for a production handler.

use std::sync::Arc;

use bytes::Bytes;
use kstreams_client::produce::Origin;
use kstreams_store::RecordContext;
use kstreams_topology::TaskId;

/// The input record that a task is at.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) context: RecordContext,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
}

impl From<kstreams_store::Origin<'_>> for Input {
    fn from(origin: kstreams_store::Origin<'_>) -> Self {
        Self {
            context: origin.record.clone(),
            key: origin.raw.and_then(kstreams_wire::batch::RawRecord::key_bytes),
            value: origin.raw.and_then(kstreams_wire::batch::RawRecord::value_bytes),
        }
    }
}

/// Who sent a record, and for which input.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) task: Option<TaskId>,
    pub(super) sender: Arc<str>,
    pub(super) input: Option<Arc<Input>>,
    /// It is a dead letter for a record that could not be sent: no other follows it, should it be lost, too.
    pub(super) is_last: bool,
}

/// Who is sending now.
#[derive(Debug, Default)]
pub(super) struct Sending {
    task: Option<TaskId>,
    input: Option<Arc<Input>>,
    /// What the last record was sent with: all that a node sends for one input have it in common.
    last: Option<Arc<Sent>>,
}

impl Sending {
    pub(super) fn task(&mut self, task: TaskId) {
        if self.task != Some(task) {
            self.task = Some(task);
            self.input = None;
            self.last = None;
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        self.input = Some(Arc::new(input));
        self.last = None;
    }

    /// What to remember of a record from this sender.
    pub(super) fn by(&mut self, sender: &str) -> Arc<Sent> {
        if let Some(last) = self.last.as_ref().filter(|last| &*last.sender == sender) {
            return last.clone();
        }
        let sent = Arc::new(Sent {
            task: self.task,
            sender: sender.into(),
            input: self.input.clone(),
            is_last: false,
        });
        self.last = Some(sent.clone());
        sent
    }

    /// Who sent a record that the client gives back.
    pub(super) fn of(origin: Option<Origin>) -> Option<Arc<Sent>> {
        origin?.downcast().ok()
    }
}
