//! The I/O side of a producer: one Produce request per broker carries a batch of each partition that has one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kstreams_wire::messages::{ProduceRequest, ProduceResponse};
use kstreams_wire::{TopicName, TopicPartition};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use super::batch::{Place, Sealed};
use super::queue::{Identity, Numbered, Queue};
use super::transaction::{self, machine::Protocol};
use super::{Acks, Letter, ProducerConfig, request};
use crate::cluster::{Cluster, NodeId};
use crate::connection::{Backoff, Connection};
use crate::error::{Error, Result};
use crate::mailbox::Mailbox;
use crate::network::{Instant, sleep_until};

const LONG: Duration = Duration::from_secs(3600);
/// How often a missing leader is complained about.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);
/// How long a leader may be missing before that is worth a word.
const COMPLAINT_AFTER: Duration = Duration::from_secs(2);

/// What the caller's side has for the sender.
#[derive(Debug)]
pub(super) enum Command {
    /// The topic of the next number.
    Topic(TopicName),
    Send(Vec<Sealed>),
    /// What is sent from now on belongs to another transaction.
    Transaction {
        identity: Identity,
        protocol: Protocol,
    },
}

#[derive(Debug)]
pub(super) struct Sender {
    pub(super) cluster: Cluster,
    pub(super) config: ProducerConfig,
    pub(super) mailbox: Mailbox<Letter>,
    pub(super) topics: Vec<TopicName>,
    pub(super) lines: BTreeMap<Place, Line>,
    nodes: BTreeMap<NodeId, Node>,
    flights: JoinSet<Done>,
    identity: Option<Identity>,
    protocol: Protocol,
    pub(super) backoff: Backoff,
    /// Where the last request ended, so that everyone has their turn.
    turn: Option<Place>,
    complaint: Option<Instant>,
    /// What last stood in the way of a batch.
    pub(super) obstacle: Option<Error>,
}

/// One partition.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) queue: Queue,
    leader: Option<NodeId>,
    /// A batch was lost: what follows it must not be written.
    pub(super) dead: bool,
    membership: Membership,
}

/// Whether a partition is part of the transaction, so that it may be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Membership {
    /// It is, or nobody asks.
    #[default]
    Member,
    Outside,
    Asked,
}

impl Line {
    /// The size of the next batch, if it may be sent.
    fn ready_bytes(&self, now: Instant) -> Option<usize> {
        let bytes = self.queue.front_bytes(now);
        bytes.filter(|_| self.membership == Membership::Member)
    }
}

#[derive(Debug, Default)]
struct Node {
    connection: Option<Connection>,
    connecting: bool,
    in_flight: usize,
    /// The broker asked for silence until then (KIP-219).
    silent_until: Option<Instant>,
}

impl Node {
    /// Whether another request may go there.
    fn is_free(&self, now: Instant, in_flight_max: usize) -> bool {
        let silent = self.silent_until.is_some_and(|until| until > now);
        !self.connecting && !silent && self.in_flight < in_flight_max
    }

    fn landed(&mut self, throttle_ms: i32, now: Instant) {
        self.in_flight -= 1;
        let throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
        if !throttle.is_zero() {
            self.silent_until = self.silent_until.max(Some(now + throttle));
        }
    }
}

/// A request that came to its end.
#[derive(Debug)]
enum Done {
    Identity(Result<Identity>),
    Added(Vec<Place>, Result<()>),
    Connected(NodeId, Result<Connection>),
    Produced {
        node: NodeId,
        batches: Vec<Numbered>,
        answer: Result<ProduceResponse>,
    },
}

impl Sender {
    pub(super) fn new(cluster: Cluster, config: ProducerConfig, mailbox: Mailbox<Letter>) -> Self {
        Self {
            backoff: cluster.backoff(),
            cluster,
            config,
            mailbox,
            topics: Vec::new(),
            lines: BTreeMap::new(),
            nodes: BTreeMap::new(),
            flights: JoinSet::new(),
            identity: None,
            protocol: Protocol::One,
            turn: None,
            complaint: None,
            obstacle: None,
        }
    }

    /// Runs until the producer is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut metadata = self.cluster.metadata_received();
        // A transactional producer is told who it is.
        if self.config.idempotent && self.config.transactional.is_none() {
            self.identify();
        }
        loop {
            let now = Instant::now();
            self.expire(now);
            self.send(now);
            let wakes = self
                .lines
                .values()
                .filter_map(|line| line.queue.wakes(now, self.config.delivery_timeout));
            let silences = self.nodes.values().filter_map(|node| node.silent_until);
            let wakes = wakes.chain(silences.filter(|until| *until > now));
            let wake = wakes.min().unwrap_or(now + LONG);
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.handle(command),
                    None => break,
                },
                Some(done) = self.flights.join_next() => match done {
                    Ok(done) => self.land(done),
                    Err(error) => warn!(%error, "a request ended without an answer"),
                },
                Ok(()) = metadata.changed() => self.find_leaders(),
                () = sleep_until(wake) => {}
            }
            while let Ok(command) = commands.try_recv() {
                self.handle(command);
            }
        }
        self.cluster.close();
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Topic(name) => self.topics.push(name),
            Command::Send(batches) => {
                for batch in batches {
                    let place = batch.place;
                    let newcomer = self.newcomer();
                    let line = self.lines.entry(place).or_insert_with(|| newcomer);
                    if line.dead {
                        self.mailbox.put(Letter::Dropped(vec![batch.charged_bytes]));
                        continue;
                    }
                    line.queue.push(batch);
                    if line.leader.is_none() {
                        self.find_leader(place);
                    }
                }
            }
            Command::Transaction { identity, protocol } => {
                (self.identity, self.protocol) = (Some(identity), protocol);
                let outside = self.newcomer().membership;
                for line in self.lines.values_mut() {
                    line.queue.begin_transaction(identity);
                    line.membership = outside;
                }
            }
        }
    }

    /// A partition that nothing was written to yet.
    fn newcomer(&self) -> Line {
        let mut line = Line::default();
        if let (Some(_), Some(identity)) = (&self.config.transactional, self.identity) {
            line.queue.begin_transaction(identity);
            if self.protocol == Protocol::One {
                line.membership = Membership::Outside;
            }
        }
        line
    }

    fn land(&mut self, done: Done) {
        match done {
            Done::Identity(Ok(identity)) => {
                self.identity = Some(identity);
                self.mailbox.put_quietly(Letter::Identity(identity));
            }
            Done::Identity(Err(error)) => self.fail_all(&error),
            Done::Added(places, added) => self.added(&places, added),
            Done::Connected(node, connection) => self.connected(node, connection),
            Done::Produced { node, batches, answer } => {
                let throttle_ms = answer.as_ref().map_or(0, |answer| answer.throttle_time_ms);
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.landed(throttle_ms, Instant::now());
                }
                self.produced(batches, answer);
            }
        }
    }

    /// Sends what can be sent, to every broker that has room.
    fn send(&mut self, now: Instant) {
        if self.config.idempotent && self.identity.is_none() {
            return;
        }
        self.add_partitions();
        while let Some(node) = self.next_node(now) {
            let state = self.nodes.entry(node).or_default();
            if state.connection.as_ref().is_none_or(Connection::is_closed) {
                state.connection = None;
                self.connect(node);
                continue;
            }
            let batches = match self.collect(node, now) {
                Ok(batches) => batches,
                Err(error) => return self.fail_all(&error.into()),
            };
            if batches.is_empty() {
                return;
            }
            self.dispatch(node, batches);
        }
    }

    /// A broker that leads a partition with a batch to send, and may have another request.
    fn next_node(&self, now: Instant) -> Option<NodeId> {
        let free = |node: &NodeId| {
            let max = self.config.in_flight_max;
            self.nodes.get(node).is_none_or(|state| state.is_free(now, max))
        };
        let ready = self.lines.values().filter(|line| line.ready_bytes(now).is_some());
        ready.filter_map(|line| line.leader).find(free)
    }

    /// One batch of each partition that the broker leads, as many as a request holds.
    fn collect(&mut self, node: NodeId, now: Instant) -> kstreams_wire::Result<Vec<Numbered>> {
        let mut batches = Vec::new();
        let mut room = self.config.request_bytes_max;
        let from = self.turn.take();
        let mut order: VecDeque<_> = self.lines.keys().copied().collect();
        if let Some(from) = from {
            let behind = order.partition_point(|place| *place <= from);
            order.rotate_left(behind.min(order.len()));
        }
        for place in order {
            let Some(line) = self.lines.get_mut(&place).filter(|line| line.leader == Some(node)) else {
                continue;
            };
            let Some(bytes) = line.ready_bytes(now) else {
                continue;
            };
            if bytes > room && !batches.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes);
            batches.extend(line.queue.pop(now, self.identity)?);
            self.turn = Some(place);
        }
        Ok(batches)
    }

    fn dispatch(&mut self, node: NodeId, batches: Vec<Numbered>) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        let Some(connection) = state.connection.clone() else {
            return;
        };
        let limit = self.cluster.config().request_timeout;
        let request = request::produce(&batches, &self.topics, &self.config, limit);
        let version = connection
            .version::<ProduceRequest>()
            .map(|version| version.min(request::produce_version_max(&self.config, self.protocol)));
        if self.config.acks == Acks::None {
            let told = version.and_then(|version| connection.tell(&request, version));
            return self.told(batches, told);
        }
        state.in_flight += 1;
        let answer = version.and_then(|version| connection.ask(&request, version));
        self.flights.spawn(async move {
            let answer = match answer {
                Ok(answer) => answer.wait(limit).await,
                Err(error) => Err(error),
            };
            Done::Produced { node, batches, answer }
        });
    }

    /// Makes the partitions part of the transaction that have something to be written and are not.
    fn add_partitions(&mut self) {
        let (Some(transactional), Some(identity)) = (&self.config.transactional, self.identity) else {
            return;
        };
        let mut places = Vec::new();
        for (place, line) in &mut self.lines {
            if line.membership == Membership::Outside && line.queue.is_waiting() {
                line.membership = Membership::Asked;
                places.push(*place);
            }
        }
        if places.is_empty() {
            return;
        }
        let partitions = places.iter().map(|place| self.partition(*place)).collect();
        let (cluster, writer) = (self.cluster.clone(), (transactional.id.clone(), identity));
        self.flights.spawn(async move {
            Done::Added(
                places,
                transaction::request::add_partitions(cluster, writer, partitions).await,
            )
        });
    }

    fn added(&mut self, places: &[Place], added: Result<()>) {
        if let Err(error) = added {
            return self.fail_all(&error);
        }
        for place in places {
            if let Some(line) = self.lines.get_mut(place) {
                line.membership = Membership::Member;
            }
        }
    }

    fn connect(&mut self, node: NodeId) {
        self.nodes.entry(node).or_default().connecting = true;
        let cluster = self.cluster.clone();
        self.flights
            .spawn(async move { Done::Connected(node, cluster.connection(node).await) });
    }

    fn connected(&mut self, node: NodeId, connection: Result<Connection>) {
        let state = self.nodes.entry(node).or_default();
        state.connecting = false;
        match connection {
            Ok(connection) => state.connection = Some(connection),
            Err(error) if error.is_retriable() => {
                // The next attempt waits for its turn by itself. Leaders may have moved away meanwhile.
                self.cluster.want_metadata();
                if matches!(error, Error::UnknownNode { .. }) {
                    self.lines
                        .values_mut()
                        .filter(|line| line.leader == Some(node))
                        .for_each(|line| line.leader = None);
                }
            }
            Err(error) => self.fail_all(&error),
        }
    }

    fn identify(&mut self) {
        let cluster = self.cluster.clone();
        self.flights
            .spawn(async move { Done::Identity(request::identity(&cluster).await) });
    }

    fn find_leader(&mut self, place: Place) {
        let partition = self.partition(place);
        self.cluster.add_interest(&partition.topic);
        let leader = self.cluster.known_leader(&partition).map(|leader| leader.node);
        if leader.is_none() {
            self.cluster.want_metadata();
        }
        if let Some(line) = self.lines.get_mut(&place) {
            line.leader = leader;
        }
    }

    /// Metadata is new: leaders may have moved.
    pub(super) fn find_leaders(&mut self) {
        let places: Vec<_> = self.lines.keys().copied().collect();
        for place in places {
            self.find_leader(place);
        }
        let missing = self
            .lines
            .iter()
            .find(|(_, line)| line.leader.is_none() && line.queue.is_waiting());
        let Some(place) = missing.map(|(place, _)| *place) else {
            self.complaint = None;
            return;
        };
        let now = Instant::now();
        let since = *self.complaint.get_or_insert(now + COMPLAINT_AFTER - COMPLAINT_EVERY);
        if now.duration_since(since) >= COMPLAINT_EVERY {
            self.complaint = Some(now);
            warn!(partition = %self.partition(place), "records wait for a partition that has no leader");
        }
    }

    pub(super) fn partition(&self, place: Place) -> TopicPartition {
        let topic = usize::try_from(place.topic)
            .ok()
            .and_then(|index| self.topics.get(index));
        let topic = topic.expect("a topic is announced before its first batch");
        TopicPartition {
            topic: topic.clone(),
            partition: place.partition,
        }
    }
}
