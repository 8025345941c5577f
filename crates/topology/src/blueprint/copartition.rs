//! How many partitions internal topics get, and so how many tasks there are.

use std::collections::{BTreeMap, BTreeSet};

use kstreams_wire::{TopicName, TopicPartition};

use super::{Subtopologies, Subtopology};
use crate::error::{Error, Result};

/// How many partitions topics have.
pub type TopicPartitions = BTreeMap<TopicName, i32>;

/// How many partitions each source topic has, internal ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    topics: TopicPartitions,
}

impl PartitionCounts {
    /// Decides about the internal topics, given how many partitions the external source topics have. An error if one of
    /// those is missing, or if topics that must be co-partitioned are not.
    pub fn decide(parts: &Subtopologies, external: &TopicPartitions) -> Result<Self> {
        let missing: Vec<&str> = parts
            .external_topics()
            .into_iter()
            .filter(|topic| !external.contains_key(*topic))
            .map(|topic| topic.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(Error::Topology(format!(
                "source topics do not exist: {}; create them before the application starts",
                missing.join(", ")
            )));
        }
        let mut counts = Counts::new(parts, external);
        counts.derive(parts)?;
        for group in &parts.copartitioned {
            counts.enforce(group)?;
        }
        Ok(Self { topics: counts.known })
    }

    /// The topic's number of partitions.
    pub fn topic(&self, topic: &str) -> Option<i32> {
        self.topics.get(topic).copied()
    }

    /// All topics.
    pub fn topics(&self) -> &TopicPartitions {
        &self.topics
    }

    /// How many tasks the subtopology has: as many as its largest source topic has partitions.
    pub fn tasks(&self, part: &Subtopology) -> i32 {
        let counts = part.source_topics.iter().filter_map(|topic| self.topics.get(topic));
        counts.copied().max().unwrap_or(0)
    }

    /// The input partitions of one task of the subtopology: this partition of every source topic that has it.
    pub fn inputs(&self, part: &Subtopology, partition: i32) -> Vec<TopicPartition> {
        let topics = part
            .source_topics
            .iter()
            .filter(|topic| self.topics.get(*topic).is_some_and(|count| partition < *count));
        topics
            .map(|topic| TopicPartition::new(topic.clone(), partition))
            .collect()
    }
}

struct Counts {
    known: TopicPartitions,
    internal: BTreeMap<TopicName, Option<i32>>,
}

impl Counts {
    fn new(parts: &Subtopologies, external: &TopicPartitions) -> Self {
        let internal: BTreeMap<TopicName, Option<i32>> = parts
            .parts
            .iter()
            .flat_map(|part| part.repartition_sources.clone())
            .collect();
        let mut known: TopicPartitions = internal
            .iter()
            .filter_map(|(topic, fixed)| Some((topic.clone(), (*fixed)?)))
            .collect();
        for topic in parts.external_topics() {
            if let Some(count) = external.get(topic) {
                known.insert(topic.clone(), *count);
            }
        }
        Self { known, internal }
    }

    /// Gives every internal topic without a fixed number the maximum of what is upstream, again and again: upstream may
    /// be internal, too.
    fn derive(&mut self, parts: &Subtopologies) -> Result<()> {
        loop {
            let open: Vec<TopicName> = self
                .internal
                .keys()
                .filter(|topic| !self.known.contains_key(*topic))
                .cloned()
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            let before = self.known.len();
            for topic in &open {
                let writers = parts.parts.iter().filter(|part| part.sink_topics.contains(topic));
                let upstream = writers
                    .flat_map(|part| &part.source_topics)
                    .filter_map(|source| self.known.get(source));
                if let Some(count) = upstream.copied().max() {
                    self.known.insert(topic.clone(), count);
                }
            }
            if self.known.len() == before {
                let open: Vec<&str> = open.iter().map(TopicName::as_str).collect();
                return Err(Error::Topology(format!(
                    "the number of partitions of internal topics cannot be derived: {}; fix it with a number of partitions",
                    open.join(", ")
                )));
            }
        }
    }

    fn enforce(&mut self, group: &BTreeSet<TopicName>) -> Result<()> {
        let (internal, external): (Vec<&TopicName>, Vec<&TopicName>) =
            group.iter().partition(|topic| self.internal.contains_key(*topic));
        let fixed = internal
            .iter()
            .copied()
            .filter(|topic| self.internal.get(*topic).is_some_and(Option::is_some));
        let fixed: Vec<&TopicName> = fixed.collect();
        let count = if external.is_empty() {
            match self.same(&fixed)? {
                Some(count) => Some(count),
                None => internal
                    .iter()
                    .filter_map(|topic| self.known.get(*topic))
                    .copied()
                    .max(),
            }
        } else {
            let both: Vec<&TopicName> = external.into_iter().chain(fixed).collect();
            self.same(&both)?
        };
        if let Some(count) = count {
            let internal: Vec<TopicName> = internal.into_iter().cloned().collect();
            self.known.extend(internal.into_iter().map(|topic| (topic, count)));
        }
        Ok(())
    }

    /// The number of partitions that these topics have in common.
    fn same(&self, topics: &[&TopicName]) -> Result<Option<i32>> {
        let counts: BTreeSet<i32> = topics
            .iter()
            .filter_map(|topic| self.known.get(*topic))
            .copied()
            .collect();
        if counts.len() <= 1 {
            return Ok(counts.first().copied());
        }
        let list: Vec<String> = topics
            .iter()
            .map(|topic| format!("{topic} ({})", self.known.get(*topic).copied().unwrap_or(0)))
            .collect();
        Err(Error::Topology(format!(
            "topics are not co-partitioned, their numbers of partitions must be equal: {}",
            list.join(", ")
        )))
    }
}
