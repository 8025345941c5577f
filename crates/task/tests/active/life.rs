//! A task is created, restores, runs, is suspended, and is closed, in no other order.

use kstreams_store::Storage;
use kstreams_task::{Close, Error, TaskConfig, TaskState};
use kstreams_topology::graph::Clock;
use kstreams_wire::TopicPartition;

use crate::support::{Sent, batch, copying, created, partition, run, running};

type Shown = Result<(), Error>;

#[test]
fn steps_that_kafka_does_not_have_are_refused() -> Shown {
    let mut sent = Sent::default();
    let mut task = created(&copying(&["a"]), TaskConfig::default(), &Storage::in_memory());
    assert_eq!(task.state(), TaskState::Created);
    let early = task.complete_restoration(&[], 0, &mut sent);
    assert_eq!(
        early.expect_err("it does not restore").to_string(),
        "a task that is Created cannot run"
    );
    task.start_restoring()?;
    assert!(task.start_restoring().is_err());
    task.complete_restoration(&[], 0, &mut sent)?;
    assert_eq!(task.state(), TaskState::Running);
    assert!(task.start_restoring().is_err());
    task.suspend()?;
    task.suspend()?;
    task.close(Close::Clean)
}

#[test]
fn a_running_task_is_suspended_before_it_is_closed() {
    let (task, _) = running(&["a"], TaskConfig::default());
    assert!(matches!(
        task.close(Close::Dirty),
        Err(Error::Lifecycle {
            call: "be closed",
            state: TaskState::Running
        })
    ));
}

#[test]
fn only_a_running_task_processes() -> Shown {
    let mut sent = Sent::default();
    let mut task = created(&copying(&["a"]), TaskConfig::default(), &Storage::in_memory());
    task.add_records(&partition("a"), batch(0, &[("1", 1)]), 1)?;
    assert!(!task.is_processable(0));
    assert_eq!(task.process(9, 0, &mut sent)?, 0);
    assert_eq!(task.punctuate(Clock::WallClock, 9, &mut sent)?, 0);
    Ok(())
}

#[test]
fn a_suspended_task_forgets_what_is_buffered_and_runs_again_from_what_is_fetched() -> Shown {
    let (mut task, mut sent) = running(&["a"], TaskConfig::default());
    task.add_records(&partition("a"), batch(0, &[("1", 1), ("2", 2)]), 2)?;
    task.process(1, 0, &mut sent)?;
    task.suspend()?;
    assert_eq!((task.buffered(), task.stream_time()), (0, -1));
    assert!(task.committable().is_empty());
    run(&mut task, &mut sent);
    task.add_records(&partition("a"), batch(1, &[("2", 2)]), 2)?;
    task.process(9, 0, &mut sent)?;
    assert_eq!(sent.take(), ["out 1@1", "out 2@2"]);
    Ok(())
}

#[test]
fn foreign_partitions_are_refused_by_name() {
    let (mut task, _) = running(&["a"], TaskConfig::default());
    let foreign = TopicPartition::new("b", 0);
    let refused = task
        .add_records(&foreign, Vec::new(), 0)
        .expect_err("it is not an input");
    assert_eq!(refused.to_string(), "no source of the task reads b-0");
}
