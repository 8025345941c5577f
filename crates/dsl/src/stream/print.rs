//! Streams printed for people to read: a line for each record.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kstreams_topology::{Error, Nullable, Record};

use super::{KStream, Sink};
use crate::plan::Effect;
use crate::step::step;

/// Where and how a stream is [printed](KStream::print).
pub struct Printed<K, V> {
    to: Arc<Mutex<dyn Write + Send>>,
    label: Option<String>,
    text: Text<K, V>,
}

/// What is printed of a key and a value.
type Text<K, V> = Arc<dyn Fn(&K, &V) -> String + Send + Sync>;

impl<K: Nullable, V: Nullable> Printed<K, V> {
    /// Prints to standard output.
    pub fn stdout() -> Self
    where
        K::Inner: Display,
        V::Inner: Display,
    {
        Self::writer(io::stdout())
    }

    /// Prints to a file, which is created now, or emptied if it is there. An error if that cannot be.
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self>
    where
        K::Inner: Display,
        V::Inner: Display,
    {
        Ok(Self::writer(File::create(path)?))
    }

    /// Prints to anything that can be written to.
    pub fn writer(to: impl Write + Send + 'static) -> Self
    where
        K::Inner: Display,
        V::Inner: Display,
    {
        Self::writer_with(to, |key: &K, value: &V| format!("{}, {}", shown(key), shown(value)))
    }

    /// Prints what the closure makes of key and value to anything that can be written to: for types that have no
    /// [`Display`].
    pub fn writer_with(
        to: impl Write + Send + 'static,
        text: impl Fn(&K, &V) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            to: Arc::new(Mutex::new(to)),
            label: None,
            text: Arc::new(text),
        }
    }

    /// What stands in brackets before each line. By default the name of the operator that the stream comes from.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Prints what the closure makes of key and value, in place of `key, value`.
    pub fn text(mut self, text: impl Fn(&K, &V) -> String + Send + Sync + 'static) -> Self {
        self.text = Arc::new(text);
        self
    }
}

/// A value as it is printed: `null` where there is none.
fn shown<T: Nullable<Inner: Display>>(value: &T) -> String {
    value.as_option().map_or_else(|| "null".to_owned(), ToString::to_string)
}

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Prints each record as a line `[label]: key, value`. Nothing comes after.
    ///
    /// ```
    /// # use kstreams_dsl::{Printed, StreamsBuilder};
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// # let path = std::env::temp_dir().join(format!("kstreams-print-{}", std::process::id()));
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<Option<String>, i64>("in");
    /// stream.print(Printed::stdout().label("seen"));
    /// stream.print(Printed::file(&path)?.text(|_, number: &i64| number.to_string()));
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<Option<String>, i64>("in");
    /// driver.pipe(&input, (None, 7))?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "[KSTREAM-SOURCE-0000000000]: 7\n");
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn print(&self, printed: Printed<K, V>) -> Sink<K, V> {
        const PREFIX: &str = "KSTREAM-PRINTER-";
        let sink = Sink::new();
        let (parent, end) = (self.node.clone(), sink.clone());
        self.plan.record(move |draft| {
            let above = parent.planned.get(PREFIX)?;
            let name = draft.names.or_draw(end.name.take(PREFIX)?, PREFIX)?;
            let Printed { to, label, text } = printed;
            let label = label.unwrap_or_else(|| above.name.clone());
            let run = step(move |_, record: Record<K, V>| {
                let line = format!("[{label}]: {}\n", text(&record.key, &record.value));
                // A line is written whole or not at all, so that what another thread left behind can be gone on with.
                let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
                let written = to.write_all(line.as_bytes()).and_then(|()| to.flush());
                written.map_err(|error| Error::User(Box::new(error)))
            });
            let node = draft.processor(&name, Effect::None, run);
            draft.attach(above.node, node);
            Ok(())
        });
        sink
    }
}
