//! The input as a function of its index, and what one pass over it gives.

use std::collections::BTreeMap;

/// Partitions of every topic.
pub const PARTITIONS: i32 = 4;

/// Groups per input partition.
const GROUPS: u64 = 5;

/// The input topics: every number, and the even ones again.
pub const LEFT: &str = "left";
/// See [`LEFT`].
pub const RIGHT: &str = "right";

/// The output topics: running totals of each group, each number with its group's totals, pairs of left and right.
pub const OUTPUTS: [&str; 3] = ["totals", "joined", "pairs"];

/// The partition of a number, in both input topics.
pub fn partition(number: u64) -> i32 {
    (number % PARTITIONS as u64) as i32
}

/// Whether a number is in `right`, too.
pub fn is_right(number: u64) -> bool {
    number.is_multiple_of(3)
}

/// The group of a number: all numbers of a group are in one partition.
pub fn group(number: u64) -> String {
    let within = (number / PARTITIONS as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    format!("group-{}-{}", partition(number), within % GROUPS)
}

/// The totals of a group after another number: how many, their sum, and a digest of their order.
pub fn fold(number: u64, totals: &str) -> String {
    let mut parts = totals.split(' ').map(|part| part.parse::<u64>().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    let (count, sum, digest) = (next(), next(), next());
    let digest = digest.wrapping_mul(31).wrapping_add(number);
    format!("{} {} {digest}", count + 1, sum + number)
}

/// What is joined of a number and its group's totals.
pub fn join_totals(number: &str, totals: &str) -> String {
    format!("{number} in {totals}")
}

/// What is joined of left and right.
pub fn join_sides(left: &str, right: &str) -> String {
    format!("{left} and {right}")
}

/// The values of each key of a topic, in the order of their offsets.
pub type Values = BTreeMap<String, Vec<String>>;

/// What the output topics hold after so many numbers, in the order of [`OUTPUTS`].
pub fn single_pass(numbers: u64) -> [Values; 3] {
    let [mut totals, mut joined, mut pairs] = [Values::new(), Values::new(), Values::new()];
    let mut of_group: BTreeMap<String, String> = BTreeMap::new();
    for number in 0..numbers {
        let group = group(number);
        let now = fold(number, of_group.get(&group).map_or("", String::as_str));
        let text = number.to_string();
        joined.entry(group.clone()).or_default().push(join_totals(&text, &now));
        totals.entry(group.clone()).or_default().push(now.clone());
        of_group.insert(group, now);
        if is_right(number) {
            pairs.entry(text.clone()).or_default().push(join_sides(&text, &text));
        }
    }
    [totals, joined, pairs]
}

/// Where two topics' contents differ, a line for each key, at most so many.
pub fn differences(topic: &str, expected: &Values, found: &Values, lines_max: usize) -> Vec<String> {
    let keys = expected
        .keys()
        .chain(found.keys().filter(|key| !expected.contains_key(*key)));
    let none = Vec::new();
    let differing = keys.filter_map(|key| {
        let (expected, found) = (expected.get(key).unwrap_or(&none), found.get(key).unwrap_or(&none));
        if expected == found {
            return None;
        }
        let at = expected
            .iter()
            .zip(found)
            .take_while(|(one, other)| one == other)
            .count();
        let of = |values: &[String]| values.get(at).cloned().unwrap_or_else(|| "nothing".to_owned());
        Some(format!(
            "{topic} {key}: {} values, expected {}; at {at} \"{}\", expected \"{}\"",
            found.len(),
            expected.len(),
            of(found),
            of(expected)
        ))
    });
    differing.take(lines_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_count_sum_and_digest() {
        assert_eq!(fold(7, ""), "1 7 7");
        assert_eq!(fold(2, "1 7 7"), "2 9 219");
    }

    #[test]
    fn a_duplicate_a_gap_and_a_stranger_differ() {
        let [totals, ..] = single_pass(100);
        assert_eq!(differences("t", &totals, &totals, 9), Vec::<String>::new());
        let changed = |change: &dyn Fn(&mut Values)| {
            let mut found = totals.clone();
            change(&mut found);
            differences("t", &totals, &found, 9).len()
        };
        let first = group(0);
        assert_eq!(
            changed(&|found| found.entry(first.clone()).or_default().push("1 0 0".to_owned())),
            1
        );
        assert_eq!(
            changed(&|found| drop(found.entry(first.clone()).or_default().remove(1))),
            1
        );
        assert_eq!(changed(&|found| drop(found.remove(&first))), 1);
        assert_eq!(
            changed(&|found| drop(found.insert("stranger".to_owned(), vec![String::new()]))),
            1
        );
    }
}
