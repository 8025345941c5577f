//! Offsets and times are committed so that nothing is skipped and nothing is forgotten.

use std::collections::BTreeMap;

use kstreams_store::{ChangelogRecord, Storage};
use kstreams_task::{Committable, Input, OffsetMetadata, TaskConfig};
use kstreams_topology::processor::{Context, Processor};
use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
use kstreams_topology::{BoxError, Consumed, Record, Topology};
use kstreams_wire::TopicPartition;

use crate::support::{Sent, batch, copying, created, partition, run, running};

type Shown = Result<(), BoxError>;

fn committable(offset: i64, time: i64) -> Committable {
    Committable {
        partition: partition("a"),
        offset,
        metadata: OffsetMetadata::at(time).encode(),
    }
}

#[test]
fn the_offset_behind_the_last_record_taken_is_committed_with_the_time() -> Shown {
    let (mut task, mut sent) = running(&["a"], TaskConfig::default());
    assert!(!task.commit_needed());
    assert!(task.committable().is_empty());
    task.add_records(&partition("a"), batch(100, &[("1", 7), ("2", 3), ("3", 9)]), 103)?;
    assert!(!task.commit_needed(), "nothing was processed yet");
    task.process(2, 0, &mut sent)?;
    assert!(task.commit_needed());
    assert_eq!(task.committable(), [committable(102, 7)]);
    task.prepare_commit(&mut sent)?;
    task.post_commit(|_| None)?;
    assert!(!task.commit_needed());
    task.process(2, 0, &mut sent)?;
    assert_eq!(task.committable(), [committable(103, 9)]);
    Ok(())
}

#[test]
fn what_carries_no_records_is_committed_too() -> Shown {
    let (mut task, mut sent) = running(&["a"], TaskConfig::default());
    task.add_records(&partition("a"), batch(100, &[("1", 7)]), 102)?;
    task.process(9, 0, &mut sent)?;
    // Offset 101 was a marker.
    assert_eq!(task.committable(), [committable(102, 7)]);
    task.post_commit(|_| None)?;
    assert!(!task.commit_needed());
    task.add_records(&partition("a"), Vec::new(), 105)?;
    assert!(task.commit_needed());
    assert_eq!(task.committable(), [committable(105, 7)]);
    Ok(())
}

#[test]
fn a_batch_of_undecodable_records_is_committed_past() -> Shown {
    let mut topology = Topology::new();
    topology.add_source("source", "a", Consumed::<String, i64>::default())?;
    let mut task = created(&topology, TaskConfig::default(), &Storage::in_memory());
    let mut sent = Sent::default();
    run(&mut task, &mut sent);
    task.add_records(&partition("a"), batch(0, &[("no", 1), ("number", 2)]), 2)?;
    assert_eq!(task.process(9, 0, &mut sent)?, 2);
    assert_eq!(task.counters().dropped, 2);
    assert_eq!(task.committable(), [committable(2, -1)]);
    Ok(())
}

#[test]
fn committed_times_are_taken_up_again() -> Shown {
    let mut task = created(&copying(&["a", "b"]), TaskConfig::default(), &Storage::in_memory());
    let mut sent = Sent::default();
    let committed = |topic: &str, time| Input {
        partition: partition(topic),
        offset: Some(5),
        metadata: OffsetMetadata::at(time).encode(),
    };
    task.start_restoring()?;
    task.complete_restoration(&[committed("a", 30), committed("b", 40)], 0, &mut sent)?;
    assert_eq!(task.stream_time(), 40);
    assert!(!task.commit_needed());
    task.add_records(&partition("a"), batch(5, &[("1", 7)]), 6)?;
    task.add_records(&partition("b"), Vec::new(), 5)?;
    task.set_lag(&partition("b"), Some(0))?;
    task.process(1, 0, &mut sent)?;
    let metadata: Vec<i64> = task
        .committable()
        .iter()
        .map(|committable| OffsetMetadata::decode(&committable.metadata).partition_time)
        .collect();
    assert_eq!(metadata, [30], "nothing was read of the other one");
    Ok(())
}

#[test]
fn what_processors_remember_is_the_most_that_any_input_was_committed_with() -> Shown {
    let mut task = created(&copying(&["a", "b"]), TaskConfig::default(), &Storage::in_memory());
    let mut sent = Sent::default();
    let committed = |topic: &str, closed: &[(&str, i64)]| Input {
        partition: partition(topic),
        offset: Some(5),
        metadata: OffsetMetadata {
            processors: closed.iter().map(|(name, time)| ((*name).to_owned(), *time)).collect(),
            ..OffsetMetadata::at(1)
        }
        .encode(),
    };
    let inputs = [
        committed("a", &[("windows", 900), ("sessions", 10)]),
        committed("b", &[("windows", 700), ("sessions", 20)]),
    ];
    task.start_restoring()?;
    task.complete_restoration(&inputs, 0, &mut sent)?;
    let expected = BTreeMap::from([("sessions".to_owned(), 20), ("windows".to_owned(), 900)]);
    assert_eq!(*task.graph().processor_metadata(), expected);
    task.add_records(&partition("a"), batch(5, &[("1", 7)]), 6)?;
    task.add_records(&partition("b"), Vec::new(), 5)?;
    task.set_lag(&partition("b"), Some(0))?;
    task.process(1, 0, &mut sent)?;
    let again: Vec<_> = task
        .committable()
        .into_iter()
        .map(|c| OffsetMetadata::decode(&c.metadata).processors)
        .collect();
    assert_eq!(again, [expected], "an input carries all of it");
    Ok(())
}

struct Last(StoreHandle<KeyValueStore<String, String>>);

impl Processor for Last {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        cx.request_commit();
        Ok(cx.store(self.0).put(&record.key, &record.value)?)
    }
}

fn with_store() -> Result<Topology, BoxError> {
    let mut topology = Topology::new();
    let store = topology.add_store(Stores::in_memory("last").key_value())?;
    topology
        .add_source("source", "a", Consumed::<String, String>::default())?
        .add_processor("last", move || Last(store), &["source"])?;
    Ok(topology)
}

#[test]
fn a_store_is_committed_with_the_offset_that_its_changelog_acknowledged() -> Shown {
    let mut task = created(&with_store()?, TaskConfig::default(), &Storage::in_memory());
    let mut sent = Sent::default();
    run(&mut task, &mut sent);
    task.add_records(&partition("a"), batch(0, &[("x", 4), ("y", 5)]), 2)?;
    task.process(9, 0, &mut sent)?;
    assert_eq!(sent.take(), ["app-last-changelog x@4", "app-last-changelog y@5"]);
    assert!(task.commit_requested());
    assert!(task.uncommitted_bytes() > 0);
    task.prepare_commit(&mut sent)?;
    let mut asked = Vec::new();
    task.post_commit(|changelog| {
        asked.push(changelog.to_string());
        Some(41)
    })?;
    assert_eq!(asked, ["app-last-changelog-1"]);
    assert!(!task.commit_requested());
    let offsets: Vec<Option<i64>> = task.changelogs().iter().map(|state| state.offset).collect();
    assert_eq!(offsets, [Some(41)]);
    Ok(())
}

#[test]
fn a_changelog_is_applied_before_the_task_runs() -> Shown {
    let topology = with_store()?;
    let mut task = created(&topology, TaskConfig::default(), &Storage::in_memory());
    let mut sent = Sent::default();
    task.start_restoring()?;
    let changelog = TopicPartition::new("app-last-changelog", 1);
    let records = [
        (&b"k"[..], Some(&b"old"[..]), 3),
        (b"gone", Some(b"x"), 4),
        (b"gone", None, 5),
    ];
    assert_eq!(task.restore(&changelog, records, 12)?, 3);
    assert_eq!(task.changelogs()[0].offset, Some(12));
    assert!(
        task.restore(&partition("elsewhere"), [] as [ChangelogRecord<'_>; 0], 0)
            .is_err()
    );
    task.complete_restoration(&[], 0, &mut sent)?;
    assert_eq!(task.counters().restored, 3);

    let (front, state, write) = task.graph().store_slot("last", &mut sent).expect("the task has it");
    let front = front.downcast_mut().expect("it is of that kind");
    let mut view = <KeyValueStore<String, String> as kstreams_topology::stores::StoreKind>::view(front, state, write);
    assert_eq!(view.all()?.collect_owned()?, [("k".to_owned(), "old".to_owned())]);
    Ok(())
}

#[test]
fn an_acknowledgement_of_long_ago_takes_nothing_back() -> Shown {
    let mut task = created(&with_store()?, TaskConfig::default(), &Storage::in_memory());
    let mut sent = Sent::default();
    task.start_restoring()?;
    // Others wrote since this thread's producer last did.
    task.restore(
        &TopicPartition::new("app-last-changelog", 1),
        [(&b"k"[..], Some(&b"v"[..]), 50)],
        50,
    )?;
    task.complete_restoration(&[], 0, &mut sent)?;
    task.post_commit(|_| Some(10))?;
    assert_eq!(task.changelogs()[0].offset, Some(50));
    Ok(())
}

#[test]
fn a_table_restored_from_its_source_is_committed_up_to_what_was_read() -> Shown {
    let mut topology = with_store()?;
    topology.use_source_topic_as_changelog("last", "a")?;
    let mut task = created(&topology, TaskConfig::default(), &Storage::in_memory());
    let mut sent = Sent::default();
    run(&mut task, &mut sent);
    task.add_records(&partition("a"), batch(7, &[("x", 4), ("y", 5)]), 9)?;
    task.process(1, 0, &mut sent)?;
    assert!(sent.take().is_empty(), "it is never written to");
    task.post_commit(|_| unreachable!("it has no changelog of its own"))?;
    assert_eq!(task.changelogs()[0].offset, Some(7));
    Ok(())
}
