//! Panics of user code, caught where they are the error of one record.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// User code panicked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {message}")]
pub struct Panic {
    /// What the panic said.
    pub message: String,
}

impl Panic {
    /// The panic that came with this payload.
    pub fn of(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
        Self {
            message: text.unwrap_or("without a message").to_owned(),
        }
    }
}

/// Calls user code. What the code may leave half done is its own, or belongs to a record that is given up; while nothing
/// panics this costs nothing.
#[inline]
pub(crate) fn guarded<T, E: From<Panic>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| Err(E::from(Panic::of(payload.as_ref()))))
}
