//! What the processes' logs and state directories say of restored and of wiped state.
//!
//! A process that had a task's state when it last ran it may be behind by one transaction: the one that was committed when
//! the process died before it could write it to its store. So, of what it restores, at most one transaction lies before the
//! end that the changelog had when anybody took the task on after it; what comes after that end others wrote meanwhile. A
//! task is taken on when its process looks where the changelog ends: one that is frozen after that may say long after, when
//! others have the task, that it is restored. A task whose state a process never had is restored whole, and not judged.

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
    /// Of these, how often by the process that had run it last.
    pub by_the_last: usize,
    /// Records restored by the process that had run the task last: what its last transaction wrote.
    pub restored_by_the_last: u64,
    /// The most that such a process had to restore at once.
    pub restored_by_the_last_max: u64,
    /// Records restored because another process had written them, or because the state was never here.
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

/// Reads the logs of the processes.
pub fn read(client: &Client, logs: &[impl AsRef<Path>]) -> Evidence {
    let mut evidence = Evidence::default();
    let mut taken = Vec::new();
    for (process, log) in logs.iter().enumerate() {
        let text = std::fs::read_to_string(log).expect("a process writes its log");
        evidence.complaints.extend(complaints(process, &text));
        evidence.returned += returned(&text);
        taken.extend(taken_on(process, &text));
    }
    taken.sort_by(|one, other| one.time.cmp(&other.time));
    let changelogs: BTreeSet<&str> = taken
        .iter()
        .flat_map(|taken| taken.gaps.values())
        .map(|gap| gap.changelog.as_str())
        .collect();
    let transactions: BTreeMap<String, Vec<(i64, i64)>> = changelogs
        .into_iter()
        .map(|changelog| (changelog.to_owned(), transactions(client, changelog)))
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

/// The tasks that a process took on, from its log.
fn taken_on(process: usize, log: &str) -> Vec<Taken> {
    let mut taken = Vec::new();
    let mut looked: BTreeMap<String, (String, BTreeMap<String, Gap>)> = BTreeMap::new();
    for line in log.lines() {
        let field = |name: &str| {
            let rest = line.split_once(&format!(" {name}="))?.1;
            Some(rest.split(' ').next().unwrap_or(rest).trim_matches('"').to_owned())
        };
        let number = |name: &str| field(name)?.parse().ok();
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

/// The committed transactions of a changelog partition: first and last offset of each. Between two of them there is a
/// marker at least, which has an offset of its own.
fn transactions(client: &Client, changelog: &str) -> Vec<(i64, i64)> {
    let Some((topic, number)) = changelog.rsplit_once('-') else {
        return Vec::new();
    };
    let partition = TopicPartition::new(TopicName::from(topic), number.parse().unwrap_or_default());
    let mut runs: Vec<(i64, i64)> = Vec::new();
    outputs::read(client, &[partition], Isolation::ReadCommitted, |_, record| {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == record.offset => *last = record.offset,
            _ => runs.push((record.offset, record.offset)),
        }
    });
    runs
}

impl Evidence {
    fn judge(&mut self, taken: &[Taken], transactions: &BTreeMap<String, Vec<(i64, i64)>>) {
        let none = Vec::new();
        for (at, now) in taken.iter().enumerate() {
            let of_task = |other: &&Taken| other.task == now.task;
            let before: Vec<&Taken> = taken.iter().take(at).filter(of_task).collect();
            let last_own = before.iter().rposition(|other| other.process == now.process);
            self.taken_on += 1;
            self.by_the_last += usize::from(last_own.is_some_and(|own| own + 1 == before.len()));
            for (store, gap) in &now.gaps {
                let runs = transactions.get(&gap.changelog).unwrap_or(&none);
                let all = overlap(runs, gap.from, gap.to);
                let next = last_own.map(|own| before.get(own + 1).copied().unwrap_or(now));
                let Some(next) = next.and_then(|next| next.gaps.get(store)) else {
                    self.restored_from_others += all.records;
                    continue;
                };
                let own = overlap(runs, gap.from, next.to.min(gap.to));
                self.restored_by_the_last += own.records;
                self.restored_by_the_last_max = self.restored_by_the_last_max.max(own.records);
                self.restored_from_others += all.records - own.records;
                if own.transactions > 1 {
                    self.complaints.push(format!(
                        "process {} had the state of task {}, but at {} it restored {} transactions of its own in {}, \
                         {} records from offset {} on, where the log ended at {}",
                        now.process,
                        now.task,
                        now.time,
                        own.transactions,
                        gap.changelog,
                        own.records,
                        gap.from,
                        next.to
                    ));
                }
            }
        }
    }
}

struct Overlap {
    transactions: usize,
    records: u64,
}

/// What of these transactions lies in a range of offsets.
fn overlap(transactions: &[(i64, i64)], from: i64, to: i64) -> Overlap {
    let inside = transactions
        .iter()
        .map(|(first, last)| ((*last + 1).min(to) - (*first).max(from)).max(0) as u64)
        .filter(|records| *records > 0);
    let (mut transactions, mut records) = (0, 0);
    for of_one in inside {
        transactions += 1;
        records += of_one;
    }
    Overlap { transactions, records }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
=== started
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
        let transactions = BTreeMap::from([("c".to_owned(), vec![(0, 3), (5, 8), (10, 13), (15, 18)])]);
        let mut evidence = Evidence::default();
        evidence.judge(taken, &transactions);
        evidence
    }

    #[test]
    fn one_transaction_may_be_missing_and_no_more() {
        let one = judged(&[taken(0, 0, 0), taken(0, 10, 15)]);
        assert_eq!(
            (one.complaints.len(), one.by_the_last, one.restored_by_the_last),
            (0, 1, 4)
        );
        assert_eq!(judged(&[taken(0, 0, 0), taken(0, 4, 15)]).complaints.len(), 1);
    }

    #[test]
    fn what_others_wrote_counts_apart() {
        let moved = judged(&[taken(0, 0, 0), taken(1, 0, 5), taken(0, 5, 15)]);
        assert_eq!(moved.complaints, Vec::<String>::new());
        assert_eq!((moved.restored_by_the_last, moved.restored_from_others), (0, 12));
        assert_eq!(
            judged(&[taken(0, 0, 0), taken(1, 0, 15), taken(0, 0, 20)])
                .complaints
                .len(),
            1
        );
    }
}
