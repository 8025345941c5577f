//! The order in which Java iterates its hash sets of strings. Java's description text shows it, so it is part of the format.

use std::cmp::Ordering;

/// Distinct strings in the order in which a `HashMap` that grew to hold them iterates.
pub(super) fn grown_order<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut buckets = 16;
    // The default load factor is 3/4: a table doubles when it holds more than that.
    while names.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    in_buckets(names, buckets)
}

/// Distinct strings in the order of `new HashSet<>(copied)`, where `copied` is a set that grew.
pub(super) fn copied_order<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let names = grown_order(names);
    let buckets = (names.len() * 4 / 3 + 1).max(16).next_power_of_two();
    in_buckets(names, buckets)
}

/// Strings in the order of `new HashSet<>(list)`.
pub(super) fn list_order<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let names: Vec<&str> = names.into_iter().collect();
    let buckets = (names.len() * 4 / 3 + 1).max(16).next_power_of_two();
    in_buckets(names, buckets)
}

fn in_buckets(mut names: Vec<&str>, buckets: usize) -> Vec<&str> {
    let mask = u32::try_from(buckets - 1).unwrap_or(u32::MAX);
    // Stable: within a bucket, names stay in the order in which they were inserted.
    names.sort_by_key(|name| {
        let hash = hash_code(name);
        (hash ^ (hash >> 16)) & mask
    });
    names
}

/// `String.hashCode`.
pub(super) fn hash_code(text: &str) -> u32 {
    text.encode_utf16()
        .fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// A `TreeSet` whose elements change their order while they are in it. Java's tree does not move them; where a new one goes
/// depends on the shape of the tree, so the tree is built here with the same rotations.
#[derive(Debug, Default)]
pub(super) struct TreeSet {
    nodes: Vec<TreeNode>,
    root: Option<usize>,
}

#[derive(Debug)]
struct TreeNode {
    element: usize,
    parent: Option<usize>,
    /// Left and right.
    children: [Option<usize>; 2],
    red: bool,
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

impl TreeSet {
    /// Adds an element, unless one that is equal to it is met on the way to its place.
    pub(super) fn insert(&mut self, element: usize, compare: impl Fn(usize, usize) -> Ordering) {
        let mut place = None;
        let mut next = self.root;
        while let Some(node) = next.and_then(|at| self.nodes.get(at)) {
            let side = match compare(element, node.element) {
                Ordering::Less => LEFT,
                Ordering::Greater => RIGHT,
                Ordering::Equal => return,
            };
            place = next.map(|parent| (parent, side));
            next = self.child(next, side);
        }
        let new = self.nodes.len();
        let parent = place.map(|(parent, _)| parent);
        self.nodes.push(TreeNode {
            element,
            parent,
            children: [None, None],
            red: true,
        });
        match place {
            None => self.root = Some(new),
            Some((parent, side)) => self.set_child(Some(parent), side, Some(new)),
        }
        self.rebalance(new);
    }

    /// The elements in the order of the tree.
    pub(super) fn elements(&self) -> Vec<usize> {
        let mut elements = Vec::new();
        self.visit(self.root, &mut elements);
        elements
    }

    fn visit(&self, at: Option<usize>, elements: &mut Vec<usize>) {
        let Some(node) = at.and_then(|at| self.nodes.get(at)) else {
            return;
        };
        self.visit(self.child(at, LEFT), elements);
        elements.push(node.element);
        self.visit(self.child(at, RIGHT), elements);
    }

    /// `TreeMap.fixAfterInsertion`.
    fn rebalance(&mut self, new: usize) {
        let mut at = Some(new);
        while at.is_some() && at != self.root && self.is_red(self.parent(at)) {
            let (parent, grandparent) = (self.parent(at), self.parent(self.parent(at)));
            let side = if parent == self.child(grandparent, LEFT) {
                LEFT
            } else {
                RIGHT
            };
            let uncle = self.child(grandparent, 1 - side);
            if self.is_red(uncle) {
                self.paint(parent, false);
                self.paint(uncle, false);
                self.paint(grandparent, true);
                at = grandparent;
                continue;
            }
            if at == self.child(parent, 1 - side) {
                at = parent;
                self.rotate(at, side);
            }
            let (parent, grandparent) = (self.parent(at), self.parent(self.parent(at)));
            self.paint(parent, false);
            self.paint(grandparent, true);
            self.rotate(grandparent, 1 - side);
        }
        self.paint(self.root, false);
    }

    /// Lets the other side's child rise, and the node go down on this side.
    fn rotate(&mut self, at: Option<usize>, side: usize) {
        let rising = self.child(at, 1 - side);
        let (Some(node), Some(risen)) = (at, rising) else {
            return;
        };
        let inner = self.child(rising, side);
        self.set_child(at, 1 - side, inner);
        self.set_parent(inner, at);
        let above = self.parent(at);
        self.set_parent(rising, above);
        match above {
            None => self.root = rising,
            Some(_) if self.child(above, LEFT) == Some(node) => self.set_child(above, LEFT, rising),
            Some(_) => self.set_child(above, RIGHT, rising),
        }
        self.set_child(Some(risen), side, at);
        self.set_parent(at, rising);
    }

    fn child(&self, at: Option<usize>, side: usize) -> Option<usize> {
        at.and_then(|at| self.nodes.get(at))
            .and_then(|node| *node.children.get(side)?)
    }

    fn parent(&self, at: Option<usize>) -> Option<usize> {
        at.and_then(|at| self.nodes.get(at)?.parent)
    }

    fn is_red(&self, at: Option<usize>) -> bool {
        at.and_then(|at| self.nodes.get(at)).is_some_and(|node| node.red)
    }

    fn paint(&mut self, at: Option<usize>, red: bool) {
        if let Some(node) = at.and_then(|at| self.nodes.get_mut(at)) {
            node.red = red;
        }
    }

    fn set_child(&mut self, at: Option<usize>, side: usize, child: Option<usize>) {
        let node = at.and_then(|at| self.nodes.get_mut(at));
        if let Some(slot) = node.and_then(|node| node.children.get_mut(side)) {
            *slot = child;
        }
    }

    fn set_parent(&mut self, at: Option<usize>, parent: Option<usize>) {
        if let Some(node) = at.and_then(|at| self.nodes.get_mut(at)) {
            node.parent = parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(hash_code(""), 0);
        assert_eq!(hash_code("a"), 97);
        assert_eq!(hash_code("hello"), 99_162_322);
        assert_eq!(hash_code("KSTREAM-SOURCE-0000000000"), {
            let text = "KSTREAM-SOURCE-0000000000";
            text.bytes()
                .fold(0_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)))
        });
    }

    #[test]
    fn sets_iterate_as_java_printed_them() {
        let names = [
            "KSTREAM-AGGREGATE-STATE-STORE-0000000003",
            "counts",
            "a",
            "q",
            "p",
            "Aa",
            "BB",
        ];
        let printed = [
            "p",
            "Aa",
            "BB",
            "KSTREAM-AGGREGATE-STATE-STORE-0000000003",
            "a",
            "q",
            "counts",
        ];
        assert_eq!(list_order(names), printed);
        assert_eq!(copied_order(names), printed);

        // Fourteen are too many for sixteen buckets.
        let names: Vec<String> = (0..14).map(|number| format!("KSTREAM-MAP-{number:010}")).collect();
        let printed = [7, 8, 5, 6, 9, 10, 0, 11, 3, 4, 1, 12, 2, 13].map(|number| format!("KSTREAM-MAP-{number:010}"));
        assert_eq!(grown_order(names.iter().map(String::as_str)), printed);
        assert_eq!(copied_order(names.iter().map(String::as_str)), printed);
    }
}
