//! Tidies the draft before it is lowered: sources of the same topics become one. What is optional is the optimiser's.

use std::collections::BTreeMap;

use kstreams_topology::blueprint::Topics;

use super::node::{Draft, Kind, NodeId, Source};
use crate::error::{Error, Result};

impl Draft {
    /// Makes one source of all that read the same topics, as if the program had asked for it once.
    pub(crate) fn merge_sources(&mut self) -> Result<()> {
        let mut by_topic: BTreeMap<String, NodeId> = BTreeMap::new();
        let mut by_pattern: BTreeMap<String, NodeId> = BTreeMap::new();
        for id in self.at(Self::ROOT).children.clone() {
            let Kind::Source(source) = &self.at(id).kind else {
                continue;
            };
            match source.topics.clone() {
                Topics::Pattern(pattern) => match by_pattern.get(&pattern) {
                    Some(first) => self.merge_source(*first, id)?,
                    None => {
                        by_pattern.insert(pattern, id);
                    }
                },
                Topics::Names(topics) => {
                    for topic in topics {
                        match by_topic.get(&topic) {
                            Some(first) if *first == id => {}
                            Some(first) => self.merge_overlapping(*first, id, topic)?,
                            None => {
                                by_topic.insert(topic, id);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets the stores of source tables be restored from the tables' own topics.
    pub(crate) fn reuse_source_topics(&self) {
        for node in &self.nodes {
            if let Kind::Table(table) = &node.kind {
                table.reuse_topic.set(true);
            }
        }
    }

    /// Lets joins of a stream with itself do with one store.
    pub(crate) fn single_store_self_joins(&mut self) {
        for id in (0..self.nodes.len()).map(NodeId) {
            let node = self.at(id);
            let (Kind::StreamJoin(join), [parent]) = (&node.kind, &*node.parents) else {
                continue;
            };
            let (parent, (this, other)) = (*parent, join.windowed);
            let both_below = [this, other].iter().all(|side| self.at(parent).children.contains(side));
            if join.equal_types && both_below {
                join.with_itself.set(true);
                self.unlink(parent, other);
            }
        }
    }

    fn merge_overlapping(&mut self, first: NodeId, second: NodeId, topic: String) -> Result<()> {
        let (Some(one), Some(other)) = (self.source(first), self.source(second)) else {
            return Ok(());
        };
        if !same_topics(&one.topics, &other.topics) {
            return Err(Error::OverlappingSources {
                first: self.at(first).name.clone(),
                second: self.at(second).name.clone(),
                topic,
            });
        }
        self.merge_source(first, second)
    }

    fn merge_source(&mut self, first: NodeId, second: NodeId) -> Result<()> {
        let (Some(one), Some(other)) = (self.source(first), self.source(second)) else {
            return Ok(());
        };
        let what = if one.reset != other.reset {
            Some("offset reset policies")
        } else if one.types != other.types {
            Some("key or value types")
        } else {
            None
        };
        if let Some(what) = what {
            return Err(Error::UnequalSources {
                first: self.at(first).name.clone(),
                second: self.at(second).name.clone(),
                what,
            });
        }
        for child in self.at(second).children.clone() {
            self.unlink(second, child);
            self.link(first, child);
        }
        self.unlink(Self::ROOT, second);
        Ok(())
    }

    fn source(&self, id: NodeId) -> Option<&Source> {
        match &self.at(id).kind {
            Kind::Source(source) => Some(source),
            _ => None,
        }
    }
}

fn same_topics(one: &Topics, other: &Topics) -> bool {
    let (Topics::Names(one), Topics::Names(other)) = (one, other) else {
        return false;
    };
    one.len() == other.len() && one.iter().all(|topic| other.contains(topic))
}
