//! All groups, and those who wait for their answers.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::group::{Answer, Group, Identity, Join, JoinRefused, Joined, Phase, Sync, Synced, Ticket};
use super::journal::{Journal, put_bytes, take_text};

/// The classic groups of the broker.
#[derive(Debug)]
pub(crate) struct Groups {
    by_id: BTreeMap<String, Group>,
    initial_delay: Duration,
    journal: Option<Journal>,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    latest_ticket: Ticket,
    next_timeout: Option<Instant>,
    sooner: Rc<Notify>,
}

impl Groups {
    /// The groups in this journal; in memory, none. The first generation of each waits `initial_delay` for members.
    pub(crate) fn open(path: Option<PathBuf>, initial_delay: Duration) -> io::Result<Self> {
        let mut groups = Self {
            by_id: BTreeMap::new(),
            initial_delay,
            journal: None,
            waiting: HashMap::new(),
            latest_ticket: 0,
            next_timeout: None,
            sooner: Rc::new(Notify::new()),
        };
        let Some(path) = path else {
            return Ok(groups);
        };
        let (journal, entries) = Journal::open(path)?;
        let now = Instant::now();
        for mut entry in entries {
            let Some(id) = take_text(&mut entry) else { continue };
            match Group::from_bytes(entry, initial_delay, now) {
                Some(group) => groups.by_id.insert(id, group),
                None => groups.by_id.remove(&id),
            };
        }
        groups.journal = Some(journal);
        Ok(groups)
    }

    /// The group of this id.
    pub(crate) fn find(&self, id: &str) -> Option<&Group> {
        self.by_id.get(id)
    }

    /// All groups, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.by_id.iter().map(|(id, group)| (id.as_str(), group))
    }

    /// Somebody joins; a newcomer brings the group into being.
    pub(crate) fn join(&mut self, id: &str, join: Join) -> oneshot::Receiver<Answer> {
        let (ticket, answer) = self.ticket();
        if !join.member_id.is_empty() && !self.by_id.contains_key(id) {
            let refused = JoinRefused {
                error: ResponseError::UnknownMemberId,
                member_id: join.member_id,
            };
            self.deliver(ticket, Answer::Join(Err(refused)));
            return answer;
        }
        let delay = self.initial_delay;
        let group = self.by_id.entry(id.to_owned()).or_insert_with(|| Group::new(delay));
        group.handle_join(Instant::now(), join, ticket);
        self.settle(id);
        answer
    }

    /// A member asks for its assignment.
    pub(crate) fn sync(&mut self, id: &str, sync: Sync) -> oneshot::Receiver<Answer> {
        let (ticket, answer) = self.ticket();
        match self.by_id.get_mut(id) {
            Some(group) => group.handle_sync(Instant::now(), sync, ticket),
            None => self.deliver(ticket, Answer::Sync(Err(ResponseError::UnknownMemberId))),
        }
        self.settle(id);
        answer
    }

    /// A member says that it lives.
    pub(crate) fn heartbeat(&mut self, id: &str, identity: &Identity) -> Result<(), ResponseError> {
        let group = self.by_id.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
        group.handle_heartbeat(Instant::now(), identity)
    }

    /// A member goes.
    pub(crate) fn leave(&mut self, id: &str, member: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let group = self.by_id.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
        let left = group.handle_leave(Instant::now(), member, instance);
        self.settle(id);
        left
    }

    /// Whether an offset commit is allowed.
    pub(crate) fn check_commit(&mut self, id: &str, identity: &Identity) -> Result<(), ResponseError> {
        match self.by_id.get_mut(id) {
            Some(group) => group.handle_commit(Instant::now(), identity),
            None if identity.generation < 0 => Ok(()),
            None => Err(ResponseError::GroupIdNotFound),
        }
    }

    /// Forgets a group that has no members.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), ResponseError> {
        match self.by_id.get(id).map(Group::phase) {
            None => Err(ResponseError::GroupIdNotFound),
            Some(Phase::Empty) => {
                self.by_id.remove(id);
                self.write(id, Vec::new());
                Ok(())
            }
            Some(_) => Err(ResponseError::NonEmptyGroup),
        }
    }

    /// Forgets the groups that nobody is in, nobody joins and of which nothing is kept elsewhere.
    pub(crate) fn forget_unused(&mut self, is_kept: impl Fn(&str) -> bool) {
        let unused =
            |id: &str, group: &Group| group.phase() == Phase::Empty && group.poll_timeout().is_none() && !is_kept(id);
        let gone = self.by_id.iter().filter(|(id, group)| unused(id, group));
        for id in gone.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.by_id.remove(&id);
            self.write(&id, Vec::new());
        }
    }

    /// Brings the journal to the disk.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.journal.as_ref().map_or(Ok(()), Journal::sync)
    }

    /// Lets the groups do what falls due, and tells when next. Wakes early when that changes.
    pub(crate) fn tick(&mut self) -> (Option<Instant>, Rc<Notify>) {
        let now = Instant::now();
        let due = |group: &Group| group.poll_timeout().is_some_and(|timeout| timeout <= now);
        let ids = self
            .by_id
            .iter()
            .filter(|(_, group)| due(group))
            .map(|(id, _)| id.clone());
        for id in ids.collect::<Vec<_>>() {
            if let Some(group) = self.by_id.get_mut(&id) {
                group.handle_timeout(now);
            }
            self.settle(&id);
        }
        self.next_timeout = self.by_id.values().filter_map(Group::poll_timeout).min();
        (self.next_timeout, Rc::clone(&self.sooner))
    }

    fn ticket(&mut self) -> (Ticket, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        self.latest_ticket += 1;
        self.waiting.insert(self.latest_ticket, sender);
        (self.latest_ticket, receiver)
    }

    /// Hands out what a group has answered, and sees to it that its time-outs are met.
    fn settle(&mut self, id: &str) {
        let Some(group) = self.by_id.get_mut(id) else { return };
        let answers: Vec<_> = std::iter::from_fn(|| group.poll_answer()).collect();
        let timeout = group.poll_timeout();
        let snapshot = group.take_snapshot();
        // Before anybody is told: what a member knows, a restarted broker knows too.
        if let Some(snapshot) = snapshot {
            self.write(id, snapshot);
        }
        for (ticket, answer) in answers {
            self.deliver(ticket, answer);
        }
        if let Some(timeout) = timeout
            && self.next_timeout.is_none_or(|next| timeout < next)
        {
            self.sooner.notify_one();
        }
    }

    /// Notes a group in the journal; without bytes, that it is gone. A failure costs members a rebalance, no more.
    fn write(&mut self, id: &str, group: Vec<u8>) {
        let Some(journal) = &mut self.journal else { return };
        let entry = |id: &str, group: &[u8]| {
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, id.as_bytes());
            bytes.extend_from_slice(group);
            bytes
        };
        if let Err(error) = journal.append(&[entry(id, &group)]) {
            tracing::warn!(group = id, %error, "could not write down a group");
        }
        let entries = self.by_id.iter().map(|(id, group)| entry(id, &group.to_bytes()));
        journal.shorten(self.by_id.len(), || entries.collect());
    }

    fn deliver(&mut self, ticket: Ticket, answer: Answer) {
        if let Some(sender) = self.waiting.remove(&ticket) {
            // The connection may be gone; the session time-out deals with its member.
            let _ = sender.send(answer);
        }
    }
}

/// The answer to a join.
pub(crate) async fn joined(answer: oneshot::Receiver<Answer>) -> Result<Joined, JoinRefused> {
    match answer.await {
        Ok(Answer::Join(joined)) => joined,
        _ => Err(JoinRefused {
            error: ResponseError::CoordinatorNotAvailable,
            member_id: String::new(),
        }),
    }
}

/// The answer to a sync.
pub(crate) async fn synced(answer: oneshot::Receiver<Answer>) -> Result<Synced, ResponseError> {
    match answer.await {
        Ok(Answer::Sync(synced)) => synced,
        _ => Err(ResponseError::CoordinatorNotAvailable),
    }
}
