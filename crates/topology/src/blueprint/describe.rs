//! The topology as text, as Java prints it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;

use super::java::{TreeSet, copied_order, grown_order, list_order};
use super::{NodeKind, NodeSpec, SinkTarget, Topics, Topology};

/// A node while its neighbours are collected.
struct Described<'a> {
    spec: &'a NodeSpec,
    /// How many nodes are below it, counted along every path, and itself.
    size: usize,
    predecessors: TreeSet,
    successors: TreeSet,
}

impl Topology {
    /// The topology as text, in the very form of Java's `TopologyDescription`.
    pub fn describe(&self) -> String {
        let mut text = String::from("Topologies:\n ");
        for (id, members) in self.groups().iter().enumerate() {
            text.push_str("  ");
            self.describe_part(id, members, &mut text);
        }
        text
    }

    fn describe_part(&self, id: usize, members: &[usize], text: &mut String) {
        let mut nodes: Vec<Described<'_>> = members
            .iter()
            .filter_map(|at| self.nodes.get(*at))
            .map(|spec| Described {
                spec,
                size: 1,
                predecessors: TreeSet::default(),
                successors: TreeSet::default(),
            })
            .collect();
        let by_name: HashMap<&str, usize> = nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (&*node.spec.name, at))
            .collect();
        let order: Vec<usize> = grown_order(nodes.iter().map(|node| &*node.spec.name))
            .into_iter()
            .filter_map(|name| by_name.get(name))
            .copied()
            .collect();
        for node in &order {
            let Some(parents) = nodes.get(*node).map(|node| &node.spec.parents) else {
                continue;
            };
            for parent in parents.iter().filter_map(|parent| by_name.get(&**parent)) {
                insert(&mut nodes, *node, *parent, Side::Above);
                insert(&mut nodes, *parent, *node, Side::Below);
                let size = nodes.get(*node).map_or(0, |node| node.size);
                grow(&mut nodes, *parent, size);
            }
        }
        let is_global = self.is_global(members);
        let note = if is_global {
            " for global store (will not generate tasks)"
        } else {
            ""
        };
        let _ = writeln!(text, "Sub-topology: {id}{note}");
        let mut sorted = order;
        sorted.sort_by_key(|at| nodes.get(*at).map(|node| (Reverse(node.size), &node.spec.name)));
        for node in sorted.iter().filter_map(|at| nodes.get(*at)) {
            let _ = writeln!(text, "    {}", line(node, &nodes));
        }
        if !is_global {
            text.push('\n');
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Above,
    Below,
}

/// Adds a neighbour in the order of sizes as they are at this moment, as Java's sorted sets do.
fn insert(nodes: &mut [Described<'_>], of: usize, neighbour: usize, side: Side) {
    let rank = |node: &Described<'_>| (Reverse(node.size), node.spec.name.clone());
    let ranks: Vec<_> = nodes.iter().map(rank).collect();
    let Some(node) = nodes.get_mut(of) else {
        return;
    };
    let neighbours = match side {
        Side::Above => &mut node.predecessors,
        Side::Below => &mut node.successors,
    };
    neighbours.insert(neighbour, |one, other| ranks.get(one).cmp(&ranks.get(other)));
}

/// Adds to the size of a node and, along every path, to those of its ancestors as far as they are known.
fn grow(nodes: &mut [Described<'_>], at: usize, by: usize) {
    let Some(node) = nodes.get_mut(at) else {
        return;
    };
    node.size += by;
    for predecessor in node.predecessors.elements() {
        grow(nodes, predecessor, by);
    }
}

fn line(node: &Described<'_>, nodes: &[Described<'_>]) -> String {
    let name = &node.spec.name;
    let successors = neighbours(&node.successors.elements(), nodes);
    let predecessors = neighbours(&node.predecessors.elements(), nodes);
    match &node.spec.kind {
        NodeKind::Source { topics, .. } => {
            let topics = match topics {
                Topics::Names(topics) => set(list_order(topics.iter().map(String::as_str))),
                Topics::Pattern(pattern) => pattern.clone(),
            };
            format!("Source: {name} (topics: {topics})\n      --> {successors}")
        }
        NodeKind::Processor { .. } => {
            let stores = set(copied_order(node.spec.stores.iter().map(String::as_str)));
            format!("Processor: {name} (stores: {stores})\n      --> {successors}\n      <-- {predecessors}")
        }
        NodeKind::Sink { topic, .. } => {
            let topic = match topic {
                SinkTarget::Topic(topic) => format!("topic: {topic}"),
                SinkTarget::Dynamic(label) => format!("extractor class: {label}"),
            };
            format!("Sink: {name} ({topic})\n      <-- {predecessors}")
        }
    }
}

fn neighbours(list: &[usize], nodes: &[Described<'_>]) -> String {
    if list.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<&str> = list
        .iter()
        .filter_map(|at| nodes.get(*at))
        .map(|node| &*node.spec.name)
        .collect();
    names.join(", ")
}

fn set(names: Vec<&str>) -> String {
    format!("[{}]", names.join(", "))
}
