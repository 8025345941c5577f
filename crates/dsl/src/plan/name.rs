//! Generated names, drawn from one counter in Java's order, and the rules for given ones.

use std::cell::RefCell;

use crate::error::{Error, Result};

/// The counter that numbers generated names. Two programs with the same operators in the same order have the same names,
/// in Java and here: topics and stores depend on it.
#[derive(Debug, Default)]
pub(crate) struct Names {
    drawn: u32,
}

impl Names {
    /// The next generated node name.
    pub(crate) fn draw(&mut self, prefix: &str) -> String {
        let name = format!("{prefix}{:010}", self.drawn);
        self.drawn += 1;
        name
    }

    /// The given name, or a generated one. Java draws a number in both cases.
    pub(crate) fn or_draw(&mut self, given: Option<String>, prefix: &str) -> Result<String> {
        let drawn = self.draw(prefix);
        match given {
            Some(name) => valid(name),
            None => Ok(drawn),
        }
    }

    /// The given store name, or a generated one; a given name leaves the counter alone.
    pub(crate) fn store(&mut self, given: Option<String>, prefix: &str) -> Result<String> {
        match given {
            Some(name) => valid(name),
            None => Ok(self.draw(&format!("{prefix}STATE-STORE-"))),
        }
    }
}

/// The name, if Kafka would take it as part of a topic's name.
pub(crate) fn valid(name: String) -> Result<String> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it stands for a directory"
    } else if name.len() > 249 {
        "it is longer than 249 characters"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        "only ASCII letters, digits, '.', '_' and '-' are allowed"
    } else {
        return Ok(name);
    };
    Err(Error::InvalidName { name, reason })
}

/// Whether Java takes this repartition topic's base for a generated name (`KSTREAM.*-[0-9]{10}`), and so names the nodes
/// around it with generated names too.
pub(crate) fn is_generated(name: &str) -> bool {
    let digits = name.len().checked_sub(11).and_then(|at| name.get(at..));
    name.starts_with("KSTREAM")
        && digits.is_some_and(|end| end.starts_with('-') && end.bytes().skip(1).all(|b| b.is_ascii_digit()))
}

/// An option that is set at most once, after the operator was recorded and before the program is built.
#[derive(Debug)]
pub(crate) struct Late<T> {
    option: &'static str,
    state: RefCell<State<T>>,
}

#[derive(Debug)]
enum State<T> {
    Unset,
    Set(T),
    Twice,
    Taken,
}

impl<T> Late<T> {
    pub(crate) fn new(option: &'static str) -> Self {
        Self {
            option,
            state: RefCell::new(State::Unset),
        }
    }

    pub(crate) fn set(&self, value: T) {
        let mut state = self.state.borrow_mut();
        *state = match *state {
            State::Unset => State::Set(value),
            State::Set(_) | State::Twice => State::Twice,
            State::Taken => panic!("the program is built already: set the {} before `build()`", self.option),
        };
    }

    /// Looks at what is set so far.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        match &*self.state.borrow() {
            State::Set(value) => Some(look(value)),
            State::Unset | State::Twice | State::Taken => None,
        }
    }

    /// What was set. `operator` says in an error who was meant.
    pub(crate) fn take(&self, operator: &str) -> Result<Option<T>> {
        match self.state.replace(State::Taken) {
            State::Unset | State::Taken => Ok(None),
            State::Set(value) => Ok(Some(value)),
            State::Twice => Err(Error::SetTwice {
                option: self.option,
                node: operator.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_burn_a_number() {
        let mut names = Names::default();
        assert_eq!(
            names.or_draw(Some("mine".to_owned()), "KSTREAM-MAP-").expect("valid"),
            "mine"
        );
        assert_eq!(names.draw("KSTREAM-MAP-"), "KSTREAM-MAP-0000000001");
        assert_eq!(names.store(None, "in-").expect("valid"), "in-STATE-STORE-0000000002");
        assert_eq!(names.store(Some("st".to_owned()), "in-").expect("valid"), "st");
        assert_eq!(names.draw(""), "0000000003");
    }

    #[test]
    fn names_follow_kafkas_rules() {
        for bad in ["", ".", "..", "a b", "é", &"x".repeat(250)] {
            assert!(valid(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(valid("a.b_c-9".to_owned()).is_ok());
    }

    #[test]
    fn generated_names_are_known_by_their_form() {
        assert!(is_generated("KSTREAM-AGGREGATE-STATE-STORE-0000000003"));
        assert!(!is_generated("COGROUPKSTREAM-AGGREGATE-STATE-STORE-0000000003"));
        assert!(!is_generated("KSTREAM-0003"));
        assert!(!is_generated("counts"));
    }
}
