//! Processors made of closures, and a log that they write.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kstreams_test_driver::{Error, TopologyTestDriver};
use kstreams_topology::graph::{Clock, TimerId};
use kstreams_topology::processor::{Context, ProcessingContext, Processor};
use kstreams_topology::{BoxError, Consumed, Produced, Record, Topology};

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.0.lock().expect("no test panics while it notes").push(line.into());
    }

    /// What was noted since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no test panics while it notes"))
    }
}

type Process = Arc<dyn Fn(&mut Context<'_, Closure>, Record<String, String>) -> Result<(), BoxError> + Send + Sync>;

/// A processor of strings made of a closure, with a schedule if need be. Its timer forwards `(p, now)`; the record `c`
/// cancels it.
#[derive(Clone)]
pub(crate) struct Closure {
    process: Process,
    schedule: Option<(Option<i64>, Duration, Clock)>,
    timer: Option<TimerId>,
    log: Log,
}

impl Closure {
    pub(crate) fn new<F>(process: F) -> Self
    where
        F: Fn(&mut Context<'_, Closure>, Record<String, String>) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        Self {
            process: Arc::new(process),
            schedule: None,
            timer: None,
            log: Log::default(),
        }
    }

    pub(crate) fn every(mut self, start: Option<i64>, ms: u64, clock: Clock) -> Self {
        self.schedule = Some((start, Duration::from_millis(ms), clock));
        self
    }

    pub(crate) fn logging(mut self, log: &Log) -> Self {
        self.log = log.clone();
        self
    }
}

impl Processor for Closure {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
        self.log.note("init");
        self.timer = match self.schedule {
            Some((Some(start), every, clock)) => Some(cx.schedule_at(start, every, clock)),
            Some((None, every, clock)) => Some(cx.schedule(every, clock)),
            None => None,
        };
        Ok(())
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        if let (Some(timer), "c") = (self.timer, record.value.as_str()) {
            cx.cancel(timer);
        }
        (self.process)(cx, record)
    }

    fn punctuate(&mut self, cx: &mut Context<'_, Self>, _: TimerId, now: i64) -> Result<(), BoxError> {
        let from = cx.metadata();
        let topic = from.topic.map_or("null", |topic| topic.as_str());
        let line = format!("punct meta {topic}/{}/{} st:{now}", from.partition, from.offset);
        self.log.note(format!("{line} stream={}", cx.stream_time()));
        Ok(cx.forward(Record::new("p".to_owned(), now.to_string(), now))?)
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.log.note("close");
        Ok(())
    }
}

/// in -> the processor -> out, both of strings.
pub(crate) fn one_processor(processor: Closure) -> Topology {
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, String>::default())
        .and_then(|topology| topology.add_processor("P", move || processor.clone(), &["source"]))
        .and_then(|topology| topology.add_sink("sink", "out", Produced::<String, String>::default(), &["P"]))
        .expect("the topology is valid");
    topology
}

/// What came out, as `topic key=value@timestamp`.
pub(crate) struct Shown<'a> {
    pub(crate) driver: &'a mut TopologyTestDriver,
    seen: usize,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(driver: &'a mut TopologyTestDriver) -> Self {
        Self { driver, seen: 0 }
    }

    pub(crate) fn pipe(&mut self, key: &str, value: &str, timestamp: i64) -> Result<Vec<String>, Error> {
        let input = self.driver.input::<String, String>("in");
        let record = kstreams_test_driver::record(key, value).at(timestamp);
        self.driver.pipe(&input, record)?;
        Ok(self.fresh())
    }

    pub(crate) fn advance(&mut self, ms: u64) -> Result<Vec<String>, Error> {
        self.driver.advance_wall_clock(Duration::from_millis(ms))?;
        Ok(self.fresh())
    }

    /// What came out since the last look, changelogs left aside.
    pub(crate) fn fresh(&mut self) -> Vec<String> {
        let text = |bytes: &Option<bytes::Bytes>| match bytes {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => "null".to_owned(),
        };
        let produced = self.driver.produced();
        let fresh = produced
            .iter()
            .skip(self.seen)
            .filter(|record| !record.topic.ends_with("-changelog"));
        let lines = fresh.map(|record| {
            let timestamp = record
                .timestamp
                .map_or("now".to_owned(), |timestamp| timestamp.to_string());
            format!(
                "{} {}={}@{timestamp}",
                record.topic,
                text(&record.key),
                text(&record.value)
            )
        });
        let lines = lines.collect();
        self.seen = produced.len();
        lines
    }
}

/// The error and its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect()
}
