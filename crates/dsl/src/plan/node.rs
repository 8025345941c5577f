//! The draft of a topology: logical nodes, each of which will be written as one or more nodes.

use std::cell::Cell;
use std::rc::Rc;

use kstreams_topology::blueprint::{ResetPolicy, Topics};

use super::lower::{Lowering, Site};
use super::name::Names;
use crate::builder::BuildOptions;
use crate::error::Result;

/// A logical node's place in the draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) usize);

/// What an operator does to records, for the optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Keys and values pass as they are.
    #[default]
    None,
    /// Values change.
    Values,
    /// Keys change.
    Keys,
}

/// Writes a logical node to the topology.
pub(crate) type WriteNode = Box<dyn FnOnce(&mut Lowering, &Site) -> Result<()>>;

/// What else is known of a logical node.
pub(crate) enum Kind {
    /// Above all sources.
    Root,
    /// A processor, sink or store: nothing is asked of it.
    Plain,
    /// Several streams become one.
    Merge,
    /// A stream's source.
    Source(Source),
    /// A table's source.
    Table(TableSource),
    /// A repartition topic that the optimiser may merge with others.
    Repartition(Repartition),
    /// Two streams are joined.
    StreamJoin(SelfJoinable),
}

/// A stream's source, as far as merging with another matters.
pub(crate) struct Source {
    pub(crate) topics: Topics,
    pub(crate) reset: Option<ResetPolicy>,
    /// The names of the key and value types.
    pub(crate) types: (&'static str, &'static str),
}

/// A table's source.
pub(crate) struct TableSource {
    /// Set by the optimiser: the store is restored from the source topic, and has no changelog.
    pub(crate) reuse_topic: Rc<Cell<bool>>,
}

/// A join of two streams, which may turn out to be one and the same.
pub(crate) struct SelfJoinable {
    /// The nodes that keep the records of the left and of the right stream.
    pub(crate) windowed: (NodeId, NodeId),
    /// Whether both streams have the same type of values.
    pub(crate) equal_types: bool,
    /// Set by the optimiser: the join is written with the left store alone.
    pub(crate) with_itself: Rc<Cell<bool>>,
}

/// A repartition topic with the nodes around it.
pub(crate) struct Repartition {
    /// The topic, without the application's id.
    pub(crate) topic: String,
    /// Writes the same for other names: the optimiser replaces several such nodes by one.
    pub(crate) rewrite: Rc<dyn Fn(RepartitionNames) -> WriteNode>,
}

/// The names of a repartition topic and of the nodes around it.
#[derive(Clone, Debug)]
pub(crate) struct RepartitionNames {
    /// The topic, without the application's id.
    pub(crate) topic: String,
    pub(crate) filter: String,
    pub(crate) sink: String,
    pub(crate) source: String,
}

/// A logical node.
pub(crate) struct LogicalNode {
    /// The name that children name as their parent.
    pub(crate) name: String,
    pub(crate) parents: Vec<NodeId>,
    pub(crate) children: Vec<NodeId>,
    /// Nodes are written in this order, parents first.
    pub(crate) priority: usize,
    pub(crate) effect: Effect,
    pub(crate) kind: Kind,
    /// Whether it joins records without a key, too: then repartition topics above must not leave them out.
    pub(crate) joins_null_keys: bool,
    /// Of windowed aggregations: how long after its end, in milliseconds, a window takes no more records.
    pub(crate) window_grace_ms: Option<i64>,
    pub(crate) write: Option<WriteNode>,
}

/// The topology being drafted.
pub(crate) struct Draft {
    pub(crate) options: BuildOptions,
    pub(crate) names: Names,
    pub(crate) nodes: Vec<LogicalNode>,
    priorities: usize,
}

impl Draft {
    /// The parent of all sources.
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn new(options: BuildOptions) -> Self {
        let root = LogicalNode {
            name: "root".to_owned(),
            parents: Vec::new(),
            children: Vec::new(),
            priority: 0,
            effect: Effect::None,
            kind: Kind::Root,
            joins_null_keys: false,
            window_grace_ms: None,
            write: None,
        };
        Self {
            options,
            names: Names::default(),
            nodes: vec![root],
            priorities: 1,
        }
    }

    /// A node without parents yet.
    pub(crate) fn node(
        &mut self,
        name: impl Into<String>,
        (kind, effect): (Kind, Effect),
        write: impl FnOnce(&mut Lowering, &Site) -> Result<()> + 'static,
    ) -> NodeId {
        self.nodes.push(LogicalNode {
            name: name.into(),
            parents: Vec::new(),
            children: Vec::new(),
            priority: 0,
            effect,
            kind,
            joins_null_keys: false,
            window_grace_ms: None,
            write: Some(Box::new(write)),
        });
        NodeId(self.nodes.len() - 1)
    }

    /// Puts a node below another. Like Java, this moves the node to the end of the order in which nodes are written, each
    /// time it is called.
    pub(crate) fn attach(&mut self, parent: NodeId, child: NodeId) {
        self.link(parent, child);
        let priority = self.priorities;
        self.priorities += 1;
        self.at_mut(child).priority = priority;
    }

    /// Puts a node below another, in the order of writing that it has.
    pub(crate) fn link(&mut self, parent: NodeId, child: NodeId) {
        let children = &mut self.at_mut(parent).children;
        if !children.contains(&child) {
            children.push(child);
        }
        let parents = &mut self.at_mut(child).parents;
        if !parents.contains(&parent) {
            parents.push(parent);
        }
    }

    /// Takes a node away from below another.
    pub(crate) fn unlink(&mut self, parent: NodeId, child: NodeId) {
        self.at_mut(parent).children.retain(|node| *node != child);
        self.at_mut(child).parents.retain(|node| *node != parent);
    }

    /// How long after its end, in milliseconds, a window takes no more records at this node: a matter of the windowed
    /// aggregation nearest above, or of the one that waits longest. `None` if there is none.
    pub(crate) fn window_grace_ms(&self, id: NodeId) -> Option<i64> {
        let node = self.at(id);
        let above = || {
            node.parents
                .iter()
                .filter_map(|parent| self.window_grace_ms(*parent))
                .max()
        };
        node.window_grace_ms.or_else(above)
    }

    /// Which nodes have one below them that joins records without a key.
    pub(crate) fn above_null_key_joins(&self) -> Vec<bool> {
        let mut wanted = vec![false; self.nodes.len()];
        let joins = self.nodes.iter().filter(|node| node.joins_null_keys);
        let mut waiting: Vec<NodeId> = joins.flat_map(|node| node.parents.clone()).collect();
        while let Some(id) = waiting.pop() {
            if let Some(known @ false) = wanted.get_mut(id.0) {
                *known = true;
                waiting.extend(&self.at(id).parents);
            }
        }
        wanted
    }

    pub(crate) fn at(&self, id: NodeId) -> &LogicalNode {
        self.nodes
            .get(id.0)
            .expect("node ids come from `node`, and nodes are never removed")
    }

    pub(crate) fn at_mut(&mut self, id: NodeId) -> &mut LogicalNode {
        self.nodes
            .get_mut(id.0)
            .expect("node ids come from `node`, and nodes are never removed")
    }
}
