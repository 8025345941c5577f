//! What the processes' logs and state directories say of restored and of wiped state.
//!
//! A process keeps on disk what it has committed, so it may be behind by one transaction of its own: the one that was
//! committed when the process died before it could write it to its store. Who wrote a transaction is said by the producer id
//! in its batches, and which process has that id by the process's log. So of what a process restores at once, at most one
//! transaction is its own, whoever had the task in between, and however little a zombie did with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kstreams::{TopicName, TopicPartition};
use kstreams_client::Client;
use kstreams_client::consume::Isolation;

use super::outputs;

/// What was found in the logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How often a task was taken on.
    pub taken_on: usize,
    /// Of these, how often by the process that had taken it on last.
    pub by_the_last: usize,
    /// Records restored that the process had written itself: what its last transaction wrote.
    pub restored_own: u64,
    /// The most of its own that a process had to restore at once.
    pub restored_own_max: u64,
    /// Records restored that another process had written.
    pub restored_from_others: u64,
    /// How often a process took tasks on again, after the group had counted it out: a zombie that came back to life.
    pub returned: usize,
    /// What must not be.
    pub complaints: Vec<String>,
}

/// A range of a changelog to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gap {
    changelog: String,
    from: i64,
    to: i64,
}

/// A task taken on by a process, with what its stores lacked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    time: String,
    process: usize,
    task: String,
    gaps: BTreeMap<String, Gap>,
}

/// A committed transaction in a changelog: its first and last record, and which process wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transaction {
    first: i64,
    last: i64,
    process: usize,
}

/// Which process has which producer id.
type Producers = BTreeMap<i64, usize>;

/// Reads the logs of the processes.
pub fn read(client: &Client, logs: &[impl AsRef<Path>]) -> Evidence {
    let mut evidence = Evidence::default();
    let (mut taken, mut producers) = (Vec::new(), Producers::new());
    for (process, log) in logs.iter().enumerate() {
        let text = std::fs::read_to_string(log).expect("a process writes its log");
        evidence.complaints.extend(complaints(process, &text));
        evidence.returned += returned(&text);
        taken.extend(taken_on(process, &text));
        producers.extend(producer_ids(&text).map(|id| (id, process)));
    }
    taken.sort_by(|one, other| one.time.cmp(&other.time));
    let changelogs: BTreeSet<&str> = taken
        .iter()
        .flat_map(|taken| taken.gaps.values())
        .map(|gap| gap.changelog.as_str())
        .collect();
    let transactions = changelogs
        .into_iter()
        .map(|changelog| (changelog.to_owned(), transactions(client, changelog, &producers)))
        .collect();
    evidence.judge(&taken, &transactions);
    evidence
}

/// Lines that tell of deleted state.
fn complaints(process: usize, log: &str) -> Vec<String> {
    const DELETED: [&str; 4] = [
        "state deleted",
        "the changelog ends before the store does",
        "the changelog has no such offset",
        "rebuilding a store of another format",
    ];
    let tells = |line: &&str| DELETED.iter().any(|what| line.contains(what));
    let lines = log.lines().filter(tells);
    lines.map(|line| format!("process {process}: {line}")).collect()
}

/// How often a process took tasks on after it was counted out.
fn returned(log: &str) -> usize {
    let (mut times, mut is_out) = (0, false);
    for line in log.lines() {
        if line.contains("the group counts this thread out") {
            is_out = true;
        } else if line.starts_with("=== ") {
            is_out = false;
        } else if is_out && line.contains(": state restored ") {
            is_out = false;
            times += 1;
        }
    }
    times
}

/// A field of a line of a log.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.split_once(&format!(" {name}="))?.1;
    Some(rest.split(' ').next().unwrap_or(rest).trim_matches('"'))
}

/// The producer ids that a process was given, from its log.
fn producer_ids(log: &str) -> impl Iterator<Item = i64> {
    let lines = log.lines().filter(|line| line.contains(": producer id "));
    lines.filter_map(|line| field(line, "producer_id")?.parse().ok())
}

/// The tasks that a process took on, from its log.
fn taken_on(process: usize, log: &str) -> Vec<Taken> {
    let mut taken = Vec::new();
    let mut looked: BTreeMap<String, (String, BTreeMap<String, Gap>)> = BTreeMap::new();
    for line in log.lines() {
        let field = |name| field(line, name).map(str::to_owned);
        let number = |name| field(name)?.parse().ok();
        let Some(task) = field("task") else { continue };
        let time = line.split(' ').next().unwrap_or_default().to_owned();
        if line.contains(": changelog to be read ") {
            let gap = (field("changelog"), number("from"), number("to"));
            if let ((Some(changelog), Some(from), Some(to)), Some(store)) = (gap, field("store")) {
                // What it saw when it looked before, and was not through with, does not count.
                let (at, gaps) = looked.entry(task).or_default();
                *at = time;
                gaps.insert(store, Gap { changelog, from, to });
            }
        } else if line.contains(": state restored ") {
            let (time, gaps) = looked.remove(&task).unwrap_or_else(|| (time, BTreeMap::new()));
            taken.push(Taken {
                time,
                process,
                task,
                gaps,
            });
        }
    }
    taken
}

/// The committed transactions of a changelog partition. Between two of them there is a marker at least, which has an offset
/// of its own.
fn transactions(client: &Client, changelog: &str, producers: &Producers) -> Vec<Transaction> {
    let Some((topic, number)) = changelog.rsplit_once('-') else {
        return Vec::new();
    };
    let partition = TopicPartition::new(TopicName::from(topic), number.parse().unwrap_or_default());
    let mut found: Vec<Transaction> = Vec::new();
    outputs::read_batches(
        client,
        &[partition],
        Isolation::ReadCommitted,
        |_, header, record| match found.last_mut() {
            Some(latest) if latest.last + 1 == record.offset => latest.last = record.offset,
            _ => found.push(Transaction {
                first: record.offset,
                last: record.offset,
                process: *producers
                    .get(&header.producer_id)
                    .unwrap_or_else(|| panic!("{changelog}: nobody has the producer id {}", header.producer_id)),
            }),
        },
    );
    found
}

impl Evidence {
    fn judge(&mut self, taken: &[Taken], transactions: &BTreeMap<String, Vec<Transaction>>) {
        let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
        for now in taken {
            let last = latest.insert(&now.task, now.process);
            self.taken_on += 1;
            self.by_the_last += usize::from(last == Some(now.process));
            for gap in now.gaps.values() {
                let all = transactions.get(&gap.changelog).map_or(&[][..], Vec::as_slice);
                let restored = |own: bool| {
                    let written = all.iter().filter(move |one| (one.process == now.process) == own);
                    let records = written.map(|one| one.records_in(gap));
                    records.filter(|records| *records > 0).collect::<Vec<_>>()
                };
                let own = restored(true);
                let records: u64 = own.iter().sum();
                self.restored_own += records;
                self.restored_own_max = self.restored_own_max.max(records);
                self.restored_from_others += restored(false).iter().sum::<u64>();
                if own.len() > 1 {
                    self.complaints.push(format!(
                        "process {} had the state of task {}, but at {} it restored {} transactions of its own in {}, \
                         {} records, from offset {} on",
                        now.process,
                        now.task,
                        now.time,
                        own.len(),
                        gap.changelog,
                        records,
                        gap.from
                    ));
                }
            }
        }
    }
}

impl Transaction {
    /// How many of its records lie in the range.
    fn records_in(&self, gap: &Gap) -> u64 {
        ((self.last + 1).min(gap.to) - self.first.max(gap.from)).max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
=== started
2026-01-01T00:00:00Z  INFO thread{name=t}: kstreams_client::produce::transaction: producer id given transactional_id=\"a-1\" producer_id=7 epoch=3
2026-01-01T00:00:01Z DEBUG thread{name=t}: kstreams_runtime::restore: changelog to be read task=1_0 store=\"totals\" changelog=a-totals-changelog-0 from=5 to=9
2026-01-01T00:00:02Z  INFO thread{name=t}: kstreams_runtime::thread::events: state restored task=1_0 records=3 millis=1
2026-01-01T00:00:03Z  WARN thread{name=t}: kstreams_store::storage: state deleted task=\"1_0\" store=\"totals\"
";

    #[test]
    fn logs_tell_who_took_what_on() {
        let taken = taken_on(2, LOG);
        let gap = Gap {
            changelog: "a-totals-changelog-0".to_owned(),
            from: 5,
            to: 9,
        };
        assert_eq!(taken.len(), 1);
        let first = taken.first().expect("there is one");
        assert_eq!(
            (first.process, first.task.as_str(), first.gaps.get("totals")),
            (2, "1_0", Some(&gap))
        );
        assert_eq!(
            first.time, "2026-01-01T00:00:01Z",
            "when it looked, not when it was through"
        );
        assert_eq!(complaints(2, LOG).len(), 1);
        assert_eq!(producer_ids(LOG).collect::<Vec<_>>(), [7]);
        let zombie = format!("... the group counts this thread out; ...\n{LOG}");
        assert_eq!(
            (returned(LOG), returned(&zombie)),
            (0, 0),
            "a process that was started anew is no zombie"
        );
        assert_eq!(returned(&zombie.replace("=== started\n", "")), 1);
    }

    fn taken(process: usize, from: i64, to: i64) -> Taken {
        let gap = Gap {
            changelog: "c".to_owned(),
            from,
            to,
        };
        Taken {
            time: String::new(),
            process,
            task: "1_0".to_owned(),
            gaps: BTreeMap::from([("s".to_owned(), gap)]),
        }
    }

    fn judged(taken: &[Taken]) -> Evidence {
        let by = |process, first| Transaction {
            first,
            last: first + 3,
            process,
        };
        let written = vec![by(0, 0), by(0, 5), by(1, 10), by(0, 15)];
        let mut evidence = Evidence::default();
        evidence.judge(taken, &BTreeMap::from([("c".to_owned(), written)]));
        evidence
    }

    #[test]
    fn one_transaction_of_its_own_may_be_missing_and_no_more() {
        let one = judged(&[taken(0, 0, 0), taken(0, 5, 10)]);
        assert_eq!((one.complaints.len(), one.by_the_last, one.restored_own), (0, 1, 4));
        assert_eq!(judged(&[taken(0, 0, 0), taken(0, 3, 10)]).complaints.len(), 1);
    }

    #[test]
    fn what_others_wrote_counts_apart() {
        let moved = judged(&[taken(0, 0, 0), taken(1, 0, 10), taken(0, 9, 15)]);
        assert_eq!(moved.complaints, Vec::<String>::new());
        assert_eq!((moved.restored_own, moved.restored_from_others), (0, 12));
        let wiped = judged(&[taken(0, 0, 0), taken(1, 0, 10), taken(0, 0, 15)]);
        assert_eq!((wiped.complaints.len(), wiped.restored_own), (1, 8));
    }

    #[test]
    fn a_zombie_that_looks_at_its_task_in_between_changes_nothing() {
        let zombie = judged(&[taken(0, 0, 0), taken(1, 10, 10), taken(0, 15, 19)]);
        assert_eq!((zombie.complaints.len(), zombie.restored_own), (0, 4));
    }
}
