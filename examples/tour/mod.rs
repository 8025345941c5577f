//! Shows a topology at work on the test driver: what goes in, and what comes out of it, line by line.

use std::fmt::Debug;
use std::time::Duration;

use kstreams::errors::ErrorHandlers;
use kstreams::{DefaultSerde, Nullable, StreamsBuilder};
use kstreams_test_driver::{TopologyTestDriver, record};

/// How examples end.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

type Show = Box<dyn Fn(&mut TopologyTestDriver) -> Outcome>;

/// A running topology. Its clock stands still unless it is told to move.
pub(crate) struct Tour {
    driver: TopologyTestDriver,
    shows: Vec<Show>,
}

impl Tour {
    /// Builds the program and starts it.
    #[allow(
        dead_code,
        reason = "each example compiles this file for itself, and some have handlers"
    )]
    pub(crate) fn of(builder: StreamsBuilder) -> Result<Self, Box<dyn std::error::Error>> {
        Self::handled(builder, ErrorHandlers::default())
    }

    /// Builds the program and starts it with these handlers of errors.
    pub(crate) fn handled(
        builder: StreamsBuilder,
        handlers: ErrorHandlers,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let topology = builder.build()?;
        Ok(Self {
            driver: TopologyTestDriver::builder(topology).handlers(handlers).build()?,
            shows: Vec::new(),
        })
    }

    /// Prints what comes out of this topic from now on.
    pub(crate) fn shows<K, V>(mut self, topic: &'static str) -> Self
    where
        K: Nullable<Inner: DefaultSerde> + Debug,
        V: Nullable<Inner: DefaultSerde> + Debug,
    {
        let output = self.driver.output::<K, V>(topic);
        self.shows.push(Box::new(move |driver| {
            for out in driver.read_all(&output)? {
                let time = out.timestamp.unwrap_or_default();
                println!("         -> {topic}: {:?} = {:?} @ {time}", out.key, out.value);
            }
            Ok(())
        }));
        self
    }

    /// Writes a record, and prints it and what comes of it.
    pub(crate) fn send<K, V>(&mut self, topic: &str, key: impl Into<K>, value: impl Into<V>, at: i64) -> Outcome
    where
        K: Nullable<Inner: DefaultSerde> + Debug,
        V: Nullable<Inner: DefaultSerde> + Debug,
    {
        let input = self.driver.input::<K, V>(topic);
        let (key, value): (K, V) = (key.into(), value.into());
        println!("{at:>7} {topic}: {key:?} = {value:?}");
        self.driver.pipe(&input, record(key, value).at(at))?;
        self.show()
    }

    /// Moves the clock, and prints what comes of it.
    #[allow(
        dead_code,
        reason = "each example compiles this file for itself, and not each needs a clock"
    )]
    pub(crate) fn wait(&mut self, by: Duration) -> Outcome {
        println!("        {by:?} pass");
        self.driver.advance_wall_clock(by)?;
        self.show()
    }

    fn show(&mut self) -> Outcome {
        self.shows.iter().try_for_each(|show| show(&mut self.driver))
    }
}
