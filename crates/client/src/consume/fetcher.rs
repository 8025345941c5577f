//! The I/O side of a consumer: which partitions to fetch from whom, and when.
//!
//! A partition is fetched again when the application took what was fetched before, so one fetch is always ahead. To
//! each broker there is one fetch of everything that is due, which waits at the broker until there are records. Beside
//! a fetch that waits, partitions that become due meanwhile are fetched over a second connection, with a short wait, so
//! that they join the others soon.

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams_wire::TopicPartition;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::{FetchRequest, FetchResponse, ListOffsetsResponse};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::positions::{Edge, Position, State, by_leader};
use super::request::{self, FETCH_VERSION_MAX, Limits};
use super::session::{Ask, Session};
use super::{ConsumerConfig, Letter, Start};
use crate::cluster::{Cluster, NodeId};
use crate::error::{Error, Result};
use crate::mailbox::Mailbox;
use crate::network::{Instant, sleep_until};

/// How long a fetch beside another one waits for records.
const ASIDE_WAIT_MS: i32 = 20;
/// How often a missing leader is complained about.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);
/// How long a leader may be missing before that is worth a word.
const COMPLAINT_AFTER: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(3600);

/// What the polling side asks for.
#[derive(Debug)]
pub(super) enum Command {
    Assign {
        partition: TopicPartition,
        epoch: u64,
        start: Start,
    },
    Unassign(TopicPartition),
    /// Everything that was sent of these assignments was taken.
    Taken(Vec<(TopicPartition, u64)>),
}

#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) cluster: Cluster,
    /// The connections of fetches beside others.
    aside: Cluster,
    pub(super) config: ConsumerConfig,
    pub(super) mailbox: Mailbox<Letter>,
    pub(super) positions: BTreeMap<TopicPartition, Position>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    flights: JoinSet<Done>,
    complaint: Option<Instant>,
}

/// What is under way to one broker.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) session: Session,
    pub(super) main: Option<Wait>,
    pub(super) aside: bool,
    /// The broker asked for silence until then (KIP-219).
    silent_until: Option<Instant>,
}

/// How long a fetch waits at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Long,
    Short,
}

/// Which of a broker's two connections a fetch uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Main,
    Aside,
}

/// A partition that a request is about.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) partition: TopicPartition,
    pub(super) epoch: u64,
    pub(super) offset: i64,
}

/// A request that came to its end.
#[derive(Debug)]
pub(super) enum Done {
    Fetch {
        node: NodeId,
        way: Way,
        asked: Vec<Asked>,
        answer: Result<FetchResponse>,
    },
    Offsets {
        asked: Vec<Asked>,
        answer: Result<ListOffsetsResponse>,
    },
}

impl Fetcher {
    pub(super) fn new(cluster: Cluster, config: ConsumerConfig, mailbox: Mailbox<Letter>) -> Self {
        Self {
            aside: cluster.separate(),
            cluster,
            config,
            mailbox,
            positions: BTreeMap::new(),
            nodes: BTreeMap::new(),
            flights: JoinSet::new(),
            complaint: None,
        }
    }

    /// Runs until the consumer is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut metadata = self.cluster.metadata_received();
        loop {
            let now = Instant::now();
            self.look_up_offsets(now);
            self.fetch(now);
            let pauses = self.positions.values().filter_map(|position| position.wakes(now));
            let silences = self.nodes.values().filter_map(|node| node.silent_until);
            let wakes = pauses.chain(silences.filter(|until| *until > now));
            let wake = wakes.min().unwrap_or(now + LONG);
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.handle(command),
                    None => break,
                },
                Some(done) = self.flights.join_next() => match done {
                    Ok(Done::Fetch { node, way, asked, answer }) => {
                        self.be_silent(node, answer.as_ref().map_or(0, |answer| answer.throttle_time_ms));
                        self.fetched(node, way, &asked, answer);
                    }
                    Ok(Done::Offsets { asked, answer }) => self.offsets_found(&asked, answer),
                    Err(error) => warn!(%error, "a fetch ended without an answer"),
                },
                Ok(()) = metadata.changed() => self.find_leaders(),
                () = sleep_until(wake) => {}
            }
            while let Ok(command) = commands.try_recv() {
                self.handle(command);
            }
        }
        self.cluster.close();
        self.aside.close();
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Assign {
                partition,
                epoch,
                start,
            } => self.assign(partition, epoch, start),
            Command::Unassign(partition) => drop(self.positions.remove(&partition)),
            Command::Taken(taken) => {
                for (partition, epoch) in taken {
                    if let Some(position) = self.positions.get_mut(&partition).filter(|p| p.epoch == epoch) {
                        position.buffered_bytes = 0;
                    }
                }
            }
        }
    }

    fn assign(&mut self, partition: TopicPartition, epoch: u64, start: Start) {
        let mut position = Position::new(epoch, start, self.config.reset);
        position.leader = self.cluster.known_leader(&partition);
        if position.state == State::Stopped {
            self.mailbox.put(Letter::NoOffset {
                partition: partition.clone(),
                epoch,
            });
        }
        self.cluster.add_interest(&partition.topic);
        if position.leader.is_none() {
            self.cluster.want_metadata();
        }
        self.positions.insert(partition, position);
    }

    /// Metadata is new: leaders may have moved.
    fn find_leaders(&mut self) {
        let mut missing = Vec::new();
        for (partition, position) in &mut self.positions {
            position.leader = self.cluster.known_leader(partition);
            if position.leader.is_none() && position.state != State::Stopped {
                missing.push(partition.clone());
            }
        }
        missing.retain(|partition| !self.fail_forbidden(partition));
        let Some(partition) = missing.first() else {
            self.complaint = None;
            return;
        };
        self.cluster.want_metadata();
        let now = Instant::now();
        // A topic that was just created has its leader within a second or so.
        let since = *self.complaint.get_or_insert(now + COMPLAINT_AFTER - COMPLAINT_EVERY);
        if now.duration_since(since) < COMPLAINT_EVERY {
            return;
        }
        self.complaint = Some(now);
        let code = self.topic_code(partition);
        warn!(%partition, %code, "waiting for a partition that has no leader, or a topic that does not exist");
    }

    /// True if the brokers will never give this partition to us: then reading it fails.
    fn fail_forbidden(&mut self, partition: &TopicPartition) -> bool {
        let code = self.topic_code(partition);
        let is_forbidden = !code.is_ok() && !code.is_retriable();
        if is_forbidden {
            self.fail(
                partition,
                Error::Fetch {
                    partition: partition.clone(),
                    code,
                },
            );
        }
        is_forbidden
    }

    fn topic_code(&self, partition: &TopicPartition) -> ErrorCode {
        self.cluster
            .known_topic(&partition.topic)
            .map_or(ErrorCode::NONE, |topic| topic.code)
    }

    fn look_up_offsets(&mut self, now: Instant) {
        for (node, edges) in by_leader(&self.positions, |position| position.resettable(now)) {
            let asked = edges.iter().map(|(partition, _)| (partition.clone(), -1));
            let asked = take_off(&mut self.positions, asked);
            let (cluster, config) = (self.aside.clone(), self.config.clone());
            self.flights.spawn(async move {
                let answer = list_offsets(&cluster, node, &edges, &config).await;
                Done::Offsets { asked, answer }
            });
        }
    }

    fn fetch(&mut self, now: Instant) {
        let buffered: usize = self.positions.values().map(|position| position.buffered_bytes).sum();
        let room = self.config.prefetch_bytes_max.saturating_sub(buffered);
        if room == 0 {
            return;
        }
        let bytes_max = i32::try_from(room).unwrap_or(i32::MAX).min(self.config.fetch_bytes_max);
        for (node, wanted) in by_leader(&self.positions, |position| position.fetchable(now)) {
            let state = self.nodes.entry(node).or_default();
            if state.silent_until.is_some_and(|until| until > now) {
                continue;
            }
            let long = i32::try_from(self.config.fetch_wait_max.as_millis()).unwrap_or(i32::MAX);
            let short = long.min(ASIDE_WAIT_MS);
            let (way, wait_ms) = match (state.main, state.aside) {
                (None, false) => (Way::Main, long),
                (None, true) => (Way::Main, short),
                (Some(Wait::Long), false) => (Way::Aside, short),
                _ => continue,
            };
            let asked = {
                let offsets = wanted
                    .iter()
                    .map(|(partition, point)| (partition.clone(), point.offset));
                take_off(&mut self.positions, offsets)
            };
            let (ask, cluster) = match way {
                Way::Main => {
                    state.main = Some(if wait_ms == long { Wait::Long } else { Wait::Short });
                    (state.session.ask(wanted), self.cluster.clone())
                }
                Way::Aside => {
                    state.aside = true;
                    (Session::without(wanted), self.aside.clone())
                }
            };
            let config = self.config.clone();
            self.flights.spawn(async move {
                let answer = fetch(&cluster, node, &ask, &config, Limits { wait_ms, bytes_max }).await;
                Done::Fetch {
                    node,
                    way,
                    asked,
                    answer,
                }
            });
        }
    }

    /// The broker has answered as much as it wants to for now.
    fn be_silent(&mut self, node: NodeId, throttle_ms: i32) {
        let throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
        if !throttle.is_zero() {
            let until = Instant::now() + throttle;
            let state = self.nodes.entry(node).or_default();
            state.silent_until = state.silent_until.max(Some(until));
        }
    }

    /// Reading or resetting failed for good.
    pub(super) fn fail(&mut self, partition: &TopicPartition, error: Error) {
        if let Some(position) = self.positions.get_mut(partition) {
            debug!(%partition, %error, "reading stops");
            position.state = State::Stopped;
            self.mailbox.put(Letter::Failed {
                partition: partition.clone(),
                epoch: position.epoch,
                error,
            });
        }
    }
}

/// Marks partitions as being under way.
fn take_off(
    positions: &mut BTreeMap<TopicPartition, Position>,
    wanted: impl Iterator<Item = (TopicPartition, i64)>,
) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (partition, offset) in wanted {
        if let Some(position) = positions.get_mut(&partition) {
            position.in_flight = true;
            asked.push(Asked {
                partition,
                epoch: position.epoch,
                offset,
            });
        }
    }
    asked
}

async fn fetch(
    cluster: &Cluster,
    node: NodeId,
    ask: &Ask,
    config: &ConsumerConfig,
    limits: Limits,
) -> Result<FetchResponse> {
    let connection = cluster.connection(node).await?;
    let version = connection.version::<FetchRequest>()?.min(FETCH_VERSION_MAX);
    let request = request::fetch(ask, config, limits, version);
    let wait = cluster.config().request_timeout + config.fetch_wait_max;
    connection.send(&request, version, wait).await
}

async fn list_offsets(
    cluster: &Cluster,
    node: NodeId,
    edges: &[(TopicPartition, Edge)],
    config: &ConsumerConfig,
) -> Result<ListOffsetsResponse> {
    cluster
        .send_built(node, |version| request::list_offsets(edges, config, version))
        .await
}
