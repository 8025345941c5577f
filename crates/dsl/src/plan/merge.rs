//! The optimiser's wish to have fewer repartition topics: those below one key change become one, right after it.
//!
//! The search follows Java's, which is what decides the names of topics; see `formats.md` 1.6 in the design.

use super::node::{Draft, Effect, Kind, NodeId, Repartition};
use crate::builder::BuildOptions;
use crate::error::{Error, Result};
use crate::stream::draw_names;

/// Key-changing nodes, each with the repartition topics that are there because of it.
type Changers = Vec<(NodeId, Vec<NodeId>)>;

impl Draft {
    /// Merges repartition topics. Java refuses to where an operator stands above several of them; so does this, if
    /// its quirks are wanted.
    pub(crate) fn merge_repartitions(&mut self, options: &BuildOptions) -> Result<()> {
        let mut changers = self.key_changers();
        self.move_to_merges(&mut changers);
        for (changer, replaced) in changers {
            if let Some(merged) = self.merged_repartition(changer, &replaced) {
                for node in replaced {
                    let moved = self.replace(changer, node, merged);
                    if options.java_quirks && !moved {
                        let node = self.at(node).name.clone();
                        return Err(Error::UnmergeableRepartition { node });
                    }
                }
                self.link(changer, merged);
            }
        }
        Ok(())
    }

    fn key_changers(&self) -> Changers {
        let mut changers = Changers::new();
        for id in self.ids() {
            if self.at(id).effect == Effect::Keys {
                changers.push((id, Vec::new()));
            } else if let Kind::Repartition(_) = self.at(id).kind {
                let changed = self.find_above(id, &|node| self.at(node).effect != Effect::None);
                let rekeyed = self.find_above(id, &|node| self.at(node).effect == Effect::Keys);
                let entry = changers
                    .iter_mut()
                    .find(|(changer, _)| changed.is_some() && Some(*changer) == rekeyed);
                if let Some((_, repartitions)) = entry.filter(|_| changed == rekeyed) {
                    repartitions.push(id);
                }
            }
        }
        changers
    }

    /// Where changed keys come together in a merge, and are repartitioned only below it, the merge takes the place of the
    /// key changes.
    fn move_to_merges(&self, changers: &mut Changers) {
        let mut moved = Vec::new();
        let mut merges = Changers::new();
        for merge in self.ids().filter(|id| matches!(self.at(*id).kind, Kind::Merge)) {
            let below_merge = |node: &NodeId| self.find_above(*node, &|above| self.has_parent(above, merge)).is_some();
            let mut repartitions = Vec::new();
            for (changer, theirs) in changers.iter() {
                let feeds_merge = self
                    .find_above(merge, &|above| self.has_parent(above, *changer))
                    .is_some();
                if feeds_merge && theirs.iter().all(below_merge) {
                    repartitions.extend(
                        theirs
                            .iter()
                            .filter(|node| !repartitions.contains(*node))
                            .copied()
                            .collect::<Vec<_>>(),
                    );
                    moved.push(*changer);
                }
            }
            merges.push((merge, repartitions));
        }
        changers.retain(|(changer, _)| !moved.contains(changer));
        changers.extend(merges);
    }

    /// The node that replaces these; none if there are none. Its names count as drawn now.
    fn merged_repartition(&mut self, changer: NodeId, replaced: &[NodeId]) -> Option<NodeId> {
        let first = *replaced.first()?;
        let Kind::Repartition(Repartition { topic, rewrite }) = &self.at(first).kind else {
            return None;
        };
        let (topic, rewrite) = (topic.clone(), rewrite.clone());
        let names = draw_names(self, &topic);
        let source = names.source.clone();
        let write = rewrite(names);
        let merged = self.node(source, (Kind::Plain, Effect::None), write);
        self.at_mut(merged).priority = self.at(changer).priority;
        Some(merged)
    }

    /// Takes a repartition out of its place. Whether what is between it and the key change had to be moved.
    fn replace(&mut self, changer: NodeId, replaced: NodeId, merged: NodeId) -> bool {
        let below_changer = self.find_above(replaced, &|node| self.has_parent(node, changer));
        if let Some(below_changer) = below_changer {
            self.link(merged, below_changer);
            self.unlink(changer, below_changer);
        }
        let parents = self.at(replaced).parents.clone();
        for child in self.at(replaced).children.clone() {
            for parent in &parents {
                self.link(*parent, child);
            }
            self.unlink(replaced, child);
        }
        for parent in parents {
            self.unlink(parent, replaced);
        }
        below_changer.is_some()
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    fn has_parent(&self, node: NodeId, parent: NodeId) -> bool {
        self.at(node).parents.contains(&parent)
    }

    /// The nearest node above, or this one, for which the predicate holds. Of several parents the last one decides.
    fn find_above(&self, start: NodeId, holds: &dyn Fn(NodeId) -> bool) -> Option<NodeId> {
        if holds(start) {
            return Some(start);
        }
        let mut found = None;
        for parent in &self.at(start).parents {
            if holds(*parent) {
                return Some(*parent);
            }
            found = self.find_above(*parent, holds);
        }
        found
    }
}
