//! The program as it was written, and how it becomes a topology.
//!
//! Operators are *recorded* in the order of their calls; options may still be set on the handles that they return. At
//! `build()` the recorded operators run once, in that order: each draws its names and adds *logical nodes* to the
//! [`Draft`]. Then the draft is tidied (`optimize`) and *lowered*: its nodes are written to a topology in Java's order,
//! which decides the numbers of the subtopologies.

use std::cell::RefCell;
use std::rc::Rc;

use crate::builder::BuildOptions;
use crate::error::{Error, Result};

mod lower;
mod merge;
mod name;
mod node;
mod optimize;

pub(crate) use lower::{Lowering, Site};
pub(crate) use name::{Late, is_generated, valid};
pub(crate) use node::{
    Draft, Effect, Kind, NodeId, Repartition, RepartitionNames, SelfJoinable, Source, TableSource, WriteNode,
};

/// An operator that waits for `build()`.
type Operator = Box<dyn FnOnce(&mut Draft) -> Result<()>>;

/// The recorded program, shared by the builder and all its streams and tables.
#[derive(Clone)]
pub(crate) struct Plan(Rc<RefCell<Option<Vec<Operator>>>>);

impl Plan {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(Some(Vec::new()))))
    }

    pub(crate) fn record(&self, operator: impl FnOnce(&mut Draft) -> Result<()> + 'static) {
        self.0
            .borrow_mut()
            .as_mut()
            .expect("the program is built already: add operators before `build()`")
            .push(Box::new(operator));
    }

    /// Runs the recorded operators. Nothing can be recorded afterwards.
    pub(crate) fn draft(&self, options: BuildOptions) -> Result<Draft> {
        let operators = self.0.borrow_mut().take().unwrap_or_default();
        let mut draft = Draft::new(options);
        for operator in operators {
            operator(&mut draft)?;
        }
        Ok(draft)
    }
}

/// What an operator came to, known once the recorded operators before it have run.
pub(crate) struct Planned<T>(std::cell::OnceCell<T>);

impl<T> Planned<T> {
    pub(crate) fn new() -> Self {
        Self(std::cell::OnceCell::new())
    }

    pub(crate) fn set(&self, value: T) {
        let first = self.0.set(value).is_ok();
        assert!(first, "an operator runs once: `draft` takes it out of the program");
    }

    /// The outcome. It is missing only if the handle comes from another builder's program.
    pub(crate) fn get(&self, asking: &str) -> Result<&T> {
        self.0.get().ok_or_else(|| Error::OtherBuilder {
            node: asking.to_owned(),
        })
    }
}
