//! Timers follow stream time or the wall clock, fire once however late, and keep their grid.

use kstreams_test_driver::TopologyTestDriver;
use kstreams_topology::BoxError;
use kstreams_topology::graph::Clock;

use crate::support::{Closure, Log, Shown, one_processor};

const NOTHING: [&str; 0] = [];

fn silent() -> Closure {
    Closure::new(|_, _| Ok(()))
}

#[test]
fn punctuate_stream_time() -> Result<(), BoxError> {
    let processor = silent().every(None, 10, Clock::StreamTime);
    let mut driver = TopologyTestDriver::builder(one_processor(processor)).build()?;
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.pipe("k", "v", 3)?, ["out p=3@3"]);
    assert_eq!(shown.pipe("k", "v", 9)?, NOTHING);
    assert_eq!(shown.pipe("k", "v", 10)?, ["out p=10@10"]);
    assert_eq!(shown.pipe("k", "v", 45)?, ["out p=45@45"]);
    assert_eq!(shown.pipe("k", "v", 12)?, NOTHING);
    assert_eq!(shown.pipe("k", "v", 50)?, ["out p=50@50"]);
    assert_eq!(shown.advance(1000)?, NOTHING);
    Ok(())
}

#[test]
fn punctuate_wall_clock() -> Result<(), BoxError> {
    let processor = silent().every(None, 10, Clock::WallClock);
    let mut driver = TopologyTestDriver::builder(one_processor(processor)).build()?;
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.advance(9)?, NOTHING);
    assert_eq!(shown.advance(1)?, ["out p=10@10"]);
    assert_eq!(shown.advance(35)?, ["out p=45@45"]);
    assert_eq!(shown.advance(5)?, ["out p=50@50"]);
    assert_eq!(shown.pipe("k", "v", 1000)?, NOTHING);
    assert_eq!(shown.advance(10)?, ["out p=60@60"]);
    assert_eq!(shown.pipe("k", "c", 1)?, NOTHING);
    assert_eq!(shown.advance(100)?, NOTHING);
    Ok(())
}

#[test]
fn v43_schedule_start() -> Result<(), BoxError> {
    let processor = silent().every(Some(25), 10, Clock::StreamTime);
    let mut driver = TopologyTestDriver::builder(one_processor(processor)).build()?;
    let mut shown = Shown::new(&mut driver);
    let fired = [
        (3, ""),
        (24, ""),
        (26, "26"),
        (34, ""),
        (35, "35"),
        (80, "80"),
        (84, ""),
        (85, "85"),
    ];
    for (timestamp, now) in fired {
        let expected: Vec<String> = (!now.is_empty())
            .then(|| format!("out p={now}@{now}"))
            .into_iter()
            .collect();
        assert_eq!(shown.pipe("k", "v", timestamp)?, expected, "at {timestamp}");
    }
    Ok(())
}

#[test]
fn v43_schedule_start_wall() -> Result<(), BoxError> {
    let processor = silent().every(Some(25), 10, Clock::WallClock);
    let mut driver = TopologyTestDriver::builder(one_processor(processor)).build()?;
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.advance(10)?, NOTHING);
    assert_eq!(shown.advance(14)?, NOTHING);
    assert_eq!(shown.advance(1)?, ["out p=25@25"]);
    assert_eq!(shown.advance(9)?, NOTHING);
    assert_eq!(shown.advance(1)?, ["out p=35@35"]);
    Ok(())
}

#[test]
fn punctuate_forward_timestamp() -> Result<(), BoxError> {
    let log = Log::default();
    let notes = log.clone();
    let processor = Closure::new(move |cx, _| {
        let from = cx.metadata();
        let topic = from.topic.map_or("null", |topic| topic.as_str());
        let place = format!("meta {topic}/{}/{}", from.partition, from.offset);
        let task = format!("task {} app {}", cx.task_id(), cx.application_id());
        notes.note(format!(
            "{place} {task} stream {} wall {}",
            cx.stream_time(),
            cx.wall_clock()
        ));
        Ok(())
    });
    let processor = processor.every(None, 10, Clock::WallClock).logging(&log);
    let mut driver = TopologyTestDriver::builder(one_processor(processor))
        .application_id("app")
        .build()?;
    let mut shown = Shown::new(&mut driver);
    shown.pipe("k", "v", 7)?;
    shown.pipe("k", "v", 3)?;
    shown.advance(10)?;
    assert_eq!(
        log.take(),
        [
            "init",
            "meta in/0/0 task 0_0 app app stream 7 wall 0",
            "meta in/0/1 task 0_0 app app stream 7 wall 0",
            "punct meta null/-1/-1 st:10 stream=7",
        ]
    );
    Ok(())
}
