//! Runs one case and tells everything that can be seen of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kstreams_dsl::{BuildOptions, Optimization};
use kstreams_store::Storage;
use kstreams_test_driver::{Error, ProducedRecord, TopologyTestDriver};
use kstreams_topology::Topology;
use kstreams_topology::graph::ErrorHandlers;
use kstreams_wire::{Headers, TopicName};
use serde_json::{Value as Json, json};

use crate::case::{Case, CaseError, Input};
use crate::dump::{Seen, stores};
use crate::engine::Engine;
use crate::limit::GivenUp;
use crate::notes::Notes;
use crate::outputs::outputs;
use crate::program::{self, TopicTypes};

/// The result of a case, as the oracle writes it.
pub fn run(line: &str, engine: Engine) -> Json {
    let case: Case = match serde_json::from_str(line) {
        Ok(case) => case,
        Err(error) => return json!({"name": null, "error": failure("case", -1, "", &error)}),
    };
    let name = case.name.clone();
    catch_unwind(AssertUnwindSafe(|| Run::new(case, engine).finish())).unwrap_or_else(|panic| {
        if panic.is::<GivenUp>() {
            return json!({"name": name, "error": {"phase": "limit"}});
        }
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("panicked");
        json!({"name": name, "error": {"phase": "panic", "message": message}})
    })
}

struct Run {
    case: Case,
    engine: Engine,
    notes: Arc<Notes>,
    /// How many records had come out at the end of each step.
    ends: Vec<usize>,
    result: Json,
}

const TOPOLOGY_EXCEPTION: &str = "org.apache.kafka.streams.errors.TopologyException";
const STREAMS_EXCEPTION: &str = "org.apache.kafka.streams.errors.StreamsException";

impl Run {
    fn new(case: Case, engine: Engine) -> Self {
        let result = json!({"name": case.name, "error": null, "outputs": {}, "peeks": {}});
        Self {
            case,
            engine,
            notes: Notes::new(),
            ends: Vec::new(),
            result,
        }
    }

    fn finish(mut self) -> Json {
        match program::build(&self.case.topology, self.build_options(), &self.notes) {
            Ok((topology, types)) => self.drive(topology, &types),
            Err(error) => self.set("error", build_failure(&error)),
        }
        self.set("peeks", self.notes.to_json());
        self.result
    }

    fn set(&mut self, field: &str, value: Json) {
        if let Some(fields) = self.result.as_object_mut() {
            fields.insert(field.to_owned(), value);
        }
    }

    fn drive(&mut self, topology: Topology, types: &TopicTypes) {
        self.set("description", json!(topology.describe()));
        let kinds = topology
            .stores()
            .map(|store| (store.spec.name.clone(), store.spec.kind))
            .collect();
        let (storage, directory) = match self.engine.storage() {
            Ok(storage) => storage,
            Err(error) => return self.set("error", failure("storage", -1, "", &error)),
        };
        let mut driver = match self.driver(topology, storage) {
            Ok(driver) => driver,
            Err(error) => return self.set("error", failure("start", -1, STREAMS_EXCEPTION, &error)),
        };
        let ran = self.feed(&mut driver);
        let seen = self.seen(driver.produced());
        let failed = match ran {
            Err(error) => Some(failure("run", self.notes.step(), class(&error), &error)),
            Ok(()) => match stores(&mut driver, &kinds, &seen) {
                Ok(stores) => {
                    self.set("stores", stores);
                    self.set("metrics", json!({"dropped_records_total": driver.dropped()}));
                    None
                }
                Err(error) => Some(failure("dump", self.notes.step(), STREAMS_EXCEPTION, &error)),
            },
        };
        if let Some(error) = failed {
            self.set("error", error);
        }
        self.set("outputs", outputs(driver.produced(), &self.ends, types));
        drop(driver);
        drop(directory);
    }

    fn driver(&self, topology: Topology, storage: Storage) -> kstreams_test_driver::Result<TopologyTestDriver> {
        let cache = self.number("statestore.cache.max.bytes").unwrap_or(10 << 20);
        TopologyTestDriver::builder(topology)
            .application_id("app")
            .start_at(self.case.wall_clock_ms)
            .cache_bytes(usize::try_from(cache).unwrap_or(0))
            .max_task_idle_ms(self.number("max.task.idle.ms").unwrap_or(0))
            .handlers(self.handlers())
            .storage(storage)
            .build()
    }

    fn feed(&mut self, driver: &mut TopologyTestDriver) -> kstreams_test_driver::Result<()> {
        for input in &self.case.inputs {
            self.notes.next_step();
            match input {
                Input::Advance { advance_wall_clock_ms } => {
                    driver.advance_wall_clock(Duration::from_millis(*advance_wall_clock_ms))?;
                }
                Input::Record {
                    topic,
                    key,
                    value,
                    ts,
                    headers,
                } => {
                    let mut record = ProducedRecord {
                        topic: TopicName::new(topic),
                        partition: None,
                        key: bytes(key),
                        value: bytes(value),
                        timestamp: Some(*ts),
                        headers: Headers::new(),
                    };
                    for (name, value) in headers {
                        record.headers.push(name.clone(), value.clone().map(Bytes::from));
                    }
                    driver.pipe_raw(record)?;
                }
            }
            self.ends.push(driver.produced().len());
        }
        Ok(())
    }

    fn seen(&self, produced: &[ProducedRecord]) -> Seen {
        let mut seen = Seen::default();
        for input in &self.case.inputs {
            if let Input::Record { key, ts, .. } = input {
                seen.keys.extend(key.as_str().map(str::to_owned));
                seen.times.insert(*ts);
            }
        }
        for record in produced {
            let key = record.key.as_ref();
            seen.keys
                .extend(key.map(|key| String::from_utf8_lossy(key).into_owned()));
            seen.times.extend(record.timestamp);
        }
        seen
    }

    fn build_options(&self) -> BuildOptions {
        let optimize = self
            .case
            .config
            .get("optimize")
            .and_then(Json::as_bool)
            .unwrap_or(false);
        // Java's builder only heeds `default.dsl.store` if it is made with the settings, which the oracle's is not.
        BuildOptions::default().java_quirks(true).optimization(if optimize {
            Optimization::ALL
        } else {
            Optimization::NONE
        })
    }

    fn handlers(&self) -> ErrorHandlers {
        let goes_on = |key: &str| self.text(key).is_some_and(|class| class.contains("LogAndContinue"));
        let (fail, go_on) = (ErrorHandlers::default(), ErrorHandlers::log_and_continue());
        let deserialization = if goes_on("deserialization.exception.handler") {
            &go_on
        } else {
            &fail
        };
        let processing = if goes_on("processing.exception.handler") {
            &go_on
        } else {
            &fail
        };
        ErrorHandlers {
            deserialization: deserialization.deserialization.clone(),
            processing: processing.processing.clone(),
            production: None,
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.case.config.get(key).and_then(Json::as_str)
    }

    fn number(&self, key: &str) -> Option<i64> {
        let value = self.case.config.get(key)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }
}

fn class(error: &Error) -> &'static str {
    match error {
        Error::Flush(_) => "org.apache.kafka.streams.errors.ProcessorStateException",
        _ => STREAMS_EXCEPTION,
    }
}

fn build_failure(error: &CaseError) -> Json {
    match error {
        CaseError::Unsupported(op) => json!({"phase": "unsupported", "message": op}),
        CaseError::Malformed(_) => failure("case", -1, "oracle.BadCase", error),
        CaseError::Build(
            kstreams_dsl::Error::UnnamedGlobalStore { .. } | kstreams_dsl::Error::GraceNeedsHistory { .. },
        ) => failure("build", -1, "java.lang.IllegalArgumentException", error),
        CaseError::Build(kstreams_dsl::Error::UnmergeableRepartition { .. }) => {
            failure("build", -1, STREAMS_EXCEPTION, error)
        }
        CaseError::Build(_) | CaseError::Topology(_) => failure("build", -1, TOPOLOGY_EXCEPTION, error),
    }
}

fn failure(phase: &str, step: i64, class: &str, error: &(dyn std::error::Error + 'static)) -> Json {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    json!({
        "phase": phase, "step": step, "class": class,
        "message": error.to_string(), "root_message": root.to_string(),
    })
}

/// A string is its UTF-8, an integer eight bytes, `{"hex": ..}` those bytes.
fn bytes(json: &Json) -> Option<Bytes> {
    match json {
        Json::String(text) => Some(Bytes::from(text.clone())),
        Json::Number(number) => Some(Bytes::copy_from_slice(&number.as_i64()?.to_be_bytes())),
        Json::Object(object) => {
            let hex = object.get("hex")?.as_str()?;
            let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
            (0..hex.len())
                .step_by(2)
                .map(byte)
                .collect::<Option<Vec<u8>>>()
                .map(Bytes::from)
        }
        _ => None,
    }
}
