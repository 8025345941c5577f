//! The classic membership of one consumer as a state machine: no socket, no clock, no task.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kstreams_wire::membership::{Assignment, Subscription};
use kstreams_wire::{TopicName, TopicPartition};
use tracing::{debug, info, warn};

use super::request::Requests;
use super::timer::{HeartbeatTimer, Pause, PollWatch};
use super::{Destination, GroupConfig, GroupEvent, GroupMetadata, Leave, Request, Send, Ticket};
use crate::error::Error;

/// The member of a group.
///
/// The owner calls, after every input: [`handle_time`](Self::handle_time), then [`poll_send`](Self::poll_send) and
/// [`poll_notice`](Self::poll_notice) until both are empty, and sleeps until the next input or
/// [`poll_deadline`](Self::poll_deadline). Inputs are the answers to requests
/// ([`handle_response`](Self::handle_response)), changes of topics ([`handle_topics`](Self::handle_topics)), and the
/// application's commands.
#[derive(Debug)]
pub struct Membership {
    pub(super) config: GroupConfig,
    pub(super) member: GroupMetadata,
    pub(super) state: State,
    pub(super) coordinator: Coordinator,
    pub(super) heartbeat: HeartbeatTimer,
    pub(super) heartbeat_sent: Option<Ticket>,
    pub(super) poll_watch: PollWatch,
    pub(super) pause: Pause,
    /// The encoded answer to the last `Joining`.
    pub(super) subscription: Bytes,
    /// How many times the application was asked for its subscription without having answered yet. Only the last answer
    /// counts: an earlier one was given before the application knew what made us ask again.
    pub(super) questions: u32,
    /// What the application owns, as far as it acknowledged.
    pub(super) owned: BTreeSet<TopicPartition>,
    /// Why another rebalance is wanted once the current one is over.
    pub(super) rejoin: Option<&'static str>,
    /// Told to the coordinator with the next JoinGroup.
    pub(super) reason: &'static str,
    /// The one of the last time that it joined, whatever became of it.
    pub(super) newest_generation: i32,
    pub(super) watch: TopicWatch,
    pub(super) notices: VecDeque<Notice>,
    tickets: u64,
}

/// What the machine tells its owner.
#[derive(Debug)]
pub enum Notice {
    /// To be given to the application.
    Event(GroupEvent),
    /// The membership ended by an error that no retry can cure.
    Failed(Error),
    /// The membership ended as it was asked to.
    Closed,
}

#[derive(Debug)]
pub(super) enum State {
    /// The application was asked for its subscription.
    Asking,
    /// The subscription is known; `sent` is the JoinGroup under way.
    Joining { sent: Option<Ticket> },
    /// The application was asked for the assignment.
    Leading,
    /// The SyncGroup with what the leader decided (nothing for followers); `sent` is the one under way.
    Syncing {
        assignments: Vec<(String, Bytes)>,
        sent: Option<Ticket>,
    },
    /// The generation is assigned. `unacknowledged` is what the application was told and has not yet confirmed.
    Stable { unacknowledged: Option<Handover> },
    /// Out of the group because the application does not poll; it comes back with the next poll.
    Away { goodbye: Goodbye },
    /// On the way out for good.
    Leaving { goodbye: Goodbye },
    /// Over.
    Closed,
}

/// An assignment that the application has not acknowledged.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) assigned: BTreeSet<TopicPartition>,
    pub(super) revokes: bool,
}

/// The LeaveGroup of a member that goes: whom it concerns, and whether it is under way.
#[derive(Debug)]
pub(super) enum Goodbye {
    Unsent(GroupMetadata, &'static str),
    Sent(Ticket),
    Said,
}

#[derive(Debug)]
pub(super) enum Coordinator {
    Unknown { asked: Option<Ticket> },
    Known(i32),
}

/// The leader's view of the topics that its group subscribes to.
#[derive(Debug, Default)]
pub(super) struct TopicWatch {
    pub(super) topics: BTreeSet<TopicName>,
    counts: Option<BTreeMap<TopicName, i32>>,
    /// How it looks by the time the leader has decided.
    meanwhile: Option<BTreeMap<TopicName, i32>>,
}

impl TopicWatch {
    /// The leader decided, and assigned partitions of these topics. True if something changed that it may not know.
    fn decided(&mut self, assigned: &BTreeSet<&TopicName>) -> bool {
        let (Some(known), Some(meanwhile)) = (&mut self.counts, self.meanwhile.take()) else {
            return false;
        };
        for (topic, count) in &meanwhile {
            if assigned.contains(topic) {
                known.entry(topic.clone()).or_insert(*count);
            }
        }
        let changed = *known != meanwhile;
        *known = meanwhile;
        changed
    }
}

impl Membership {
    /// A member that wants to join.
    pub fn new(config: GroupConfig, now: Instant) -> Self {
        let member = GroupMetadata {
            instance_id: config.instance_id.clone(),
            ..GroupMetadata::outside(&config.group_id)
        };
        Self {
            member,
            state: State::Asking,
            coordinator: Coordinator::Unknown { asked: None },
            heartbeat: HeartbeatTimer::new(&config, now),
            heartbeat_sent: None,
            poll_watch: PollWatch::new(&config, now),
            pause: Pause::new(&config),
            subscription: Bytes::new(),
            questions: 1,
            owned: BTreeSet::new(),
            rejoin: None,
            reason: "joins the group",
            newest_generation: 0,
            watch: TopicWatch::default(),
            notices: VecDeque::from([Notice::Event(GroupEvent::Joining)]),
            tickets: 0,
            config,
        }
    }

    /// Who this member is at the moment.
    pub fn metadata(&self) -> &GroupMetadata {
        &self.member
    }

    /// The coordinator, if it is known.
    pub fn coordinator(&self) -> Option<i32> {
        match self.coordinator {
            Coordinator::Known(node) => Some(node),
            Coordinator::Unknown { .. } => None,
        }
    }

    /// The topics whose partition counts this member watches: those of the whole group while it leads, else none.
    pub fn watched_topics(&self) -> &BTreeSet<TopicName> {
        &self.watch.topics
    }

    /// True between the end of one generation and the assignment of the next.
    pub fn is_rebalancing(&self) -> bool {
        matches!(
            self.state,
            State::Asking | State::Joining { .. } | State::Leading | State::Syncing { .. }
        )
    }

    /// True when the member waits for its application to poll again, and nothing else can bring it back.
    pub fn is_away(&self) -> bool {
        matches!(self.state, State::Away { .. })
    }

    /// The application polled at that time; telling the same time twice is telling it once.
    pub fn polled(&mut self, at: Instant) {
        if !self.poll_watch.polled(at) {
            return;
        }
        if let State::Away { goodbye } = &self.state {
            // Whoever has not said goodbye is still counted: coming back under the old id replaces the ghost.
            if let Goodbye::Unsent(member, _) = goodbye {
                self.member.member_id.clone_from(&member.member_id);
            }
            info!(group = %self.config.group_id, "the application polls again, the member rejoins");
            self.ask("comes back after max.poll.interval.ms was exceeded");
        }
    }

    /// The application's answer to [`GroupEvent::Joining`]: one for each time it was asked.
    pub fn subscribe(&mut self, topics: Vec<TopicName>, user_data: Bytes) {
        self.questions = self.questions.saturating_sub(1);
        let (State::Asking, 0) = (&self.state, self.questions) else {
            debug!(group = %self.config.group_id, "subscription that is not the awaited one ignored");
            return;
        };
        let subscription = Subscription {
            topics,
            user_data: Some(user_data),
            owned: self.owned.iter().cloned().collect(),
            generation: self.member.is_member().then_some(self.member.generation),
            rack: self.config.rack.clone(),
        };
        self.subscription = subscription.encode();
        self.state = State::Joining { sent: None };
        // What was asked for until now is in this join; what is asked for from now on is not.
        self.rejoin = None;
    }

    /// The leader's answer to [`GroupEvent::Lead`].
    pub fn assign_members(&mut self, assignments: Vec<(String, Assignment)>) {
        let State::Leading = self.state else {
            debug!(group = %self.config.group_id, "assignment of an older generation ignored");
            return;
        };
        let partitions = assignments.iter().flat_map(|(_, plan)| &plan.partitions);
        let changed = self.watch.decided(&partitions.map(|at| &at.topic).collect());
        let encoded = assignments.iter().map(|(member, plan)| (member.clone(), plan.encode()));
        self.state = State::Syncing {
            assignments: encoded.collect(),
            sent: None,
        };
        if changed {
            self.topics_changed();
        }
    }

    /// The application's answer to [`GroupEvent::Assigned`]: this is what it now owns.
    pub fn acknowledge(&mut self, owned: impl IntoIterator<Item = TopicPartition>) {
        let State::Stable { unacknowledged } = &mut self.state else {
            return;
        };
        let Some(handover) = unacknowledged.take() else {
            return;
        };
        self.owned = owned
            .into_iter()
            .filter(|partition| handover.assigned.contains(partition))
            .collect();
        if handover.revokes {
            self.rejoin = Some("gave up revoked partitions");
        }
        self.rejoin_if_wanted();
    }

    /// Asks for a rebalance, as soon as the current one is over.
    pub fn request_rejoin(&mut self, reason: &'static str) {
        match self.state {
            // The subscription is not given yet: the coming JoinGroup is already the rebalance that is asked for.
            State::Asking | State::Away { .. } | State::Leaving { .. } | State::Closed => {}
            _ => {
                self.rejoin = Some(reason);
                self.rejoin_if_wanted();
            }
        }
    }

    /// Ends the membership.
    pub fn leave(&mut self, leave: Leave) {
        if matches!(self.state, State::Leaving { .. } | State::Closed) {
            return;
        }
        let says_goodbye = match leave {
            Leave::IfDynamic => self.config.instance_id.is_none(),
            Leave::Always => true,
            Leave::Never => false,
        };
        let goodbye = match std::mem::replace(&mut self.state, State::Closed) {
            State::Away { goodbye } => goodbye,
            _ if says_goodbye => self.goodbye("the consumer is being closed"),
            _ => Goodbye::Said,
        };
        self.forget_generation();
        self.heartbeat_sent = None;
        self.state = State::Leaving { goodbye };
        self.close_if_said();
    }

    /// The current partition counts of the [watched topics](Self::watched_topics) (without those that do not exist).
    /// What is told first is what the leader decides by, and any later difference asks for a rebalance; except for topics
    /// that the leader created in order to assign them.
    pub fn handle_topics(&mut self, counts: BTreeMap<TopicName, i32>) {
        if self.watch.topics.is_empty() {
            return;
        }
        let watched = |topic: &TopicName| self.watch.topics.contains(topic);
        let counts: BTreeMap<_, _> = counts.into_iter().filter(|(topic, _)| watched(topic)).collect();
        match (&self.state, &mut self.watch.counts) {
            (_, None) => self.watch.counts = Some(counts),
            (State::Leading, Some(_)) => self.watch.meanwhile = Some(counts),
            (_, Some(known)) if *known != counts => {
                *known = counts;
                self.topics_changed();
            }
            _ => {}
        }
    }

    /// Lets time pass.
    pub fn handle_time(&mut self, now: Instant) {
        if self.polls_are_expected() && self.poll_watch.is_expired(now) {
            warn!(
                group = %self.config.group_id, member = %self.member.member_id,
                max_poll_interval_ms = self.config.poll_interval_max.as_millis(),
                "the application did not poll in time, the member leaves the group until it does"
            );
            let goodbye = match self.config.instance_id {
                None => self.goodbye("max.poll.interval.ms was exceeded"),
                Some(_) => Goodbye::Said,
            };
            self.lose_generation();
            self.member.member_id.clear();
            self.state = State::Away { goodbye };
        }
        if self.heartbeat_is_expected() && self.heartbeat.is_expired(now) {
            warn!(group = %self.config.group_id, "no heartbeat was answered for a session, looking for the coordinator");
            self.lose_coordinator(now);
        }
    }

    /// The next request to be sent, if any.
    pub fn poll_send(&mut self, now: Instant) -> Option<Send> {
        let Coordinator::Known(node) = self.coordinator else {
            return self.poll_find_coordinator(now);
        };
        self.poll_step(node, now).or_else(|| self.poll_heartbeat(node, now))
    }

    /// The next thing to tell, if any.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When [`handle_time`](Self::handle_time) and [`poll_send`](Self::poll_send) are to be called at the latest.
    pub fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        let heartbeat = (self.heartbeat_is_expected() && self.heartbeat_sent.is_none()).then(|| self.heartbeat.next());
        let session = self.heartbeat_is_expected().then(|| self.heartbeat.session_end());
        // The watch expires after its deadline, not at it.
        let poll = self
            .polls_are_expected()
            .then(|| self.poll_watch.deadline() + Duration::from_millis(1));
        let pause = self.pause.until().filter(|until| *until > now);
        [heartbeat, session, poll, pause].into_iter().flatten().min()
    }

    fn topics_changed(&mut self) {
        info!(group = %self.config.group_id, "subscribed topics changed, the leader asks for a rebalance");
        self.request_rejoin("subscribed topics changed");
    }

    fn poll_find_coordinator(&mut self, now: Instant) -> Option<Send> {
        let nobody_needed = match &self.state {
            State::Away { goodbye } | State::Leaving { goodbye } => !matches!(goodbye, Goodbye::Unsent(..)),
            State::Closed => true,
            _ => false,
        };
        let asked = matches!(self.coordinator, Coordinator::Unknown { asked: Some(_) });
        if nobody_needed || asked || !self.pause.is_over(now) {
            return None;
        }
        let ticket = self.ticket();
        self.coordinator = Coordinator::Unknown { asked: Some(ticket) };
        let timeout = self.config.request_timeout;
        Some(Send {
            ticket,
            to: Destination::Anyone,
            timeout,
            request: Request::FindCoordinator,
        })
    }

    fn poll_step(&mut self, node: i32, now: Instant) -> Option<Send> {
        let ticket = self.ticket();
        let paused = !self.pause.is_over(now);
        let requests = Requests {
            config: &self.config,
            member: &self.member,
        };
        let timeout = self.config.request_timeout;
        let to = Destination::Coordinator(node);
        match &mut self.state {
            State::Joining { sent: sent @ None } if !paused => {
                *sent = Some(ticket);
                self.heartbeat_sent = None;
                let request = requests.join(self.subscription.clone(), self.reason);
                // The coordinator waits for every other member up to their rebalance timeout before it answers.
                let timeout = timeout.max(self.config.poll_interval_max + Duration::from_secs(5));
                Some(Send {
                    ticket,
                    to,
                    timeout,
                    request,
                })
            }
            State::Syncing {
                assignments,
                sent: sent @ None,
            } if !paused => {
                *sent = Some(ticket);
                let request = requests.sync(assignments);
                let timeout = timeout.max(self.config.poll_interval_max + Duration::from_secs(5));
                Some(Send {
                    ticket,
                    to,
                    timeout,
                    request,
                })
            }
            State::Away { goodbye } | State::Leaving { goodbye } => {
                let Goodbye::Unsent(member, reason) = goodbye else {
                    return None;
                };
                let request = Requests {
                    config: &self.config,
                    member,
                }
                .leave(reason);
                *goodbye = Goodbye::Sent(ticket);
                Some(Send {
                    ticket,
                    to: Destination::Shared(node),
                    timeout,
                    request,
                })
            }
            _ => None,
        }
    }

    fn poll_heartbeat(&mut self, node: i32, now: Instant) -> Option<Send> {
        if !self.heartbeat_is_expected() || self.heartbeat_sent.is_some() || !self.heartbeat.is_due(now) {
            return None;
        }
        let ticket = self.ticket();
        self.heartbeat_sent = Some(ticket);
        self.heartbeat.sent(now);
        let request = Requests {
            config: &self.config,
            member: &self.member,
        }
        .heartbeat();
        Some(Send {
            ticket,
            to: Destination::Coordinator(node),
            timeout: self.config.request_timeout,
            request,
        })
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// While a JoinGroup or SyncGroup waits at the coordinator, that is sign of life enough; and a heartbeat behind it
    /// on the same connection would not be read.
    fn heartbeat_is_expected(&self) -> bool {
        let free = matches!(self.state, State::Asking | State::Leading | State::Stable { .. });
        free && self.member.is_member() && self.coordinator().is_some()
    }

    fn polls_are_expected(&self) -> bool {
        !matches!(self.state, State::Away { .. } | State::Leaving { .. } | State::Closed)
    }

    pub(super) fn rejoin_if_wanted(&mut self) {
        if let (State::Stable { unacknowledged: None }, Some(reason)) = (&self.state, self.rejoin) {
            self.ask(reason);
        }
    }

    /// Opens the next rebalance by asking the application for its subscription.
    pub(super) fn ask(&mut self, reason: &'static str) {
        debug!(group = %self.config.group_id, member = %self.member.member_id, reason, "the member joins");
        self.reason = reason;
        self.rejoin = None;
        self.watch = TopicWatch::default();
        self.state = State::Asking;
        self.questions += 1;
        self.notices.push_back(Notice::Event(GroupEvent::Joining));
    }

    /// The generation is void, and with it everything that was owned.
    pub(super) fn lose_generation(&mut self) {
        if self.member.is_member() {
            self.notices.push_back(Notice::Event(GroupEvent::Lost));
        }
        self.forget_generation();
    }

    fn forget_generation(&mut self) {
        self.member.generation = -1;
        self.owned.clear();
        self.heartbeat_sent = None;
        self.watch = TopicWatch::default();
    }

    pub(super) fn lose_coordinator(&mut self, now: Instant) {
        self.coordinator = Coordinator::Unknown { asked: None };
        self.heartbeat_sent = None;
        self.heartbeat.renew(now);
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.forget_generation();
        self.state = State::Closed;
        self.notices.push_back(Notice::Failed(error));
    }

    pub(super) fn close_if_said(&mut self) {
        if let State::Leaving { goodbye: Goodbye::Said } = self.state {
            self.state = State::Closed;
            self.notices.push_back(Notice::Closed);
        }
    }

    /// A LeaveGroup for whoever the coordinator takes us for; nothing is to be said if it does not know us.
    fn goodbye(&self, reason: &'static str) -> Goodbye {
        match self.member.member_id.is_empty() {
            true => Goodbye::Said,
            false => Goodbye::Unsent(self.member.clone(), reason),
        }
    }
}
