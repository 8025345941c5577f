//! A broker that is killed leaves files as they were at some moment: what it had acknowledged by then is there again.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_wire::messages::{DescribeTransactionsRequest, ProducerId, StrBytes, TransactionalId};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::client::*;
use crate::groups::{commit, committed_partition};
use crate::transactions::{Producer, latest, read_committed};

const INVALID_PRODUCER_EPOCH: i16 = 47;

fn start(data: &Path) -> Broker {
    let config = BrokerConfig {
        data: Some(data.to_owned()),
        ..BrokerConfig::default()
    };
    Broker::start(config).unwrap()
}

/// The data directory as a killed broker would leave it now: what was written is in the files, whoever wrote it.
fn image(data: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files(data) {
        let to = copy.path().join(&file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(data.join(file), to).unwrap();
    }
    copy
}

/// The files of a directory and of those in it, by their paths from there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path.strip_prefix(directory).unwrap().to_owned()),
            }
        }
    }
    found
}

/// What clients can see of a broker with topic `t`.
#[derive(Debug, PartialEq)]
struct Picture {
    written: Vec<String>,
    end: i64,
    stable_end: i64,
    aborted: usize,
    /// The offset and the error: a transaction may be about to change it.
    committed: (i64, i16),
    /// State, producer, epoch and number of topics of the transactions `a` and `b`.
    transactions: Vec<(StrBytes, i64, i16, usize)>,
}

impl Picture {
    fn of(addr: SocketAddr) -> Self {
        let client = &mut Client::connect_to(addr);
        let stable = read_committed(client, 0);
        let committed = committed_partition(client);
        let ids = ["a", "b"].map(|id| TransactionalId(text(id)));
        let described = client.ask(
            &DescribeTransactionsRequest::default().with_transactional_ids(ids.to_vec()),
            0,
        );
        let transactions = described.transaction_states.into_iter().map(|state| {
            let topics = state.topics.len();
            (
                state.transaction_state,
                *state.producer_id,
                state.producer_epoch,
                topics,
            )
        });
        Self {
            written: client.fetch("t", 0).records.map_or(Vec::new(), |_| everything(client)),
            end: latest(client, 0),
            stable_end: stable.last_stable_offset,
            aborted: stable.aborted_transactions.unwrap_or_default().len(),
            committed: (committed.committed_offset, committed.error_code),
            transactions: transactions.collect(),
        }
    }
}

/// The values of all records, markers aside.
fn everything(client: &mut Client) -> Vec<String> {
    let mut fetched = client.fetch("t", 0);
    let records = fetched.records.take().unwrap_or_default();
    let mut found = Vec::new();
    for batch in kstreams_wire::batch::split(records) {
        let batch = batch.unwrap();
        if !batch.header().attributes.is_control() {
            fetched.records = Some(batch.bytes().clone());
            found.extend(values(&fetched));
        }
    }
    found
}

/// What clients do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write,
    CommitOffset,
    /// Producer `a` or `b` does something in its transaction, or begins anew.
    Transaction(usize, Part),
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Write,
    CommitOffset,
    End { commit: bool, version: i16 },
    BeginAnew,
}

fn step() -> impl Strategy<Value = Step> {
    let part = prop_oneof![
        3 => Just(Part::Write),
        2 => Just(Part::CommitOffset),
        3 => (any::<bool>(), 4..=5_i16).prop_map(|(commit, version)| Part::End { commit, version }),
        1 => Just(Part::BeginAnew),
    ];
    prop_oneof![
        1 => Just(Step::Write),
        1 => Just(Step::CommitOffset),
        5 => (0..2_usize, part).prop_map(|(producer, part)| Step::Transaction(producer, part)),
    ]
}

fn take(step: Step, number: usize, addr: SocketAddr, producers: &mut [Producer]) {
    let value = number.to_string();
    let offset = number as i64;
    let client = &mut Client::connect_to(addr);
    match step {
        Step::Write => assert_eq!(client.produce("t", &[&value]).error_code, 0),
        Step::CommitOffset => drop(client.ask(&commit(-1, &StrBytes::new(), offset), 9)),
        Step::Transaction(which, part) => {
            let producer = &mut producers[which];
            // Not every part is allowed everywhere; what is refused must not leave a trace either.
            match part {
                Part::Write => drop(producer.produce(&[&value, &value], 12)),
                Part::CommitOffset => drop(producer.commit_offset(offset, 5)),
                Part::End { commit, version } => drop(producer.end(commit, version)),
                Part::BeginAnew => *producer = begin(addr, ["a", "b"][which]),
            }
        }
    }
}

fn begin(addr: SocketAddr, id: &str) -> Producer {
    Producer::begin_with(Client::connect_to(addr), id, 60_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_was_acknowledged_survives_a_kill(steps in vec(step(), 1..25)) {
        let data = tempfile::tempdir().unwrap();
        let broker = start(data.path());
        broker.create_topic("t", 1, &[]).unwrap();
        let mut producers = ["a", "b"].map(|id| begin(broker.addr(), id));
        for (number, step) in steps.into_iter().enumerate() {
            take(step, number, broker.addr(), &mut producers);
            let left = image(data.path());
            let before = Picture::of(broker.addr());
            let restarted = start(left.path());
            prop_assert_eq!(Picture::of(restarted.addr()), before, "killed after step {}, {:?}", number, step);
        }
    }
}

/// An open transaction of producer `a`, and what its end writes, in the order in which it does.
struct Ended {
    before: TempDir,
    writes: Vec<(PathBuf, Vec<u8>)>,
    producer_id: ProducerId,
    /// The producer's epoch before, and after.
    epochs: (i16, i16),
}

impl Ended {
    fn new(commit: bool) -> Self {
        let data = tempfile::tempdir().unwrap();
        let broker = start(data.path());
        broker.create_topic("t", 1, &[]).unwrap();
        let mut producer = begin(broker.addr(), "a");
        assert_eq!(producer.produce(&["1", "2"], 12), 0);
        assert_eq!(producer.commit_offset(7, 5), 0);
        let (before, epoch) = (image(data.path()), producer.epoch);
        assert_eq!(producer.end(commit, 5), 0);
        let after = image(data.path());
        let grown = |file: &str| {
            let old = fs::read(before.path().join(file)).unwrap_or_default();
            fs::read(after.path().join(file)).unwrap().split_off(old.len())
        };
        let journal = grown("transactions");
        let prepared = 4 + u32::from_be_bytes(journal[..4].try_into().unwrap()) as usize;
        let (prepared, complete) = journal.split_at(prepared);
        assert!(!complete.is_empty());
        let log = "logs/t-0/00000000000000000000.log";
        let writes = [
            ("transactions", prepared.to_vec()),
            (log, grown(log)),
            ("offsets", grown("offsets")),
            ("transactions", complete.to_vec()),
        ];
        Self {
            before,
            writes: writes.map(|(file, bytes)| (file.into(), bytes)).to_vec(),
            producer_id: producer.producer_id,
            epochs: (epoch, producer.epoch),
        }
    }

    /// The data directory when so many bytes of the end were written.
    fn cut(&self, mut bytes: usize) -> TempDir {
        let data = image(self.before.path());
        for (file, written) in &self.writes {
            let some = &written[..written.len().min(bytes)];
            bytes -= some.len();
            let path = data.path().join(file);
            let mut content = fs::read(&path).unwrap_or_default();
            content.extend_from_slice(some);
            fs::write(path, content).unwrap();
        }
        data
    }
}

#[test]
fn an_end_cut_short_anywhere_is_the_same_end_when_asked_for_again() {
    for is_commit in [true, false] {
        let ended = Ended::new(is_commit);
        let bytes: usize = ended.writes.iter().map(|(_, written)| written.len()).sum();
        for cut in 0..=bytes {
            let data = ended.cut(cut);
            let broker = start(data.path());
            let resume = || {
                Producer::resume(
                    Client::connect_to(broker.addr()),
                    "a",
                    ended.producer_id,
                    ended.epochs.0,
                )
            };
            let (mut producer, mut late) = (resume(), resume());
            assert_eq!(producer.end(is_commit, 5), 0, "cut at {cut} of {bytes}");
            assert_eq!(producer.epoch, ended.epochs.1, "cut at {cut} of {bytes}");
            let picture = Picture::of(broker.addr());
            let expected_offset = if is_commit { 7 } else { -1 };
            assert_eq!(picture.committed, (expected_offset, 0));
            assert_eq!(picture.stable_end, picture.end, "nothing is open");
            assert_eq!(picture.aborted, usize::from(!is_commit));
            assert_eq!(picture.written, ["1", "2"]);
            assert_eq!(late.produce(&["late"], 12), INVALID_PRODUCER_EPOCH);
            assert_eq!(producer.produce(&["3"], 12), 0);
        }
    }
}
