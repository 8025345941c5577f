//! The smallest timestamp goes first, as far as is known, and empty partitions are waited for as configured.

use kstreams_task::{Admission, TaskConfig};

use crate::support::{batch, partition, running};

const NEVER_WAIT: TaskConfig = TaskConfig {
    buffered_records_max: 1000,
    idle_ms_max: -1,
};

fn wait(idle_ms_max: i64) -> TaskConfig {
    TaskConfig {
        idle_ms_max,
        ..NEVER_WAIT
    }
}

type Shown = Result<(), kstreams_task::Error>;

#[test]
fn records_of_all_partitions_are_merged_by_timestamp() -> Shown {
    let (mut task, mut sent) = running(&["a", "b"], NEVER_WAIT);
    task.add_records(&partition("b"), batch(0, &[("b1", 2), ("b2", 4)]), 2)?;
    task.add_records(&partition("a"), batch(0, &[("a1", 1), ("a2", 3), ("a3", 5)]), 3)?;
    assert_eq!(task.buffered(), 5);
    assert_eq!(task.process(usize::MAX, 0, &mut sent)?, 5);
    assert_eq!(
        sent.take(),
        ["out a1@1", "out b1@2", "out a2@3", "out b2@4", "out a3@5"]
    );
    assert_eq!((task.stream_time(), task.counters().processed), (5, 5));
    Ok(())
}

#[test]
fn records_of_one_partition_keep_their_order() -> Shown {
    let (mut task, mut sent) = running(&["a"], NEVER_WAIT);
    task.add_records(&partition("a"), batch(0, &[("late", 9), ("early", 1)]), 2)?;
    task.add_records(&partition("a"), batch(2, &[("next", 5)]), 3)?;
    task.process(2, 0, &mut sent)?;
    assert_eq!(sent.take(), ["out late@9", "out early@1"]);
    task.process(2, 0, &mut sent)?;
    assert_eq!(sent.take(), ["out next@5"]);
    assert_eq!(task.stream_time(), 9);
    Ok(())
}

#[test]
fn an_empty_partition_is_not_waited_for_if_so_wished() -> Shown {
    let (mut task, mut sent) = running(&["a", "b"], NEVER_WAIT);
    task.add_records(&partition("a"), batch(0, &[("a1", 1)]), 1)?;
    assert!(task.is_processable(0));
    assert_eq!(task.process(9, 0, &mut sent)?, 1);
    Ok(())
}

#[test]
fn an_empty_partition_is_waited_for_until_the_broker_is_known_to_have_nothing() -> Shown {
    let (mut task, mut sent) = running(&["a", "b"], wait(0));
    task.add_records(&partition("a"), batch(0, &[("a1", 1)]), 1)?;
    assert!(!task.is_processable(1_000_000), "the lag of b is unknown");
    task.set_lag(&partition("b"), Some(5))?;
    assert!(!task.is_processable(2_000_000), "the broker has records of b");
    task.set_lag(&partition("b"), Some(0))?;
    assert!(task.is_processable(2_000_001));
    assert_eq!(task.process(9, 2_000_001, &mut sent)?, 1);
    Ok(())
}

#[test]
fn a_partition_without_anything_is_waited_for_as_long_as_configured() -> Shown {
    let (mut task, _) = running(&["a", "b"], wait(10));
    task.add_records(&partition("a"), batch(0, &[("a1", 1)]), 1)?;
    task.set_lag(&partition("b"), Some(0))?;
    assert!(!task.is_processable(100));
    assert!(!task.is_processable(109));
    // That something came up on the broker begins the wait anew.
    task.set_lag(&partition("b"), Some(1))?;
    assert!(!task.is_processable(110));
    task.set_lag(&partition("b"), Some(0))?;
    assert!(!task.is_processable(111));
    assert!(task.is_processable(121));
    Ok(())
}

#[test]
fn empty_partitions_are_waited_for_one_after_the_other() -> Shown {
    let (mut task, _) = running(&["a", "b", "c"], wait(10));
    task.add_records(&partition("c"), batch(0, &[("c1", 1)]), 1)?;
    task.set_lag(&partition("a"), Some(0))?;
    task.set_lag(&partition("b"), Some(0))?;
    for (now, ready) in [(100, false), (110, false), (119, false), (120, true)] {
        assert_eq!(task.is_processable(now), ready, "at {now}");
    }
    Ok(())
}

#[test]
fn a_full_partition_asks_for_a_pause_and_for_its_end() -> Shown {
    let config = TaskConfig {
        buffered_records_max: 2,
        ..NEVER_WAIT
    };
    let (mut task, mut sent) = running(&["a"], config);
    let a = partition("a");
    assert_eq!(
        task.add_records(&a, batch(0, &[("1", 1), ("2", 2)]), 2)?,
        Admission::Open
    );
    assert_eq!(
        task.add_records(&a, batch(2, &[("3", 3), ("4", 4)]), 4)?,
        Admission::Full
    );
    task.process(1, 0, &mut sent)?;
    assert!(task.take_resumable().is_empty());
    task.process(1, 0, &mut sent)?;
    assert_eq!(task.take_resumable(), [a]);
    assert!(task.take_resumable().is_empty());
    Ok(())
}
