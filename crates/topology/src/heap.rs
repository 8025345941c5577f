//! A binary heap that also breaks ties as Java's `PriorityQueue` does, so that what Java interleaves in a certain way comes
//! in the same order here: records of several partitions, timers that are due at one time.

/// Things with a time, the one with the smallest at the front.
#[derive(Debug)]
pub struct Heap<T> {
    heap: Vec<(i64, T)>,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self { heap: Vec::new() }
    }
}

impl<T> Heap<T> {
    /// The smallest time.
    #[inline]
    pub fn first(&self) -> Option<i64> {
        self.heap.first().map(|(timestamp, _)| *timestamp)
    }

    /// All things, in no order.
    pub fn things(&self) -> impl Iterator<Item = &T> {
        self.heap.iter().map(|(_, thing)| thing)
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.heap.clear();
    }

    /// Adds a thing with this time.
    pub fn push(&mut self, timestamp: i64, thing: T) {
        let mut at = self.heap.len();
        self.heap.push((timestamp, thing));
        while at > 0 {
            let parent = (at - 1) / 2;
            if timestamp >= self.timestamp(parent) {
                break;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    /// Takes out the thing with the smallest time.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let last = self.heap.pop()?;
        let Some(front) = self.heap.first_mut() else {
            return Some(last.1);
        };
        let timestamp = last.0;
        let (_, thing) = std::mem::replace(front, last);
        self.sift_down(timestamp);
        Some(thing)
    }

    fn sift_down(&mut self, timestamp: i64) {
        let len = self.heap.len();
        let mut at = 0;
        while at < len / 2 {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let right_first = right < len && self.timestamp(left) > self.timestamp(right);
            let child = if right_first { right } else { left };
            if timestamp <= self.timestamp(child) {
                break;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }

    fn timestamp(&self, at: usize) -> i64 {
        self.heap.get(at).map_or(i64::MAX, |(timestamp, _)| *timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(order: &mut Heap<usize>) -> Vec<usize> {
        std::iter::from_fn(|| order.pop()).collect()
    }

    #[test]
    fn the_smallest_timestamp_is_first() {
        let mut order = Heap::default();
        for (queue, timestamp) in [5, 3, 9, 1, 7].into_iter().enumerate() {
            order.push(timestamp, queue);
        }
        assert_eq!(drain(&mut order), [3, 1, 0, 4, 2]);
    }

    #[test]
    fn ties_come_in_the_order_of_javas_heap() {
        let mut order = Heap::default();
        for queue in 0..4 {
            order.push(0, queue);
        }
        // Java: the last element takes the place of the one that left, and stays there among equals.
        assert_eq!(drain(&mut order), [0, 3, 2, 1]);
    }
}
