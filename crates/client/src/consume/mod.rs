//! Batches in: a consumer owned by one thread, fed by a fetcher on the I/O thread.
//!
//! | file | what |
//! |---|---|
//! | `mod` | [`Consumer`]: what was assigned, what waits to be polled |
//! | `fetcher` | the I/O side: which partitions to fetch from whom, and when |
//! | `outcome` | what becomes of the answers |
//! | `positions` | where each partition stands, on the I/O side |
//! | `session` | fetch sessions: only what changed is sent |
//! | `request` | Fetch and ListOffsets |
//! | `answer` | fetched bytes to checked, decompressed batches |
//! | `isolation` | which batches belong to aborted transactions |
//! | `grouped` | the consumer as a member of a group; committed offsets |

mod answer;
mod config;
mod fetcher;
mod grouped;
mod isolation;
mod outcome;
mod positions;
mod request;
mod session;

use std::collections::HashMap;
use std::time::Duration;

use kstreams_wire::TopicPartition;
use kstreams_wire::batch::Records;
use rustc_hash::FxBuildHasher;
use tokio::sync::mpsc;

pub use config::{ConsumerConfig, Isolation, ResetPolicy};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::group::{GroupEvent, GroupMetadata, Member};
use crate::mailbox::Mailbox;
use fetcher::{Command, Fetcher};

/// Where to begin reading a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At this offset.
    Offset(i64),
    /// At this offset, behind a record of this leader epoch: that the log was cut off before it since is noticed.
    After {
        /// The offset.
        offset: i64,
        /// The leader epoch of the record before it.
        epoch: i32,
    },
    /// At the oldest record.
    Beginning,
    /// Behind the newest record.
    End,
    /// As `auto.offset.reset` says.
    ByPolicy,
}

/// What [`Consumer::poll`] gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// Records of one partition, in order.
    Fetched {
        /// The partition.
        partition: TopicPartition,
        /// Whole batches, checked and decompressed; control batches are left out. May be empty when only such came.
        records: Vec<Records>,
        /// Where the next fetch begins: behind the last batch, whatever it held.
        next_offset: i64,
        /// The offset behind the newest record that may be read.
        high_watermark: i64,
    },
    /// The log does not have the position, and `auto.offset.reset` is `none`: seek, or give the partition up.
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The position that the log does not have.
        offset: i64,
    },
    /// The log was cut off before the position, because brokers were lost (KIP-320): records that were read are gone, and
    /// others may have taken their offsets. Seek, or give the partition up.
    CutOff {
        /// The partition.
        partition: TopicPartition,
        /// The position.
        offset: i64,
        /// Where the log and what was read part.
        end: i64,
    },
    /// There is no position, and `auto.offset.reset` is `none`: seek, or give the partition up.
    NoOffset {
        /// The partition.
        partition: TopicPartition,
    },
    /// Something happened to the membership in the group.
    Group(GroupEvent),
    /// The membership in the group ended for good.
    GroupFailed(Error),
    /// A partition cannot be read, for good: nothing more comes of it until it is assigned or sought again.
    Error(Error),
}

/// A consumer of assigned partitions. Owned by one thread; fetching goes on between polls.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    partitions: HashMap<TopicPartition, Partition, FxBuildHasher>,
    mailbox: Mailbox<Letter>,
    letters: Vec<Letter>,
    commands: mpsc::UnboundedSender<Command>,
    epochs: u64,
    member: Option<Member>,
    /// Who the application is in the group, as far as it was told.
    identity: Option<GroupMetadata>,
}

/// A partition as the polling side sees it.
#[derive(Debug)]
struct Partition {
    /// Changes with each assignment and seek: what was fetched before is of no use after.
    epoch: u64,
    paused: bool,
    position: Option<i64>,
    high_watermark: Option<i64>,
    /// The leader epochs of what was handed out, and where each began.
    leader_epochs: Vec<(i64, i32)>,
    /// What was fetched while the partition was paused.
    held: Vec<Fetched>,
}

/// More changes of leaders than anybody has records of in hand.
const LEADER_EPOCHS_MAX: usize = 64;

impl Partition {
    fn note_epochs(&mut self, epochs: &[(i64, i32)]) {
        for (first, epoch) in epochs {
            if self.leader_epochs.last().is_some_and(|(_, last)| last == epoch) || *epoch < 0 {
                continue;
            }
            if self.leader_epochs.len() == LEADER_EPOCHS_MAX {
                self.leader_epochs.remove(0);
            }
            self.leader_epochs.push((*first, *epoch));
        }
    }
}

/// What the I/O side has to say.
#[derive(Debug)]
enum Letter {
    Fetched(Fetched),
    /// The position, or what is known of the log's end, without records.
    Standing {
        partition: TopicPartition,
        epoch: u64,
        position: i64,
        high_watermark: Option<i64>,
    },
    OutOfRange {
        partition: TopicPartition,
        epoch: u64,
        offset: i64,
    },
    CutOff {
        partition: TopicPartition,
        epoch: u64,
        offset: i64,
        end: i64,
    },
    NoOffset {
        partition: TopicPartition,
        epoch: u64,
    },
    Failed {
        partition: TopicPartition,
        epoch: u64,
        error: Error,
    },
    /// About the membership; an error is its end.
    Group(Result<GroupEvent>),
}

#[derive(Debug)]
struct Fetched {
    partition: TopicPartition,
    epoch: u64,
    records: Vec<Records>,
    /// Those of all batches, also of such that are not to be seen.
    leader_epochs: Vec<(i64, i32)>,
    next_offset: i64,
    high_watermark: i64,
}

/// Ends the present poll of a consumer, or the next one, from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Mailbox<Letter>);

impl Waker {
    /// Lets the poll return with what there is.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl Consumer {
    pub(crate) fn new(client: Client, config: ConsumerConfig) -> Self {
        let mailbox = Mailbox::new();
        let (commands, received) = mpsc::unbounded_channel();
        let fetcher = Fetcher::new(client.cluster().separate(), config, mailbox.clone());
        client.io().spawn(fetcher.run(received));
        Self {
            client,
            partitions: HashMap::default(),
            mailbox,
            letters: Vec::new(),
            commands,
            epochs: 0,
            member: None,
            identity: None,
        }
    }

    /// Adds partitions to read. One that is already assigned begins anew.
    pub fn assign(&mut self, partitions: &[(TopicPartition, Start)]) {
        for (partition, start) in partitions {
            self.begin(partition, *start, false);
        }
    }

    /// Gives partitions up. What was fetched of them is dropped.
    pub fn unassign(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if self.partitions.remove(partition).is_some() {
                self.command(Command::Unassign(partition.clone()));
            }
        }
    }

    /// The assigned partitions, in no order.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    /// Polls return nothing of these partitions until they are resumed. What is fetched already is kept.
    pub fn pause(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(state) = self.partitions.get_mut(partition) {
                state.paused = true;
            }
        }
    }

    /// Ends a pause.
    pub fn resume(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(state) = self.partitions.get_mut(partition) {
                state.paused = false;
            }
        }
    }

    /// True if the partition is assigned and paused.
    pub fn is_paused(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|state| state.paused)
    }

    /// Goes on reading an assigned partition elsewhere. A pause stays.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) {
        if let Some(state) = self.partitions.get(partition) {
            let paused = state.paused;
            self.begin(partition, start, paused);
        }
    }

    /// The offset that the next poll goes on with; unknown until a reset found it.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.get(partition)?.position
    }

    /// How many offsets lie between the position and the end of the log, as far as it is known by the last answer.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.partitions.get(partition)?;
        Some((state.high_watermark? - state.position?).max(0))
    }

    /// The leader epoch of the record before this offset, as far as it was handed out: to be committed with the offset.
    pub fn leader_epoch_before(&self, partition: &TopicPartition, offset: i64) -> Option<i32> {
        let epochs = &self.partitions.get(partition)?.leader_epochs;
        let after = epochs.partition_point(|(first, _)| *first < offset);
        epochs.get(after.checked_sub(1)?).map(|(_, epoch)| *epoch)
    }

    /// Returns as soon as there is something; nothing when the time is up or a [`Waker`] was used. An event of the group is
    /// the last one that a poll hands out: until the next poll the consumer speaks and commits as of that event.
    pub fn poll(&mut self, timeout: Duration) -> Vec<ConsumerEvent> {
        self.polled();
        let mut events = Vec::new();
        self.release(&mut events);
        let mut letters = std::mem::take(&mut self.letters);
        if events.is_empty() && letters.is_empty() {
            self.mailbox.wait(timeout, &mut letters);
        } else {
            self.mailbox.take(&mut letters);
        }
        let group = letters.iter().position(|letter| matches!(letter, Letter::Group(_)));
        for letter in letters.drain(..group.map_or(letters.len(), |at| at + 1)) {
            self.admit(letter, &mut events);
        }
        self.letters = letters;
        self.report_taken(&events);
        events
    }

    /// A handle that ends a poll from another thread.
    pub fn waker(&self) -> Waker {
        Waker(self.mailbox.clone())
    }

    /// The client this consumer belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn begin(&mut self, partition: &TopicPartition, start: Start, paused: bool) {
        self.epochs += 1;
        let position = match start {
            Start::Offset(offset) | Start::After { offset, .. } => Some(offset),
            Start::Beginning | Start::End | Start::ByPolicy => None,
        };
        let state = Partition {
            epoch: self.epochs,
            paused,
            position,
            high_watermark: None,
            leader_epochs: match start {
                Start::After { offset, epoch } => vec![(offset - 1, epoch)],
                _ => Vec::new(),
            },
            held: Vec::new(),
        };
        self.partitions.insert(partition.clone(), state);
        self.command(Command::Assign {
            partition: partition.clone(),
            epoch: self.epochs,
            start,
        });
    }

    /// What was held back for partitions that are not paused any more.
    fn release(&mut self, events: &mut Vec<ConsumerEvent>) {
        for state in self
            .partitions
            .values_mut()
            .filter(|state| !state.paused && !state.held.is_empty())
        {
            for fetched in std::mem::take(&mut state.held) {
                state.note_epochs(&fetched.leader_epochs);
                state.position = Some(fetched.next_offset);
                events.push(fetched.into());
            }
        }
    }

    fn admit(&mut self, letter: Letter, events: &mut Vec<ConsumerEvent>) {
        let (partition, epoch) = match &letter {
            Letter::Fetched(fetched) => (&fetched.partition, fetched.epoch),
            Letter::Standing { partition, epoch, .. }
            | Letter::OutOfRange { partition, epoch, .. }
            | Letter::CutOff { partition, epoch, .. }
            | Letter::NoOffset { partition, epoch }
            | Letter::Failed { partition, epoch, .. } => (partition, *epoch),
            Letter::Group(event) => return events.push(self.heard(event.clone())),
        };
        // A letter about an earlier assignment of the partition, or of one that was given up, is out of date.
        let Some(state) = self.partitions.get_mut(partition).filter(|state| state.epoch == epoch) else {
            return;
        };
        match letter {
            Letter::Fetched(fetched) => {
                state.high_watermark = Some(fetched.high_watermark);
                if state.paused {
                    state.held.push(fetched);
                } else {
                    state.note_epochs(&fetched.leader_epochs);
                    state.position = Some(fetched.next_offset);
                    events.push(fetched.into());
                }
            }
            Letter::Standing {
                position,
                high_watermark,
                ..
            } => {
                state.high_watermark = high_watermark.or(state.high_watermark);
                if state.held.is_empty() {
                    state.position = Some(position);
                }
            }
            Letter::OutOfRange { partition, offset, .. } => {
                events.push(ConsumerEvent::OutOfRange { partition, offset })
            }
            Letter::CutOff {
                partition, offset, end, ..
            } => events.push(ConsumerEvent::CutOff { partition, offset, end }),
            Letter::NoOffset { partition, .. } => events.push(ConsumerEvent::NoOffset { partition }),
            Letter::Failed { error, .. } => events.push(ConsumerEvent::Error(error)),
            Letter::Group(_) => {}
        }
    }

    /// What is taken makes room for the next fetch.
    fn report_taken(&self, events: &[ConsumerEvent]) {
        let taken = events.iter().filter_map(|event| match event {
            ConsumerEvent::Fetched { partition, .. } => Some((
                partition.clone(),
                self.partitions.get(partition).map_or(0, |state| state.epoch),
            )),
            _ => None,
        });
        let taken: Vec<_> = taken.collect();
        if !taken.is_empty() {
            self.command(Command::Taken(taken));
        }
    }

    fn command(&self, command: Command) {
        // The fetcher ends only with the I/O thread, and then there is nothing to fetch any more.
        let _ = self.commands.send(command);
    }
}

impl From<Fetched> for ConsumerEvent {
    fn from(fetched: Fetched) -> Self {
        Self::Fetched {
            partition: fetched.partition,
            records: fetched.records,
            next_offset: fetched.next_offset,
            high_watermark: fetched.high_watermark,
        }
    }
}
