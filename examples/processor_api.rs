//! A processor of one's own among the operators: it keeps the last reading of each sensor in a store, and every ten seconds
//! of the wall clock tells which sensors are silent.
//!
//! ```text
//!    1000 readings: "door" = 1
//!    8000 readings: "window" = 7
//!         10s pass
//!         10s pass
//!          -> alarms: "door" = "silent since 1000" @ 20000
//!          -> alarms: "window" = "silent since 8000" @ 20000
//! ```

use std::time::Duration;

use kstreams::prelude::*;
use kstreams::processor::{Context, ProcessingContext, Processor};
use kstreams::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
use kstreams::{BoxError, Clock, TimerId};

mod tour;

/// Remembers when each sensor spoke last.
struct Watch {
    seen: StoreHandle<KeyValueStore<String, i64>>,
}

impl Processor for Watch {
    type KIn = String;
    type VIn = i64;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.seen.id()]
    }

    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
        cx.schedule(Duration::from_secs(10), Clock::WallClock);
        Ok(())
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, i64>) -> Result<(), BoxError> {
        cx.store(self.seen).put(&record.key, &record.timestamp)?;
        Ok(())
    }

    fn punctuate(&mut self, cx: &mut Context<'_, Self>, _: TimerId, now: i64) -> Result<(), BoxError> {
        let mut silent = Vec::new();
        for entry in cx.store(self.seen).all()? {
            let (sensor, at) = entry?;
            if now - at > 10_000 {
                silent.push(Record::new(sensor, format!("silent since {at}"), now));
            }
        }
        for record in silent {
            cx.store(self.seen).delete(&record.key)?;
            cx.forward(record)?;
        }
        Ok(())
    }
}

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    let seen = builder.add_store(Stores::in_memory("seen").key_value::<String, i64>());
    builder
        .stream::<String, i64>("readings")
        .process(move || Watch { seen })
        .to("alarms");

    let mut tour = tour::Tour::of(builder)?.shows::<String, String>("alarms");
    tour.send::<String, i64>("readings", "door", 1_i64, 1_000)?;
    tour.send::<String, i64>("readings", "window", 7_i64, 8_000)?;
    tour.wait(Duration::from_secs(10))?;
    tour.wait(Duration::from_secs(10))
}
