//! Which handlers a task asks: the built-in ones, or those of the program.

use std::sync::Arc;

use kstreams_wire::TopicName;

use super::{DeadLetter, Failure, ProductionFailure, ProductionOutcome, ProductionResponse, Response};

/// A closure that decides about records that could not be read or processed.
pub type FailureHandler = Arc<dyn Fn(&Failure<'_>) -> Response + Send + Sync>;

/// A closure that decides about records that could not be sent.
pub type ProductionHandler = Arc<dyn Fn(&ProductionFailure<'_>) -> ProductionResponse + Send + Sync>;

/// The handlers of a task. By default all fail, but for sends that may be tried again.
///
/// A handler that panics ends the task, whatever it was asked about.
///
/// ```
/// use kstreams_topology::graph::{DeadLetter, ErrorHandlers, Response};
///
/// let handlers = ErrorHandlers::default().on_processing(|failure| {
///     let letter = DeadLetter::of(failure, "rejected-orders");
///     match failure.error.is::<std::num::ParseIntError>() {
///         true => Response::resume().with_dead_letter(letter),
///         false => Response::fail(),
///     }
/// });
/// # let _ = handlers;
/// ```
#[derive(Clone)]
pub struct ErrorHandlers {
    /// Asked about records whose key or value cannot be decoded.
    pub deserialization: FailureHandler,
    /// Asked about records on which a processor fails.
    pub processing: FailureHandler,
    /// Asked about records that cannot be serialized or sent. `None` tries again what may be tried again, and else fails,
    /// and spares the task remembering of every record where it came from until it is acknowledged.
    pub production: Option<ProductionHandler>,
}

impl Default for ErrorHandlers {
    fn default() -> Self {
        Self {
            deserialization: Arc::new(|_| Response::fail()),
            processing: Arc::new(|_| Response::fail()),
            production: None,
        }
    }
}

impl std::fmt::Debug for ErrorHandlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErrorHandlers")
    }
}

impl ErrorHandlers {
    /// Handlers that log and go on. There is none such for records that cannot be sent.
    pub fn log_and_continue() -> Self {
        Self::default().on_deserialization(logged).on_processing(logged)
    }

    /// The same handlers, but for this one about records whose key or value cannot be decoded.
    pub fn on_deserialization(self, handler: impl Fn(&Failure<'_>) -> Response + Send + Sync + 'static) -> Self {
        Self {
            deserialization: Arc::new(handler),
            ..self
        }
    }

    /// The same handlers, but for this one about records on which a processor fails.
    pub fn on_processing(self, handler: impl Fn(&Failure<'_>) -> Response + Send + Sync + 'static) -> Self {
        Self {
            processing: Arc::new(handler),
            ..self
        }
    }

    /// The same handlers, but for this one about records that cannot be serialized or sent.
    pub fn on_production(
        self,
        handler: impl Fn(&ProductionFailure<'_>) -> ProductionResponse + Send + Sync + 'static,
    ) -> Self {
        Self {
            production: Some(Arc::new(handler)),
            ..self
        }
    }

    /// The same handlers, each of which also sends the failed input record to this topic, see [`DeadLetter::of`].
    pub fn with_dead_letters(self, topic: impl Into<TopicName>) -> Self {
        let topic = topic.into();
        let aside = |handler: FailureHandler, topic: TopicName| {
            move |failure: &Failure<'_>| handler(failure).with_dead_letter(DeadLetter::of(failure, topic.clone()))
        };
        let production = self.production.clone();
        self.clone()
            .on_deserialization(aside(self.deserialization, topic.clone()))
            .on_processing(aside(self.processing, topic.clone()))
            .on_production(move |failure| {
                let response = production
                    .as_ref()
                    .map_or_else(|| retried(failure), |handler| handler(failure));
                match response.outcome {
                    ProductionOutcome::Retry => response,
                    _ => response.with_dead_letter(DeadLetter::of(&failure.origin, topic.clone())),
                }
            })
    }

    /// The same handlers for a task that cannot send: their dead letters are dropped. Nothing else asks about sends there.
    pub fn without_dead_letters(self) -> Self {
        let kept = |handler: FailureHandler| {
            move |failure: &Failure<'_>| {
                let mut response = handler(failure);
                if !std::mem::take(&mut response.dead_letters).is_empty() {
                    tracing::warn!(
                        node = failure.node,
                        "dead letters dropped: tasks of global stores send nothing"
                    );
                }
                response
            }
        };
        Self::default()
            .on_deserialization(kept(self.deserialization))
            .on_processing(kept(self.processing))
    }
}

fn logged(failure: &Failure<'_>) -> Response {
    tracing::warn!(
        task = %failure.task,
        node = failure.node,
        topic = failure.context.topic.as_deref(),
        partition = failure.context.partition,
        offset = failure.context.offset,
        error = failure.error,
        "record dropped"
    );
    Response::resume()
}

/// What no handler decides: Java's `DefaultProductionExceptionHandler`.
fn retried(failure: &ProductionFailure<'_>) -> ProductionResponse {
    match failure.retriable {
        true => ProductionResponse::retry(),
        false => ProductionResponse::fail(),
    }
}
