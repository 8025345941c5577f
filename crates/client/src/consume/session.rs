//! Fetch sessions (KIP-227): the broker remembers what is fetched, so that only what changed is sent.

use std::collections::BTreeMap;

use kstreams_wire::TopicPartition;
use kstreams_wire::code::ErrorCode;

use super::positions::Point;

/// A session with one broker. Pure: says what to send, and is told what came back.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    /// Counts the requests of a session; 0 asks for a new one.
    epoch: i32,
    /// What the broker remembers: what was last asked for.
    held: BTreeMap<TopicPartition, Point>,
}

/// What to send, so that exactly the wanted partitions are fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) id: i32,
    pub(super) epoch: i32,
    pub(super) fetch: Vec<(TopicPartition, Point)>,
    pub(super) forget: Vec<TopicPartition>,
}

impl Session {
    /// A request outside of any session.
    pub(super) fn without(wanted: Vec<(TopicPartition, Point)>) -> Ask {
        Ask {
            id: 0,
            epoch: -1,
            fetch: wanted,
            forget: Vec::new(),
        }
    }

    /// The next request of the session. One at a time: the next one waits for [`Session::answered`].
    pub(super) fn ask(&mut self, wanted: Vec<(TopicPartition, Point)>) -> Ask {
        let wanted_map: BTreeMap<_, _> = wanted.iter().cloned().collect();
        let held = std::mem::replace(&mut self.held, wanted_map);
        if self.epoch == 0 {
            return Ask {
                id: self.id,
                epoch: 0,
                fetch: wanted,
                forget: Vec::new(),
            };
        }
        let forget = held
            .keys()
            .filter(|partition| !self.held.contains_key(*partition))
            .cloned()
            .collect();
        let changed = |(partition, point): &(TopicPartition, Point)| held.get(partition) != Some(point);
        let fetch = wanted.into_iter().filter(changed).collect();
        Ask {
            id: self.id,
            epoch: self.epoch,
            fetch,
            forget,
        }
    }

    /// Takes over what the broker said of the session.
    pub(super) fn answered(&mut self, id: i32, code: ErrorCode) {
        if !code.is_ok() {
            self.failed();
            if code == ErrorCode::FETCH_SESSION_ID_NOT_FOUND {
                self.id = 0;
            }
        } else if id == 0 {
            // The broker has no room for another session: each request stands for itself.
            *self = Self::default();
        } else {
            self.id = id;
            self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        }
    }

    /// There was no answer: it is unknown what the broker remembers, so the next request closes the session and begins
    /// another.
    pub(super) fn failed(&mut self) {
        self.epoch = 0;
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(list: &[(i32, i64)]) -> Vec<(TopicPartition, Point)> {
        let point = |offset| Point {
            offset,
            leader_epoch: 0,
            last_epoch: None,
        };
        list.iter()
            .map(|(partition, offset)| (TopicPartition::new("t", *partition), point(*offset)))
            .collect()
    }

    #[test]
    fn only_changes_are_sent() {
        let mut session = Session::default();
        assert_eq!(session.ask(wanted(&[(0, 5), (1, 7)])).fetch.len(), 2);
        session.answered(9, ErrorCode::NONE);
        let ask = session.ask(wanted(&[(0, 6), (1, 7)]));
        assert_eq!(
            (ask.id, ask.epoch, ask.fetch, ask.forget.len()),
            (9, 1, wanted(&[(0, 6)]), 0)
        );
        session.answered(9, ErrorCode::NONE);
        let ask = session.ask(wanted(&[(1, 7)]));
        assert_eq!(
            (ask.epoch, ask.fetch.len(), ask.forget),
            (2, 0, vec![TopicPartition::new("t", 0)])
        );
        session.answered(9, ErrorCode::NONE);
        assert_eq!(session.ask(wanted(&[(0, 6), (1, 7)])).fetch, wanted(&[(0, 6)]));
    }

    #[test]
    fn after_a_failure_everything_is_sent_again() {
        let mut session = Session::default();
        session.ask(wanted(&[(0, 5)]));
        session.answered(9, ErrorCode::NONE);
        session.ask(wanted(&[(0, 6)]));
        session.failed();
        let ask = session.ask(wanted(&[(0, 6)]));
        assert_eq!((ask.id, ask.epoch, ask.fetch), (9, 0, wanted(&[(0, 6)])));
        session.answered(0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        let ask = session.ask(wanted(&[(0, 6)]));
        assert_eq!((ask.id, ask.epoch), (0, 0));
    }

    #[test]
    fn a_broker_without_sessions_is_asked_in_full_each_time() {
        let mut session = Session::default();
        for _ in 0..3 {
            let ask = session.ask(wanted(&[(0, 5)]));
            assert_eq!((ask.id, ask.epoch, ask.fetch.len()), (0, 0, 1));
            session.answered(0, ErrorCode::NONE);
        }
    }
}
