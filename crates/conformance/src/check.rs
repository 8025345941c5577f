//! Runs cases and holds the results against expected ones.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value as Json;

use crate::compare::difference;
use crate::engine::Engine;
use crate::run::run;

/// How cases went.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many came out as expected.
    pub passed: usize,
    /// The others: their names, and where they first differ.
    pub failures: Vec<String>,
    /// How many cases ask for something that there is not, by its name.
    pub unsupported: BTreeMap<String, usize>,
}

impl Tally {
    /// Whether every case came out as expected.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.unsupported.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failures.len())?;
        let unsupported: usize = self.unsupported.values().sum();
        write!(f, ", {unsupported} NOT SUPPORTED")?;
        for (what, times) in &self.unsupported {
            write!(f, "; {what} x {times}")?;
        }
        Ok(())
    }
}

/// Runs each case on the engine, and compares it with the expected result of the same name.
pub fn check(cases: &[String], expected: &[String], engine: Engine) -> Tally {
    let expected = expected.iter().filter_map(|line| serde_json::from_str(line).ok());
    let expected: BTreeMap<String, Json> = expected.map(|result| (name(&result), result)).collect();
    let mut tally = Tally::default();
    for case in cases {
        let actual = run(case, engine);
        let name = name(&actual);
        if let Some(what) = unsupported(&actual) {
            *tally.unsupported.entry(what.to_owned()).or_default() += 1;
            continue;
        }
        let found = match expected.get(&name) {
            None => Some("no result is expected of it".to_owned()),
            Some(expected) => difference(expected, &actual),
        };
        match found {
            None => tally.passed += 1,
            Some(found) => tally
                .failures
                .push(format!("{name}\n  {}", found.replace('\n', "\n  "))),
        }
    }
    tally
}

fn name(result: &Json) -> String {
    result
        .get("name")
        .and_then(Json::as_str)
        .unwrap_or("(no name)")
        .to_owned()
}

fn unsupported(result: &Json) -> Option<&str> {
    let error = result.get("error")?;
    (error.get("phase")? == "unsupported").then(|| error.get("message")?.as_str())?
}

/// The lines of a file that are not blank; `.gz` is unpacked.
pub fn read_lines(file: &Path) -> io::Result<Vec<String>> {
    let raw = File::open(file)?;
    let packed = file.extension().is_some_and(|extension| extension == "gz");
    let raw: Box<dyn Read> = if packed {
        Box::new(GzDecoder::new(raw))
    } else {
        Box::new(raw)
    };
    let lines: Vec<String> = BufReader::new(raw).lines().collect::<io::Result<_>>()?;
    Ok(lines.into_iter().filter(|line| !line.trim().is_empty()).collect())
}
