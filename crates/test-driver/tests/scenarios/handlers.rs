//! What handlers are shown, and what becomes of their answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kstreams_test_driver::{ProducedRecord, TopologyTestDriver};
use kstreams_topology::graph::{
    Clock, DeadLetter, ErrorHandlers, Failure, Outcome, Part, ProductionOutcome, ProductionResponse, Response, Stage,
};
use kstreams_topology::processor::{Context, ProcessingContext, Processor};
use kstreams_topology::serde::StringSerde;
use kstreams_topology::{BoxError, Consumed, Produced, Record, Serde, SerdeError, TimestampExtractor, Topology};
use kstreams_wire::{Headers, TopicName};

use crate::support::{Closure, Shown, chain, one_processor};

/// What a handler was shown of the input record: node, place, source key and value, error.
type Seen = Arc<Mutex<Vec<String>>>;

fn shown(failure: &Failure<'_>) -> String {
    let text = |bytes: Option<&[u8]>| bytes.map_or("null".into(), |bytes| String::from_utf8_lossy(bytes).into_owned());
    let context = failure.context;
    let topic = context.topic.as_deref().unwrap_or("none");
    format!(
        "{} {} {topic}-{}@{} t{} {}={}: {}",
        failure.task,
        failure.node,
        context.partition,
        context.offset,
        context.timestamp,
        text(failure.source_key),
        text(failure.source_value),
        failure.error,
    )
}

/// Handlers that note what they are shown, answer like this, and put the record aside.
fn noting(seen: &Seen, outcome: Outcome) -> ErrorHandlers {
    let answer = |seen: Seen| {
        move |failure: &Failure<'_>| {
            seen.lock().expect("nobody panics here").push(shown(failure));
            let response = match outcome {
                Outcome::Resume => Response::resume(),
                Outcome::Fail => Response::fail(),
            };
            response.with_dead_letter(DeadLetter::of(failure, "aside"))
        }
    };
    ErrorHandlers::default()
        .on_deserialization(answer(seen.clone()))
        .on_processing(answer(seen.clone()))
}

fn take(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut *seen.lock().expect("nobody panics here"))
}

/// Forwards, but panics on "x".
fn panicking() -> Closure {
    Closure::new(|cx, record| {
        assert_ne!(record.value, "x", "I will not take x");
        Ok(cx.forward(record)?)
    })
}

fn aside(driver: &TopologyTestDriver) -> usize {
    driver
        .produced()
        .iter()
        .filter(|record| *record.topic == *"aside")
        .count()
}

#[test]
fn a_panic_is_the_error_of_its_record() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(one_processor(panicking())).build()?;
    let mut shown = Shown::new(&mut driver);
    let error = shown.pipe("k", "x", 2).expect_err("x is refused");
    let chain = chain(&error);
    assert_eq!(chain[..2], ["the task failed", "processor P failed on in-0 offset 0"]);
    assert!(chain[2].starts_with("panicked: ") && chain[2].contains("I will not take x"));
    assert_eq!(shown.pipe("k", "ok", 3)?, ["out k=ok@3"]);
    Ok(())
}

#[test]
fn after_a_panic_the_graph_goes_on_where_it_was() -> Result<(), BoxError> {
    let parent = Closure::new(|cx, record| {
        cx.forward(record.clone())?;
        Ok(cx.forward(record.with_value("after".to_owned()))?)
    });
    let (first, second) = (panicking(), Closure::new(|cx, record| Ok(cx.forward(record)?)));
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("P", move || parent.clone(), &["source"])?
        .add_processor("Q", move || first.clone(), &["P"])?
        .add_processor("R", move || second.clone(), &["P"])?
        .add_sink("q", "of-q", Produced::<String, String>::default(), &["Q"])?
        .add_sink("r", "of-r", Produced::<String, String>::default(), &["R"])?;
    let seen = Seen::default();
    let builder = TopologyTestDriver::builder(topology).handlers(noting(&seen, Outcome::Resume));
    let mut driver = builder.build()?;
    let mut shown = Shown::new(&mut driver);
    let fresh: Vec<_> = shown
        .pipe("k", "x", 1)?
        .into_iter()
        .filter(|line| line.starts_with("of"))
        .collect();
    assert_eq!(fresh, ["of-r k=x@1", "of-q k=after@1", "of-r k=after@1"]);
    assert_eq!(shown.pipe("k", "ok", 2)?.len(), 4);
    assert_eq!(driver.dropped(), 1);
    let seen = take(&seen);
    assert!(seen[0].starts_with("0_0 Q in-0@0 t1 k=x: panicked: "), "{seen:?}");
    assert_eq!((seen.len(), aside(&driver)), (1, 1));
    Ok(())
}

#[test]
fn a_failing_handler_still_sends_its_dead_letters() -> Result<(), BoxError> {
    let seen = Seen::default();
    let builder = TopologyTestDriver::builder(one_processor(panicking())).handlers(noting(&seen, Outcome::Fail));
    let mut driver = builder.build()?;
    assert!(Shown::new(&mut driver).pipe("k", "x", 1).is_err());
    driver.advance_wall_clock(Duration::ZERO)?;
    assert_eq!((take(&seen).len(), aside(&driver), driver.dropped()), (1, 1, 0));
    Ok(())
}

#[test]
fn a_record_that_waited_for_its_turn_is_shown_whole() -> Result<(), BoxError> {
    let picky = panicking();
    let mut topology = Topology::new();
    let consumed = Consumed::<String, String>::default().timestamp(TimestampExtractor::WallClock);
    topology
        .add_source("source", "in", consumed)?
        .add_processor("P", move || picky.clone(), &["source"])?;
    let seen = Seen::default();
    let builder = TopologyTestDriver::builder(topology)
        .start_at(77)
        .handlers(noting(&seen, Outcome::Resume));
    Shown::new(&mut builder.build()?).pipe("k", "x", 1)?;
    let seen = take(&seen);
    assert!(seen[0].starts_with("0_0 P in-0@0 t77 k=x: "), "{seen:?}");
    Ok(())
}

#[test]
fn a_punctuation_has_no_record() -> Result<(), BoxError> {
    let seen = Seen::default();
    let topology = one_processor_of(|| Moody { call: "punctuate" })?;
    let mut driver = TopologyTestDriver::builder(topology)
        .handlers(noting(&seen, Outcome::Resume))
        .build()?;
    driver.advance_wall_clock(Duration::from_millis(10))?;
    driver.advance_wall_clock(Duration::from_millis(10))?;
    let expected = |at: i64| format!("0_0 P none--1@-1 t{at} null=null: panicked: moody in punctuate");
    assert_eq!(take(&seen), [expected(10), expected(20)]);
    assert_eq!((driver.dropped(), aside(&driver)), (2, 2));
    Ok(())
}

#[test]
fn nobody_is_asked_about_init_and_close() -> Result<(), BoxError> {
    let seen = Seen::default();
    let handlers = || noting(&seen, Outcome::Resume);
    let builder = TopologyTestDriver::builder(one_processor_of(|| Moody { call: "init" })?);
    let error = builder
        .handlers(handlers())
        .build()
        .err()
        .expect("it cannot be initialised");
    let said = chain(&error);
    assert!(said.contains(&"processor P failed in init".to_owned()), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("panicked: moody in init"));
    let builder = TopologyTestDriver::builder(one_processor_of(|| Moody { call: "close" })?);
    let error = builder
        .handlers(handlers())
        .build()?
        .close()
        .expect_err("it cannot be closed");
    assert!(chain(&error).contains(&"processor P failed in close".to_owned()));
    assert!(take(&seen).is_empty());
    Ok(())
}

#[test]
fn a_handler_that_panics_ends_the_task_and_the_cause_is_kept() -> Result<(), BoxError> {
    let handlers = ErrorHandlers::default().on_processing(|_| panic!("I cannot decide"));
    let mut driver = TopologyTestDriver::builder(one_processor(panicking()))
        .handlers(handlers)
        .build()?;
    let error = Shown::new(&mut driver).pipe("k", "x", 1).expect_err("nobody decides");
    let chain = chain(&error);
    let said = "the processing handler, asked about in-0 offset 0 in node P, panicked: I cannot decide";
    assert_eq!(chain[1], said);
    assert!(chain[2].contains("I will not take x"), "{chain:?}");
    Ok(())
}

#[test]
fn undecodable_keys_and_values() -> Result<(), BoxError> {
    for (outcome, dropped) in [(Outcome::Resume, 3), (Outcome::Fail, 0)] {
        let seen = Seen::default();
        let mut topology = Topology::new();
        topology
            .add_source("source", "in", Consumed::<String, String>::with(Picky, Picky))?
            .add_sink("sink", "out", Produced::<String, String>::default(), &["source"])?;
        let builder = TopologyTestDriver::builder(topology).handlers(noting(&seen, outcome));
        let mut driver = builder.build()?;
        for (key, value) in [("bad", "v"), ("k", "bad"), ("k", "worse"), ("k", "v")] {
            let piped = driver.pipe_raw(raw(key, value));
            assert_eq!(piped.is_err(), value.len() + key.len() > 2 && outcome == Outcome::Fail);
        }
        let refused = "could not convert text: it is bad";
        let gave_up = "could not convert a record: the serde gave up";
        let expected = [
            format!("0_0 source in-0@0 t1 bad=v: {refused}"),
            format!("0_0 source in-0@1 t1 k=bad: {refused}"),
            format!("0_0 source in-0@2 t1 k=worse: {gave_up}"),
        ];
        assert_eq!(take(&seen), expected);
        let out = driver
            .produced()
            .iter()
            .filter(|record| *record.topic == *"out")
            .count();
        assert_eq!((driver.dropped(), aside(&driver), out), (dropped, 3, 1));
    }
    Ok(())
}

#[test]
fn a_timestamp_extractor_that_panics_ends_the_task_whatever_the_handlers_say() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    let extractor = TimestampExtractor::Custom(Arc::new(|record: &Record<String, String>, _| {
        assert_ne!(record.value, "x", "x has no time");
        -1
    }));
    topology
        .add_source(
            "source",
            "in",
            Consumed::<String, String>::default().timestamp(extractor),
        )?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["source"])?;
    let seen = Seen::default();
    let mut driver = TopologyTestDriver::builder(topology)
        .handlers(noting(&seen, Outcome::Resume))
        .build()?;
    let mut shown = Shown::new(&mut driver);
    let error = shown.pipe("k", "x", 1).expect_err("it has no time");
    assert_eq!(chain(&error)[1], "processor source failed on in-0 offset 0");
    assert!(shown.pipe("k", "negative", 1)?.is_empty());
    assert_eq!((driver.dropped(), take(&seen).len()), (1, 0));
    Ok(())
}

#[test]
fn sinks_ask_about_what_they_cannot_serialize() -> Result<(), BoxError> {
    for (outcome, fails) in [
        (ProductionOutcome::Resume, false),
        (ProductionOutcome::Fail, true),
        (ProductionOutcome::Retry, true),
    ] {
        let seen = Seen::default();
        let noted = seen.clone();
        let handlers = ErrorHandlers::log_and_continue().on_production(move |failure| {
            let key = failure.key.map(String::from_utf8_lossy);
            let line = format!(
                "{} {key:?} {:?} for {}",
                shown(&failure.origin),
                failure.stage,
                failure.topic
            );
            noted.lock().expect("nobody panics here").push(line);
            assert!(!failure.retriable && failure.timestamp == Some(1));
            let response = ProductionResponse {
                outcome,
                dead_letters: Vec::new(),
            };
            response.with_dead_letter(DeadLetter::of(&failure.origin, "aside"))
        });
        let mut topology = Topology::new();
        let relay = Closure::new(|cx, record| Ok(cx.forward(record)?));
        topology
            .add_source("source", "in", Consumed::<String, String>::default())?
            .add_processor("P", move || relay.clone(), &["source"])?
            .add_sink("sink", "out", Produced::<String, String>::with(Picky, Picky), &["P"])?;
        let mut driver = TopologyTestDriver::builder(topology).handlers(handlers).build()?;
        for (key, value) in [("bad", "v"), ("k", "bad"), ("k", "worse")] {
            let piped = driver.pipe_raw(raw(key, value));
            let error = piped.err().map(|error| chain(&error)[1].clone());
            let part = if key == "bad" { "key" } else { "value" };
            let offset = if key == "bad" {
                0
            } else if value == "bad" {
                1
            } else {
                2
            };
            let said = format!(
                "sink sink could not serialize the {part} of a record for topic out, made of in-0 offset {offset}"
            );
            assert_eq!(error, fails.then_some(said));
        }
        driver.advance_wall_clock(Duration::ZERO)?;
        let (key, value) = (Stage::Serialization(Part::Key), Stage::Serialization(Part::Value));
        let expected = [
            format!("0_0 sink in-0@0 t1 bad=v: could not convert text: it is bad None {key:?} for out"),
            format!("0_0 sink in-0@1 t1 k=bad: could not convert text: it is bad Some(\"k\") {value:?} for out"),
            format!(
                "0_0 sink in-0@2 t1 k=worse: could not convert a record: the serde gave up Some(\"k\") {value:?} for out"
            ),
        ];
        assert_eq!(take(&seen), expected);
        assert_eq!((driver.dropped(), aside(&driver)), (if fails { 0 } else { 3 }, 3));
    }
    Ok(())
}

fn raw(key: &'static str, value: &'static str) -> ProducedRecord {
    ProducedRecord {
        topic: TopicName::new("in"),
        partition: None,
        key: Some(key.into()),
        value: Some(value.into()),
        timestamp: Some(1),
        headers: Headers::new(),
    }
}

/// Text, but not "bad"; "worse" it panics on.
#[derive(Clone, Copy)]
struct Picky;

impl Picky {
    fn look(text: &str) -> Result<(), SerdeError> {
        assert_ne!(text, "worse", "this is too much");
        match text {
            "bad" => Err(SerdeError::new("text: it is bad")),
            _ => Ok(()),
        }
    }
}

impl Serde<String> for Picky {
    fn serialize(&self, topic: &str, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        Self::look(value)?;
        StringSerde.serialize(topic, value, out)
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<String, SerdeError> {
        let text = StringSerde.deserialize(topic, bytes)?;
        Self::look(&text)?;
        Ok(text)
    }
}

/// Panics in one of its calls.
struct Moody {
    call: &'static str,
}

impl Moody {
    fn may(&self, call: &str) -> Result<(), BoxError> {
        assert!(self.call != call, "moody in {call}");
        Ok(())
    }
}

impl Processor for Moody {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
        cx.schedule(Duration::from_millis(10), Clock::WallClock);
        self.may("init")
    }

    fn process(&mut self, _: &mut Context<'_, Self>, _: Record<String, String>) -> Result<(), BoxError> {
        self.may("process")
    }

    fn punctuate(
        &mut self,
        _: &mut Context<'_, Self>,
        _: kstreams_topology::graph::TimerId,
        _: i64,
    ) -> Result<(), BoxError> {
        self.may("punctuate")
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.may("close")
    }
}

fn one_processor_of(new: impl Fn() -> Moody + Send + Sync + 'static) -> Result<Topology, BoxError> {
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("P", new, &["source"])?;
    Ok(topology)
}
