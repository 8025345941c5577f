//! Which queue is next: a binary heap that also breaks ties as Java's `PriorityQueue` does, so that records which Java's
//! driver interleaves in a certain way come in the same order here.

/// Numbers of queues, the one with the smallest timestamp at the front.
#[derive(Debug, Default)]
pub(crate) struct Order {
    heap: Vec<(i64, usize)>,
}

impl Order {
    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }

    pub(crate) fn push(&mut self, timestamp: i64, queue: usize) {
        let mut at = self.heap.len();
        self.heap.push((timestamp, queue));
        while at > 0 {
            let parent = (at - 1) / 2;
            if timestamp >= self.timestamp(parent) {
                break;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<usize> {
        let last = self.heap.pop()?;
        let Some(front) = self.heap.first_mut() else {
            return Some(last.1);
        };
        let (_, queue) = std::mem::replace(front, last);
        self.sift_down(last.0);
        Some(queue)
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

    fn drain(order: &mut Order) -> Vec<usize> {
        std::iter::from_fn(|| order.pop()).collect()
    }

    #[test]
    fn the_smallest_timestamp_is_first() {
        let mut order = Order::default();
        for (queue, timestamp) in [5, 3, 9, 1, 7].into_iter().enumerate() {
            order.push(timestamp, queue);
        }
        assert_eq!(drain(&mut order), [3, 1, 0, 4, 2]);
    }

    #[test]
    fn ties_come_in_the_order_of_javas_heap() {
        let mut order = Order::default();
        for queue in 0..4 {
            order.push(0, queue);
        }
        // Java: the last element takes the place of the one that left, and stays there among equals.
        assert_eq!(drain(&mut order), [0, 3, 2, 1]);
    }
}
