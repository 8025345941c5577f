//! Regular expressions over topic names.

use std::fmt;

use regex::Regex;

use crate::error::{Error, Result};

/// A regular expression that a topic's whole name may match.
#[derive(Clone)]
pub struct TopicPattern {
    text: String,
    whole: Regex,
}

impl TopicPattern {
    /// The pattern of this text.
    pub fn parse(text: &str) -> Result<Self> {
        let whole = Regex::new(&format!("^(?:{text})$"));
        let whole =
            whole.map_err(|error| Error::Topology(format!("topic pattern {text:?} cannot be read: {error}")))?;
        Ok(Self {
            text: text.to_owned(),
            whole,
        })
    }

    /// Whether the topic's name matches.
    pub fn matches(&self, topic: &str) -> bool {
        self.whole.is_match(topic)
    }

    /// The text that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicPattern({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_match() {
        let pattern = TopicPattern::parse("in-.*|other").expect("it is a regular expression");
        assert!(pattern.matches("in-1"));
        assert!(pattern.matches("other"));
        assert!(!pattern.matches("others"));
        assert!(!pattern.matches("within-1"));
        assert!(TopicPattern::parse("(").is_err());
    }
}
