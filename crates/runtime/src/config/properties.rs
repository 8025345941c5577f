//! Java's `.properties` format.

use std::collections::BTreeMap;

/// The keys and values of a `.properties` text: `key=value`, `key:value` or `key value`, comments with `#` or `!`,
/// lines continued with a backslash, `\t`, `\n`, `\r`, `\f` and `\uXXXX`.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut logical = line.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while continues(&logical) {
            logical.pop();
            logical.push_str(lines.next().unwrap_or_default().trim_start());
        }
        let (key, value) = split(&logical);
        values.insert(unescape(key), unescape(value));
    }
    values
}

/// Whether the line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Cuts at the first separator that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '=' || c == ':' || c.is_whitespace() {
            let (key, rest) = line.split_at(at);
            let rest = rest.trim_start();
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (key, rest.trim_start());
        }
    }
    (line, "")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> = expected
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn separators_comments_and_blank_lines() {
        check(
            "# a comment\n! another\n\na=1\nb: 2\nc 3\n  d  =  4 \ne\n",
            &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4 "), ("e", "")],
        );
    }

    #[test]
    fn continued_lines_and_escapes() {
        check(
            "servers=one:1,\\\n    two:2\npath=C\\:\\\\tmp\nkey\\ with\\=signs=\\u0041\\t.",
            &[
                ("servers", "one:1,two:2"),
                ("path", "C:\\tmp"),
                ("key with=signs", "A\t."),
            ],
        );
    }
}
