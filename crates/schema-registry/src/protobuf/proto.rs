//! As much of a `.proto` file as it takes to find its messages: their names and where they stand.

/// Where a message stands: its place among the file's messages, then among those inside that one, and so on.
pub(super) fn place_of(file: &str, message: &str) -> Option<Vec<i32>> {
    let wanted = inner_name(file, message);
    let mut found = messages(file).into_iter();
    found.find(|found| found.name == wanted).map(|found| found.place)
}

/// The full name of the message that stands there.
pub(super) fn name_at(file: &str, place: &[i32]) -> Option<String> {
    let found = messages(file).into_iter().find(|found| found.place == place)?;
    Some(full_name(file, &found.name))
}

/// A message's name with that of its package.
pub(super) fn full_name(file: &str, message: &str) -> String {
    let inner = inner_name(file, message);
    package(file).map_or_else(|| inner.to_owned(), |package| format!("{package}.{inner}"))
}

/// A message's name without that of its package.
fn inner_name<'a>(file: &str, message: &'a str) -> &'a str {
    let within = package(file).and_then(|package| message.strip_prefix(package)?.strip_prefix('.'));
    within.unwrap_or(message)
}

/// A message of the file, with the names of those around it.
struct Found {
    name: String,
    place: Vec<i32>,
}

/// What is open at some point of the file.
enum Scope {
    /// A message: its name, its place, and how many messages there were in it so far.
    Message { name: String, place: Vec<i32>, inside: i32 },
    /// Something else in braces.
    Other,
}

fn messages(file: &str) -> Vec<Found> {
    let tokens = tokens(file);
    let mut scopes = vec![Scope::Message {
        name: String::new(),
        place: Vec::new(),
        inside: 0,
    }];
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" => {
                let before = at.checked_sub(2).and_then(|from| tokens.get(from..at));
                let scope = match (before, scopes.last_mut()) {
                    (Some(["message", own]), Some(Scope::Message { name, place, inside })) => {
                        let name = if name.is_empty() {
                            (*own).to_owned()
                        } else {
                            format!("{name}.{own}")
                        };
                        let place = [place.as_slice(), &[*inside]].concat();
                        *inside += 1;
                        found.push(Found {
                            name: name.clone(),
                            place: place.clone(),
                        });
                        Scope::Message { name, place, inside: 0 }
                    }
                    _ => Scope::Other,
                };
                scopes.push(scope);
            }
            "}" => {
                scopes.pop();
            }
            _ => {}
        }
    }
    found
}

fn package(file: &str) -> Option<&str> {
    let tokens = tokens(file);
    let at = tokens.iter().position(|token| *token == "package")?;
    tokens.get(at + 1).copied()
}

/// The file's words and signs, without comments and texts.
fn tokens(file: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = file;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' | '\'' => text_length(rest, first),
            _ if is_word(first) => {
                let length = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
                tokens.extend(rest.get(..length));
                length
            }
            _ => {
                let length = first.len_utf8();
                if !first.is_whitespace() {
                    tokens.extend(rest.get(..length));
                }
                length
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_' || char == '.'
}

/// How far a text between quotes goes.
fn text_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + char.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        // message Ghost {
        syntax = "proto3"; /* message Ghost { */
        package shop.v1;
        option java_package = "message Ghost {\"";
        message Customer { string message = 1; map<string, string> tags = 2; }
        enum Colour { RED = 0; }
        message Order {
            enum State { NEW = 0; }
            oneof payment { string card = 1; string cash = 2; }
            message Line { message Part { string name = 1; } Part part = 1; }
            message Address {}
        }
        service Shop { rpc Buy (Order) returns (Order) { option deprecated = true; } }
        message Last {}
    "#;

    #[test]
    fn messages_have_their_place() {
        for (name, place) in [
            ("Customer", &[0][..]),
            ("Order", &[1]),
            ("Order.Line", &[1, 0]),
            ("Order.Line.Part", &[1, 0, 0]),
            ("Order.Address", &[1, 1]),
            ("Last", &[2]),
        ] {
            assert_eq!(place_of(FILE, name).as_deref(), Some(place), "{name}");
            let full = format!("shop.v1.{name}");
            assert_eq!(place_of(FILE, &full).as_deref(), Some(place), "{full}");
            assert_eq!(name_at(FILE, place), Some(full));
        }
        assert_eq!(place_of(FILE, "Ghost"), None);
        assert_eq!(name_at(FILE, &[7]), None);
    }

    #[test]
    fn files_that_are_none_have_no_messages() {
        for file in ["", "}}}{", "message", "message X", "\"", "/*", "package"] {
            assert_eq!(place_of(file, "X"), None, "{file}");
        }
    }
}
