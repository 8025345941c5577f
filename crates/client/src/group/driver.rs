//! Drives a membership on the I/O thread: sends what it wants sent, hands over what it tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName as Name};
use kafka_protocol::protocol::StrBytes;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::membership::Assignment;
use kstreams_wire::{TopicName, TopicPartition};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::debug;

use super::member::Shared;
use super::{Destination, Failure, GroupEvent, Leave, Membership, Notice, Request, Response, Send, Ticket};
use crate::cluster::{Cluster, NodeId};
use crate::error::{Error, Result};
use crate::network::{Instant, sleep_until, timeout};

/// Where events go; the last one of a membership may be an error.
pub(super) type Events = Box<dyn FnMut(Result<GroupEvent>) + std::marker::Send>;

/// What the application says.
#[derive(Debug)]
pub(super) enum Command {
    Subscribe(Vec<TopicName>, Bytes),
    AssignMembers(Vec<(String, Assignment)>),
    Acknowledge(Vec<TopicPartition>),
    Rejoin(&'static str),
    CommitRefused(i32, ErrorCode),
    /// The application polls again after it was given up.
    Polled,
    Leave(Leave, oneshot::Sender<()>),
}

pub(super) struct Driver {
    pub(super) cluster: Cluster,
    /// Connections that only this member uses.
    pub(super) own: Cluster,
    pub(super) group: Arc<str>,
    pub(super) machine: Membership,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) events: Events,
}

/// How long the membership may stand still for a look at the topics.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The end of one request.
type Answer = (Ticket, Result<Response, Failure>);

impl Driver {
    /// Runs until the membership is over, or the application is gone.
    pub(super) async fn run(mut self) {
        let mut answers = JoinSet::new();
        let mut left = None;
        let mut listening = true;
        let mut metadata = self.cluster.metadata_received();
        loop {
            if self.turn(&mut answers).await == Turn::Over {
                break;
            }
            let now = Instant::now();
            let deadline = self.machine.poll_deadline(now.into_std());
            let watching = !self.machine.watched_topics().is_empty();
            tokio::select! {
                command = self.commands.recv(), if listening => match command {
                    Some(Command::Leave(leave, done)) => {
                        left = Some(done);
                        self.machine.leave(leave);
                    }
                    Some(command) => self.take(command).await,
                    // Every handle is gone without a word: leave as a close would.
                    None => {
                        listening = false;
                        self.machine.leave(Leave::default());
                    }
                },
                Some(Ok((ticket, answer))) = answers.join_next() => {
                    self.machine.handle_response(ticket, answer, Instant::now().into_std());
                }
                () = sleep_until(deadline.map_or(now, Instant::from_std)), if deadline.is_some() => {}
                Ok(()) = metadata.changed(), if watching => self.compare_topics(),
            }
        }
        self.publish();
        self.own.close();
        if let Some(done) = left {
            // Whoever asked may have run out of patience.
            let _ = done.send(());
        }
    }

    async fn turn(&mut self, answers: &mut JoinSet<Answer>) -> Turn {
        let now = Instant::now().into_std();
        self.machine.polled(self.shared.last_poll());
        self.machine.handle_time(now);
        while let Some(send) = self.machine.poll_send(now) {
            self.dispatch(send, answers);
        }
        // Whoever hears an event may commit or look at the metadata at once.
        self.publish();
        while let Some(notice) = self.machine.poll_notice() {
            match notice {
                Notice::Event(event) => {
                    if matches!(event, GroupEvent::Lead { .. }) {
                        self.look_at_topics().await;
                    }
                    (self.events)(Ok(event));
                }
                Notice::Failed(error) => {
                    (self.events)(Err(error));
                    return Turn::Over;
                }
                Notice::Closed => return Turn::Over,
            }
        }
        Turn::Goes
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Subscribe(topics, user_data) => self.machine.subscribe(topics, user_data),
            Command::AssignMembers(plan) => {
                // Whoever leads may have created topics: they are no reason to rebalance at once.
                self.look_at_topics().await;
                self.machine.assign_members(plan);
            }
            Command::Acknowledge(owned) => self.machine.acknowledge(owned),
            Command::Rejoin(reason) => self.machine.request_rejoin(reason),
            Command::CommitRefused(generation, code) => self.machine.handle_commit_refusal(generation, code),
            Command::Polled | Command::Leave(..) => {}
        }
    }

    fn dispatch(&self, send: Send, answers: &mut JoinSet<Answer>) {
        let Send {
            ticket,
            to,
            timeout: limit,
            request,
        } = send;
        let (cluster, group) = match to {
            Destination::Coordinator(_) => (self.own.clone(), Arc::clone(&self.group)),
            Destination::Anyone | Destination::Shared(_) => (self.cluster.clone(), Arc::clone(&self.group)),
        };
        let node = match to {
            Destination::Coordinator(node) | Destination::Shared(node) => NodeId(node),
            Destination::Anyone => NodeId(-1),
        };
        answers.spawn(async move {
            let exchange = exchange(&cluster, &group, node, (request, limit));
            let result = match timeout(limit, exchange).await {
                Ok(result) => result.map_err(|error| failure(&error, &group)),
                Err(_) => Err(Failure::Unreachable),
            };
            (ticket, result)
        });
    }

    /// What the leader's application decides by: later differences ask for another rebalance.
    async fn look_at_topics(&mut self) {
        let watched = self.machine.watched_topics();
        if watched.is_empty() {
            return;
        }
        for topic in watched {
            self.cluster.add_interest(topic);
        }
        let named = |topic: &TopicName| {
            let name = Name(StrBytes::from_string(topic.to_string()));
            MetadataRequestTopic::default().with_name(Some(name))
        };
        let request = MetadataRequest::default()
            .with_topics(Some(watched.iter().map(named).collect()))
            .with_allow_auto_topic_creation(false);
        // Without an answer there is nothing to compare with later, and that is all.
        if let Ok(Ok(answer)) = timeout(LOOK_MAX, self.cluster.send_any(request)).await {
            let counts = answer
                .topics
                .iter()
                .filter(|topic| topic.error_code == 0)
                .filter_map(|topic| {
                    let name = TopicName::new(&topic.name.as_ref()?.0);
                    Some((name, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
                });
            self.machine.handle_topics(counts.collect());
        }
    }

    fn compare_topics(&mut self) {
        let mut counts = BTreeMap::new();
        for topic in self.machine.watched_topics() {
            match self.cluster.known_topic(topic) {
                Some(known) if known.code.is_ok() => {
                    counts.insert(topic.clone(), i32::try_from(known.leaders.len()).unwrap_or(i32::MAX));
                }
                Some(known) if known.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {}
                // The broker does not know at the moment: no ground to rebalance.
                _ => return,
            }
        }
        self.machine.handle_topics(counts);
    }

    fn publish(&self) {
        self.shared.publish(&self.machine);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Goes,
    Over,
}

async fn exchange(
    cluster: &Cluster,
    group: &str,
    node: NodeId,
    (request, limit): (Request, Duration),
) -> Result<Response> {
    Ok(match request {
        Request::FindCoordinator => {
            cluster.forget_coordinator(group);
            Response::Coordinator(cluster.coordinator(group).await?.0)
        }
        Request::Join(request) => Response::Join(cluster.send_patiently(node, request, limit).await?),
        Request::Sync(request) => Response::Sync(cluster.send_patiently(node, request, limit).await?),
        Request::Heartbeat(request) => {
            let answer = cluster.send(node, request).await?;
            Response::Heartbeat(ErrorCode(answer.error_code))
        }
        Request::Leave(request) => {
            let answer = cluster.send(node, request).await?;
            debug!(group, code = %ErrorCode(answer.error_code), "left");
            Response::Left
        }
    })
}

fn failure(error: &Error, group: &str) -> Failure {
    debug!(group, %error, "no answer");
    match error {
        Error::Unsupported { .. } => Failure::Refused(ErrorCode::UNSUPPORTED_VERSION),
        error if error.is_retriable() => Failure::Unreachable,
        error => error.code().map_or(Failure::Unreachable, Failure::Refused),
    }
}
