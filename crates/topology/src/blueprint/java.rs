//! The order in which Java iterates its hash sets of strings. Java's description text shows it, so it is part of the format.

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
