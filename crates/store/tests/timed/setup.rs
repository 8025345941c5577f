//! The kinds of stores that are compared, and how their keys and values are laid out.

use kstreams_store::{EngineKind, Kind, PersistentEngine, SessionLayout, TimeOrder, WindowLayout};

/// What a store is, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) kind: Kind,
    pub(super) engine: EngineKind,
    pub(super) persistent: Option<PersistentEngine>,
    pub(super) cache_bytes: Option<usize>,
    /// One step of time in milliseconds.
    pub(super) step: i64,
}

impl Setup {
    pub(super) fn retention(&self) -> i64 {
        match self.kind {
            Kind::Window(layout) => layout.retention_ms,
            Kind::Session(layout) => layout.retention_ms,
            _ => panic!("kinds with times are tested here"),
        }
    }

    pub(super) fn segment(&self, time: i64) -> i64 {
        match self.kind {
            Kind::Window(layout) => time / layout.segment_ms,
            Kind::Session(layout) => time / layout.segment_ms,
            _ => panic!("kinds with times are tested here"),
        }
    }

    pub(super) fn inside(&self, time: i64) -> Vec<u8> {
        let (Kind::Window(WindowLayout { segment_ms, .. }) | Kind::Session(SessionLayout { segment_ms, .. })) =
            self.kind
        else {
            panic!("kinds with times are tested here")
        };
        let bytes = (time % segment_ms).to_be_bytes();
        let short = if segment_ms <= 1 << 28 { 4 } else { 0 };
        bytes.split_at(short).1.to_vec()
    }

    pub(super) fn rest(&self, rest: i64) -> Vec<u8> {
        match self.kind {
            Kind::Session(_) => (rest ^ i64::MIN).to_be_bytes().to_vec(),
            Kind::Window(WindowLayout { duplicates: true, .. }) => (rest as u32).to_be_bytes().to_vec(),
            _ => Vec::new(),
        }
    }

    pub(super) fn is_session(&self) -> bool {
        matches!(self.kind, Kind::Session(_))
    }

    pub(super) fn by_time(&self) -> bool {
        let (Kind::Window(WindowLayout { order, .. }) | Kind::Session(SessionLayout { order, .. })) = self.kind else {
            panic!("kinds with times are tested here")
        };
        order == TimeOrder::TimeFirst
    }

    pub(super) fn window(&self) -> Option<WindowLayout> {
        match self.kind {
            Kind::Window(layout) => Some(layout),
            _ => None,
        }
    }

    pub(super) fn has_duplicates(&self) -> bool {
        self.window().is_some_and(|layout| layout.duplicates)
    }

    pub(super) fn bytes(&self, value: u8, time: i64) -> Vec<u8> {
        let timestamped = self.window().is_some_and(|layout| layout.timestamped);
        let timestamp = if timestamped {
            (time + 7).to_be_bytes().to_vec()
        } else {
            Vec::new()
        };
        [timestamp, vec![value; usize::from(value % 4)]].concat()
    }
}
