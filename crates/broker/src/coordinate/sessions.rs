//! Fetch sessions (KIP-227): the broker remembers what a consumer fetches, and the two tell each other only changes.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use kafka_protocol::ResponseError;
use uuid::Uuid;

/// As many sessions are kept (`max.incremental.fetch.session.cache.slots`).
const SESSIONS_MAX: usize = 1000;

/// A topic as the client names it: by id from version 13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TopicKey {
    pub(crate) name: Rc<str>,
    pub(crate) id: Uuid,
}

/// A partition that a client fetches, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicKey,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) bytes_max: usize,
    pub(crate) leader_epoch: i32,
    /// The epoch of what the client read last, or -1.
    pub(crate) last_epoch: i32,
}

impl Wanted {
    fn is(&self, topic: &TopicKey, partition: i32) -> bool {
        self.partition == partition && self.topic == *topic
    }
}

/// What the client has been told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) error: i16,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) stable_end: i64,
}

/// A fetch request's part that concerns the session.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) session_id: i32,
    pub(crate) epoch: i32,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: Vec<(TopicKey, i32)>,
}

/// What to fetch, and for which session: 0 is none.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) session_id: i32,
    pub(crate) wanted: Vec<Wanted>,
    /// Whether only changes are told.
    pub(crate) incremental: bool,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: HashMap<i32, Session>,
    latest_id: i32,
    clock: u64,
}

#[derive(Debug)]
struct Session {
    next_epoch: i32,
    used: u64,
    partitions: Vec<(Wanted, Option<Told>)>,
}

impl Sessions {
    /// Finds, makes or closes the session that a request names.
    pub(crate) fn open(&mut self, opening: Opening) -> Result<Opened, ResponseError> {
        match opening.epoch {
            -1 => {
                self.by_id.remove(&opening.session_id);
                Ok(Opened {
                    session_id: 0,
                    wanted: opening.wanted,
                    incremental: false,
                })
            }
            0 => {
                self.by_id.remove(&opening.session_id);
                Ok(self.create(opening.wanted))
            }
            _ => self.resume(opening),
        }
    }

    fn create(&mut self, wanted: Vec<Wanted>) -> Opened {
        if self.by_id.len() >= SESSIONS_MAX {
            let oldest = self
                .by_id
                .iter()
                .min_by_key(|(_, session)| session.used)
                .map(|(id, _)| *id);
            oldest.and_then(|id| self.by_id.remove(&id));
        }
        self.clock += 1;
        self.latest_id = self.latest_id.checked_add(1).unwrap_or(1);
        let session = Session {
            next_epoch: 1,
            used: self.clock,
            partitions: wanted.iter().map(|wanted| (wanted.clone(), None)).collect(),
        };
        self.by_id.insert(self.latest_id, session);
        Opened {
            session_id: self.latest_id,
            wanted,
            incremental: false,
        }
    }

    fn resume(&mut self, opening: Opening) -> Result<Opened, ResponseError> {
        let session = self
            .by_id
            .get_mut(&opening.session_id)
            .ok_or(ResponseError::FetchSessionIdNotFound)?;
        if session.next_epoch != opening.epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        self.clock += 1;
        session.used = self.clock;
        session.next_epoch = opening.epoch.checked_add(1).unwrap_or(1);
        for (topic, partition) in opening.forgotten {
            session.partitions.retain(|(wanted, _)| !wanted.is(&topic, partition));
        }
        for wanted in opening.wanted {
            let known = session
                .partitions
                .iter_mut()
                .find(|(known, _)| known.is(&wanted.topic, wanted.partition));
            match known {
                Some((known, _)) => *known = wanted,
                None => session.partitions.push((wanted, None)),
            }
        }
        Ok(Opened {
            session_id: opening.session_id,
            wanted: session.partitions.iter().map(|(wanted, _)| wanted.clone()).collect(),
            incremental: true,
        })
    }

    /// Notes what the client is told of its partition number `place`; tells whether that is news.
    pub(crate) fn tell(&mut self, session_id: i32, place: usize, told: Told) -> bool {
        let session = self.by_id.get_mut(&session_id);
        let known = session.and_then(|session| session.partitions.get_mut(place));
        known.is_none_or(|(_, before)| before.replace(told) != Some(told) || told.error != 0)
    }

    /// Puts partitions that have had their turn behind the others, so that busy ones starve nobody.
    pub(crate) fn serve_last(&mut self, session_id: i32, served: &HashSet<usize>) {
        let Some(session) = self.by_id.get_mut(&session_id) else {
            return;
        };
        let partitions = std::mem::take(&mut session.partitions).into_iter().enumerate();
        let (last, first): (Vec<_>, Vec<_>) = partitions.partition(|(place, _)| served.contains(place));
        session.partitions = first.into_iter().chain(last).map(|(_, known)| known).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(partition: i32) -> Wanted {
        let topic = TopicKey {
            name: "t".into(),
            id: Uuid::nil(),
        };
        Wanted {
            topic,
            partition,
            offset: 0,
            bytes_max: 1,
            leader_epoch: -1,
            last_epoch: -1,
        }
    }

    fn opening(session_id: i32, epoch: i32, wanted: Vec<Wanted>) -> Opening {
        Opening {
            session_id,
            epoch,
            wanted,
            forgotten: Vec::new(),
        }
    }

    #[test]
    fn a_session_adds_forgets_and_counts_epochs() {
        let mut sessions = Sessions::default();
        let id = sessions
            .open(opening(0, 0, vec![wanted(0), wanted(1)]))
            .unwrap()
            .session_id;
        let mut second = opening(id, 1, vec![wanted(2)]);
        second.forgotten.push((wanted(0).topic, 0));
        let partitions: Vec<_> = sessions
            .open(second)
            .unwrap()
            .wanted
            .iter()
            .map(|wanted| wanted.partition)
            .collect();
        assert_eq!(partitions, [1, 2]);
        let wrong = sessions.open(opening(id, 1, Vec::new())).unwrap_err();
        assert_eq!(wrong, ResponseError::InvalidFetchSessionEpoch);
        assert!(!sessions.open(opening(id, -1, Vec::new())).unwrap().incremental);
        let gone = sessions.open(opening(id, 2, Vec::new())).unwrap_err();
        assert_eq!(gone, ResponseError::FetchSessionIdNotFound);
    }

    #[test]
    fn only_news_is_told() {
        let mut sessions = Sessions::default();
        let id = sessions.open(opening(0, 0, vec![wanted(0)])).unwrap().session_id;
        let told = Told {
            error: 0,
            start: 0,
            end: 5,
            stable_end: 5,
        };
        assert!(sessions.tell(id, 0, told));
        assert!(!sessions.tell(id, 0, told));
        assert!(sessions.tell(id, 0, Told { end: 6, ..told }));
    }
}
