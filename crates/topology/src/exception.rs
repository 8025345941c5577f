//! What Java would have thrown: class names and messages for headers that programs in Java read, too.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;

use crate::panic::Panic;
use crate::serde::SerdeError;

/// The class of what user code throws without saying more.
const RUNTIME: &str = "java.lang.RuntimeException";
/// The class of what Java throws at an argument that cannot be.
pub(crate) const ILLEGAL_ARGUMENT: &str = "java.lang.IllegalArgumentException";
/// The class of what Java throws at a length below nothing.
pub(crate) const NEGATIVE_SIZE: &str = "java.lang.NegativeArraySizeException";
/// The class of what Kafka's own serdes throw.
const SERIALIZATION: &str = "org.apache.kafka.common.errors.SerializationException";

/// An error under the name and with the message that Java has for it. Dead letters carry both in their headers, and
/// whoever sorts dead letters by class need not know which language wrote them.
///
/// User code may return one, alone or as the cause of an error of its own, to choose what the headers say:
///
/// ```
/// use kstreams_topology::exception::{Exception, java_exception};
///
/// let error = Exception::new("java.lang.ArithmeticException", "/ by zero");
/// let named = java_exception(&error);
/// assert_eq!((named.class.as_ref(), named.message.as_deref()), ("java.lang.ArithmeticException", Some("/ by zero")));
///
/// let other = "twelve".parse::<i32>().expect_err("it is no number");
/// assert_eq!(java_exception(&other).class, "java.lang.RuntimeException");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The name of the class, with its package.
    pub class: Cow<'static, str>,
    /// What the exception says; Java's may say nothing.
    pub message: Option<Cow<'static, str>>,
    /// What Java names as its cause.
    pub cause: Option<Box<Exception>>,
}

impl Exception {
    /// An exception that says something.
    pub fn new(class: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class: class.into(),
            message: Some(message.into()),
            cause: None,
        }
    }

    /// An exception that says nothing.
    pub fn silent(class: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class: class.into(),
            message: None,
            cause: None,
        }
    }

    /// The same exception, with this cause.
    pub fn caused_by(self, cause: Exception) -> Self {
        Self {
            cause: Some(Box::new(cause)),
            ..self
        }
    }

    /// A `SerializationException`, as Kafka's own serdes throw them.
    pub fn serialization(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SERIALIZATION, message)
    }
}

/// The first line of a stack trace.
impl std::fmt::Display for Exception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.class),
            None => f.write_str(&self.class),
        }
    }
}

impl Error for Exception {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause.as_deref()?)
    }
}

/// What Java throws where we return `error`: of the error and its causes the first that has a name there. Everything else
/// is a `RuntimeException` that says what the error says, because Rust does not know the type of an error at run time.
pub fn java_exception(error: &(dyn Error + 'static)) -> Exception {
    naming(error).0
}

/// The text of a stack trace: Java's first line, and the causes below it. There are no frames.
pub(crate) fn stack_trace(error: &(dyn Error + 'static)) -> String {
    let (exception, named) = naming(error);
    let mut trace = format!("{exception}\n");
    let below = match exception.cause.as_deref() {
        Some(cause) => Some(cause as &(dyn Error + 'static)),
        None => named.source(),
    };
    for cause in below.into_iter().flat_map(causes) {
        // Writing to a string cannot fail.
        let _ = match named_by(cause) {
            Some(exception) => writeln!(trace, "Caused by: {exception}"),
            None => writeln!(trace, "Caused by: {cause}"),
        };
    }
    trace
}

/// The exception, and the error of the chain that it stands for.
fn naming<'a>(error: &'a (dyn Error + 'static)) -> (Exception, &'a (dyn Error + 'static)) {
    if let Some(named) = causes(error).find_map(|cause| Some((named_by(cause)?, cause))) {
        return named;
    }
    let serde = causes(error).find(|cause| cause.is::<SerdeError>());
    let class = if serde.is_some() { SERIALIZATION } else { RUNTIME };
    let error = serde.unwrap_or(error);
    (Exception::new(class, error.to_string()), error)
}

/// The name of this very error.
fn named_by(error: &(dyn Error + 'static)) -> Option<Exception> {
    if let Some(panic) = error.downcast_ref::<Panic>() {
        return Some(Exception::new(RUNTIME, panic.message.clone()));
    }
    if let Some(error) = error.downcast_ref::<SerdeError>() {
        return error.exception.as_deref().cloned();
    }
    error.downcast_ref::<Exception>().cloned()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (**error).source())
}
