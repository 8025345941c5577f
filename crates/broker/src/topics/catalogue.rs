//! The topics as text in the data directory.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::data;
use crate::error::{Error, Result};

/// A topic as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) partitions: usize,
    pub(crate) configs: BTreeMap<String, String>,
}

/// The file that lists the topics; in memory there is none.
#[derive(Debug)]
pub(crate) struct Catalogue {
    path: Option<PathBuf>,
}

impl Catalogue {
    /// The catalogue in this file.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path }
    }

    /// What it lists.
    pub(crate) fn load(&self) -> Result<Vec<Listed>> {
        let Some(path) = &self.path else { return Ok(Vec::new()) };
        let text = data::read(path)?.unwrap_or_default();
        parse(&text).map_err(|line| Error::Damaged {
            path: path.clone(),
            what: format!("cannot read \"{line}\""),
        })
    }

    /// Lists these topics and no others.
    pub(crate) fn save(&self, topics: impl Iterator<Item = Listed>) -> Result<()> {
        match &self.path {
            Some(path) => write(path, topics),
            None => Ok(()),
        }
    }
}

fn write(path: &Path, topics: impl Iterator<Item = Listed>) -> Result<()> {
    let mut text = String::new();
    for topic in topics {
        let written = writeln!(text, "topic {} {} {}", topic.name, topic.id, topic.partitions);
        written.expect("text can be written to a string");
        for (key, value) in &topic.configs {
            writeln!(text, "config {key} {value}").expect("text can be written to a string");
        }
    }
    data::replace(path, &text)
}

/// Topics and their configs, line by line; the error is a line that makes no sense.
fn parse(text: &str) -> Result<Vec<Listed>, String> {
    let mut topics: Vec<Listed> = Vec::new();
    for line in text.lines() {
        let understood = match line.split_once(' ') {
            Some(("topic", rest)) => parse_topic(rest).map(|topic| topics.push(topic)),
            Some(("config", rest)) => rest
                .split_once(' ')
                .zip(topics.last_mut())
                .map(|((key, value), topic)| {
                    topic.configs.insert(key.to_owned(), value.to_owned());
                }),
            _ => None,
        };
        understood.ok_or_else(|| line.to_owned())?;
    }
    Ok(topics)
}

fn parse_topic(rest: &str) -> Option<Listed> {
    let mut parts = rest.split(' ');
    Some(Listed {
        name: parts.next()?.to_owned(),
        id: parts.next()?.parse().ok()?,
        partitions: parts.next()?.parse().ok()?,
        configs: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_line_is_named() {
        assert_eq!(parse("topic a\n"), Err("topic a".to_owned()));
        assert_eq!(parse("config a b\n"), Err("config a b".to_owned()));
    }
}
