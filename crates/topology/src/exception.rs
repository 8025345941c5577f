//! What Java would have thrown: class names and messages for headers that programs in Java read, too.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;

use crate::serde::SerdeError;

/// The class of what user code throws without saying more.
pub(crate) const RUNTIME: &str = "java.lang.RuntimeException";
/// The class of what Kafka's own serdes throw.
pub(crate) const SERIALIZATION: &str = "org.apache.kafka.common.errors.SerializationException";

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
}

impl Exception {
    /// An exception that says something.
    pub fn new(class: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class: class.into(),
            message: Some(message.into()),
        }
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

impl Error for Exception {}

/// What Java throws where we return `error`: of the error and its causes the first that has a name there. Everything else
/// is a `RuntimeException` that says what the error says, because Rust does not know the type of an error at run time.
pub fn java_exception(error: &(dyn Error + 'static)) -> Exception {
    causes(error)
        .find_map(known)
        .unwrap_or_else(|| Exception::new(RUNTIME, error.to_string()))
}

fn known(error: &(dyn Error + 'static)) -> Option<Exception> {
    if let Some(exception) = error.downcast_ref::<Exception>() {
        return Some(exception.clone());
    }
    let error = error.downcast_ref::<SerdeError>()?;
    let unnamed = || Exception::new(SERIALIZATION, error.to_string());
    Some(error.exception.as_deref().cloned().unwrap_or_else(unnamed))
}

/// The text of a stack trace: Java's first line, then the causes below it. There are no frames.
pub(crate) fn stack_trace(error: &(dyn Error + 'static)) -> String {
    let exception = java_exception(error);
    let mut trace = format!("{exception}\n");
    for cause in causes(error) {
        let text = cause.to_string();
        if exception.message.as_deref() != Some(text.as_str()) && exception.to_string() != text {
            // Writing to a string cannot fail.
            let _ = writeln!(trace, "Caused by: {text}");
        }
    }
    trace
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (**error).source())
}
