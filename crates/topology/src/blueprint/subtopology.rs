//! The parts of a topology that share nothing but topics: each becomes its own tasks.

use std::collections::{BTreeMap, BTreeSet};

use kstreams_store::{Logging, StoreSpec};
use kstreams_wire::TopicName;

use super::java::grown_order;
use super::topics::changelog_topic;
use super::{NodeKind, ResetPolicy, SinkTarget, Topics, Topology};
use crate::pattern::TopicPattern;
use crate::stores::StoreId;

/// The subtopologies of a topology, with topics under their full names.
#[derive(Clone, Debug, Default)]
pub struct Subtopologies {
    /// The subtopologies that have tasks, by number.
    pub parts: Vec<Subtopology>,
    /// Those that fill global stores. They have no tasks: every instance runs all of them.
    pub globals: Vec<Subtopology>,
    /// Source topics that must have equally many partitions.
    pub copartitioned: Vec<BTreeSet<TopicName>>,
    /// Where sources start that say it themselves.
    pub reset_policies: BTreeMap<TopicName, ResetPolicy>,
    /// The patterns by which sources read further topics.
    pub patterns: Vec<SourcePattern>,
}

/// A pattern by which a source reads topics.
#[derive(Clone, Debug)]
pub struct SourcePattern {
    /// What the topics' names match.
    pub pattern: TopicPattern,
    /// The subtopology that reads them.
    pub subtopology: u32,
    /// Where the source starts, if it says it itself.
    pub reset: Option<ResetPolicy>,
    /// Which of the groups of co-partitioned topics they belong to.
    pub group: Option<usize>,
}

/// One subtopology.
#[derive(Clone, Debug)]
pub struct Subtopology {
    /// Its number, as Java counts.
    pub id: u32,
    /// All topics that it reads by name, internal ones too.
    pub source_topics: BTreeSet<TopicName>,
    /// The regular expressions by which it reads further topics.
    pub source_patterns: Vec<String>,
    /// The internal topics that it reads, with the number of partitions that the user fixed.
    pub repartition_sources: BTreeMap<TopicName, Option<i32>>,
    /// The topics that it writes, where known beforehand.
    pub sink_topics: BTreeSet<TopicName>,
    /// Its stores, in the order of the nodes that use them.
    pub stores: Vec<StoreEntry>,
    /// The names of its nodes, in topological order.
    pub nodes: Vec<String>,
}

/// A store of a subtopology.
#[derive(Clone, Debug)]
pub struct StoreEntry {
    /// The store's id.
    pub id: StoreId,
    /// What it is.
    pub spec: StoreSpec,
    /// The topic from which it is rebuilt; `None` if it is not logged.
    pub changelog: Option<TopicName>,
    /// Whether that is a source topic: it is then neither created nor written.
    pub changelog_is_source: bool,
    /// Whether every instance keeps all of it.
    pub is_global: bool,
}

/// Sources whose topics must have equally many partitions.
#[derive(Debug, Default)]
struct CopartitionedSources {
    topics: BTreeSet<TopicName>,
    /// The nodes of those that read by pattern.
    patterns: BTreeSet<usize>,
}

impl Subtopologies {
    /// All source topics.
    pub fn source_topics(&self) -> BTreeSet<&TopicName> {
        self.parts.iter().flat_map(|part| &part.source_topics).collect()
    }

    /// All source topics that the application does not create itself.
    pub fn external_topics(&self) -> BTreeSet<&TopicName> {
        let mut topics = self.source_topics();
        for part in &self.parts {
            for topic in part.repartition_sources.keys() {
                topics.remove(topic);
            }
        }
        topics
    }

    /// The first pattern that matches this topic.
    pub fn pattern(&self, topic: &str) -> Option<&SourcePattern> {
        self.patterns.iter().find(|source| source.pattern.matches(topic))
    }

    /// The same with these topics as if the sources whose patterns match them had named them.
    pub fn with_matching<'a>(mut self, topics: impl IntoIterator<Item = &'a TopicName>) -> Self {
        for topic in topics {
            let Some(source) = self.pattern(topic).cloned() else {
                continue;
            };
            let part = self.parts.iter_mut().find(|part| part.id == source.subtopology);
            part.map(|part| part.source_topics.insert(topic.clone()));
            let group = source.group.and_then(|at| self.copartitioned.get_mut(at));
            group.map(|group| group.insert(topic.clone()));
            if let Some(reset) = source.reset {
                self.reset_policies.insert(topic.clone(), reset);
            }
        }
        self
    }

    /// The subtopology of this number.
    pub fn part(&self, id: u32) -> Option<&Subtopology> {
        self.parts.iter().find(|part| part.id == id)
    }

    /// The store of this name, and its subtopology.
    pub fn store(&self, name: &str) -> Option<(&Subtopology, &StoreEntry)> {
        self.parts.iter().find_map(|part| {
            let entry = part.stores.iter().find(|entry| entry.spec.name == name)?;
            Some((part, entry))
        })
    }
}

impl Topology {
    /// The topology's parts under this application id.
    pub fn subtopologies(&self, application_id: &str) -> Subtopologies {
        let groups = self.groups();
        let name = |topic: &str| TopicName::from(self.topic_name(application_id, topic));
        let mut parts = Vec::new();
        let mut globals = Vec::new();
        for (nodes, id) in groups.iter().zip(0..) {
            let part = self.part(id, nodes, application_id);
            if self.is_global(nodes) {
                globals.push(part);
            } else {
                parts.push(part);
            }
        }
        let groups_of_sources = self.copartition_groups(name);
        Subtopologies {
            patterns: self.source_patterns_of(&groups, &groups_of_sources),
            parts,
            globals,
            copartitioned: groups_of_sources.into_iter().map(|group| group.topics).collect(),
            reset_policies: self.reset_policies(name),
        }
    }

    /// The sources that read by pattern, given the nodes of each subtopology.
    fn source_patterns_of(&self, parts: &[Vec<usize>], groups: &[CopartitionedSources]) -> Vec<SourcePattern> {
        let mut patterns = Vec::new();
        for (nodes, subtopology) in parts.iter().zip(0..) {
            for at in nodes {
                if let Some(NodeKind::Source {
                    topics: Topics::Pattern(text),
                    reset,
                    ..
                }) = self.nodes.get(*at).map(|node| &node.kind)
                    && let Ok(pattern) = TopicPattern::parse(text)
                {
                    patterns.push(SourcePattern {
                        pattern,
                        subtopology,
                        reset: *reset,
                        group: groups.iter().position(|group| group.patterns.contains(at)),
                    });
                }
            }
        }
        patterns
    }

    fn part(&self, id: u32, members: &[usize], application_id: &str) -> Subtopology {
        let mut part = Subtopology {
            id,
            source_topics: BTreeSet::new(),
            source_patterns: Vec::new(),
            repartition_sources: BTreeMap::new(),
            sink_topics: BTreeSet::new(),
            stores: self.store_entries(members, application_id),
            nodes: Vec::new(),
        };
        let full = |topic: &str| TopicName::from(self.topic_name(application_id, topic));
        for node in members.iter().filter_map(|at| self.nodes.get(*at)) {
            part.nodes.push(node.name.clone());
            match &node.kind {
                NodeKind::Source {
                    topics: Topics::Names(topics),
                    ..
                } => {
                    for topic in topics {
                        part.source_topics.insert(full(topic));
                        if let Some(partitions) = self.internal.get(topic) {
                            part.repartition_sources.insert(full(topic), *partitions);
                        }
                    }
                }
                NodeKind::Source {
                    topics: Topics::Pattern(pattern),
                    ..
                } => part.source_patterns.push(pattern.clone()),
                NodeKind::Sink {
                    topic: SinkTarget::Topic(topic),
                    ..
                } => {
                    part.sink_topics.insert(full(topic));
                }
                NodeKind::Sink { .. } | NodeKind::Processor { .. } => {}
            }
        }
        part
    }

    pub(super) fn store_entries(&self, members: &[usize], application_id: &str) -> Vec<StoreEntry> {
        let mut entries: Vec<StoreEntry> = Vec::new();
        for at in members {
            // A node's stores are in a hash set of Java's. The order is that in which caches are flushed at a commit.
            let used = self.stores.iter().filter(|slot| slot.users.contains(at));
            let names = grown_order(used.map(|slot| slot.definition.spec.name.as_str()));
            for slot in names.into_iter().filter_map(|name| self.store_slot(name).ok()) {
                let definition = &slot.definition;
                if entries.iter().any(|entry| entry.id == definition.id) {
                    continue;
                }
                let source = slot.source_topic.as_deref();
                let logged = !slot.global && matches!(definition.spec.logging, Logging::Enabled(_));
                let changelog = match source {
                    Some(topic) => Some(TopicName::from(self.topic_name(application_id, topic))),
                    None => logged.then(|| changelog_topic(application_id, &definition.spec.name)),
                };
                entries.push(StoreEntry {
                    id: definition.id,
                    spec: definition.spec.clone(),
                    changelog,
                    changelog_is_source: source.is_some(),
                    is_global: slot.global,
                });
            }
        }
        entries
    }

    fn copartition_groups(&self, full: impl Fn(&str) -> TopicName) -> Vec<CopartitionedSources> {
        let mut groups: Vec<CopartitionedSources> = Vec::new();
        for sources in &self.copartitioned {
            let mut group = CopartitionedSources::default();
            for at in sources.iter().filter_map(|name| self.by_name.get(name)) {
                match self.nodes.get(*at).map(|node| &node.kind) {
                    Some(NodeKind::Source {
                        topics: Topics::Names(topics),
                        ..
                    }) => group.topics.extend(topics.iter().map(|topic| full(topic))),
                    Some(NodeKind::Source { .. }) => {
                        group.patterns.insert(*at);
                    }
                    _ => {}
                }
            }
            // Co-partitioning is transitive: groups with a common topic are one.
            groups.retain(|other| {
                let apart = other.topics.is_disjoint(&group.topics) && other.patterns.is_disjoint(&group.patterns);
                if !apart {
                    group.topics.extend(other.topics.iter().cloned());
                    group.patterns.extend(&other.patterns);
                }
                apart
            });
            groups.push(group);
        }
        groups
    }

    fn reset_policies(&self, full: impl Fn(&str) -> TopicName) -> BTreeMap<TopicName, ResetPolicy> {
        let mut policies = BTreeMap::new();
        for node in &self.nodes {
            if let NodeKind::Source {
                topics: Topics::Names(topics),
                reset: Some(reset),
                ..
            } = &node.kind
            {
                policies.extend(topics.iter().map(|topic| (full(topic), *reset)));
            }
        }
        policies
    }

    /// The nodes of each subtopology, in the order in which they were added. Subtopologies are numbered by their first node.
    pub(super) fn groups(&self) -> Vec<Vec<usize>> {
        let mut roots: Vec<usize> = (0..self.nodes.len()).collect();
        for (at, node) in self.nodes.iter().enumerate() {
            for parent in node.parents.iter().filter_map(|parent| self.by_name.get(parent)) {
                unite(&mut roots, *parent, at);
            }
        }
        for slot in &self.stores {
            for pair in slot.users.windows(2) {
                if let [a, b] = pair {
                    unite(&mut roots, *a, *b);
                }
            }
        }
        let mut numbers = BTreeMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for at in 0..self.nodes.len() {
            let number = *numbers.entry(root(&roots, at)).or_insert(groups.len());
            if number == groups.len() {
                groups.push(Vec::new());
            }
            if let Some(group) = groups.get_mut(number) {
                group.push(at);
            }
        }
        groups
    }
}

fn root(roots: &[usize], mut at: usize) -> usize {
    while let Some(up) = roots.get(at).copied().filter(|up| *up != at) {
        at = up;
    }
    at
}

fn unite(roots: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(roots, a), root(roots, b));
    if let Some(slot) = roots.get_mut(a.max(b)) {
        *slot = a.min(b);
    }
}
