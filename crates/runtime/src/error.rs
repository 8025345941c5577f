//! What can go wrong while an application runs, and what each error asks for.

use kstreams_topology::TaskId;
use kstreams_wire::code::ErrorCode;

use crate::config::ConfigError;
use crate::output::{Consequence, Unsent};
use crate::state::State;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while an application is built, started or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A call that the instance's state does not allow.
    #[error("cannot {call} an instance that is {state}")]
    State {
        /// What was asked for.
        call: &'static str,
        /// The state it met.
        state: State,
    },
    /// `close` was called on a stream thread, which would wait for itself.
    #[error("close was called from stream thread {thread}, which would wait for itself: call it from another thread")]
    CloseFromStreamThread {
        /// The thread.
        thread: String,
    },
    /// A stream thread that is to be removed takes its time.
    #[error("stream thread {thread} did not stop in time")]
    ThreadNotStopped {
        /// The thread.
        thread: String,
    },
    /// The topology cannot be run.
    #[error("the topology cannot be run")]
    Topology(#[source] kstreams_topology::Error),
    /// The state directory or a store in it could not be used.
    #[error("could not {action}")]
    Store {
        /// What was tried.
        action: String,
        /// Why.
        #[source]
        source: Box<kstreams_store::Error>,
    },
    /// A broker could not be asked, or refused.
    #[error("could not {action}")]
    Client {
        /// What was tried.
        action: String,
        /// Why.
        #[source]
        source: Box<kstreams_client::Error>,
    },
    /// The transaction could not be committed: what was processed since the last commit is done again.
    #[error("could not commit the transaction")]
    Transaction {
        /// Why.
        #[source]
        source: Box<kstreams_client::Error>,
    },
    /// Reading was begun at an offset that was not the group's any more: a coordinator that had just been loaded answered an
    /// old one. What was processed since is done again, from the right one.
    #[error(
        "{partition} was begun where {} was said to be committed, and it is {}: the group's coordinator had answered an old offset",
        offset(begun),
        offset(committed)
    )]
    Start {
        /// The input partition.
        partition: kstreams_wire::TopicPartition,
        /// What was said to be committed.
        begun: Option<i64>,
        /// What is.
        committed: Option<i64>,
    },
    /// A record could not be sent.
    #[error(transparent)]
    Unsent(Box<Unsent>),
    /// A task failed for good.
    #[error("task {task} failed")]
    Task {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: Box<kstreams_task::Error>,
    },
    /// A task failed again and again, until `task.timeout.ms` was over.
    #[error("task {task} made no progress within task.timeout.ms")]
    TaskTimedOut {
        /// The task.
        task: TaskId,
        /// Its last failure.
        #[source]
        source: Box<Self>,
    },
    /// The membership in the group ended for good.
    #[error("the membership in the group ended")]
    Membership {
        /// Why.
        #[source]
        source: Box<kstreams_client::Error>,
    },
    /// The processor or the store of a global store failed.
    #[error("global stores could not be kept up to date")]
    Global {
        /// Why.
        #[source]
        source: Box<kstreams_task::Error>,
    },
    /// The topic of a global store lost records that were not read yet.
    #[error(
        "{partition}, the topic of a global store, has no record at offset {offset} any more: start again to read it from its beginning"
    )]
    GlobalOffset {
        /// The partition.
        partition: kstreams_wire::TopicPartition,
        /// The offset.
        offset: i64,
    },
    /// Nothing came of the topics of global stores for as long as `task.timeout.ms` allows.
    #[error("the topics of global stores could not be read to their ends within task.timeout.ms: {}", topics.join(", "))]
    GlobalStalled {
        /// Their partitions.
        topics: Vec<String>,
    },
    /// Source topics do not exist.
    #[error("source topics are missing: {}", topics.join(", "))]
    MissingSourceTopics {
        /// Their names.
        topics: Vec<String>,
    },
    /// An internal topic is there, but not as it must be.
    #[error(
        "internal topic {topic} has {found} partitions and needs {needed}: reset the application before changing its topology or its input"
    )]
    InternalTopic {
        /// The topic.
        topic: String,
        /// Its partitions.
        found: i32,
        /// What the topology needs.
        needed: i32,
    },
    /// The leader of the group could not assign tasks.
    #[error("the leader of the group could not assign tasks: {reason}")]
    Assignment {
        /// What the leader said.
        reason: String,
    },
    /// A member asked that all instances shut down.
    #[error("a member of the group asked that the whole application shuts down")]
    ShutdownRequested,
    /// The committed offset of an input partition is gone, and no policy says where to go on.
    #[error("partition {partition} of {topic} has no record at offset {offset}, and auto.offset.reset is none")]
    OffsetOutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// A stream thread panicked.
    #[error("stream thread {thread} panicked: {message}")]
    Panicked {
        /// The thread.
        thread: String,
        /// What the panic said.
        message: String,
    },
    /// The instance ended by an error, which the log tells.
    #[error("the instance ended in state ERROR; its log says why")]
    Failed,
    /// The process's signals could not be listened to.
    #[error("could not listen for Ctrl-C")]
    Signal(#[source] ctrlc::Error),
    /// The topology has no store of this name.
    #[error("the topology has no store {store}")]
    UnknownStateStore {
        /// The name.
        store: String,
    },
    /// The store is of another kind, or has keys or values of other types, than it was asked for as.
    #[error("store {store} is of kind {kind} and cannot be read as {asked}")]
    StoreType {
        /// The store.
        store: String,
        /// What it is.
        kind: String,
        /// What it was asked for as.
        asked: &'static str,
    },
    /// No task that runs here has the store: the instance rebalances, or restores it.
    #[error("store {store} is not available while the instance rebalances")]
    StreamsRebalancing {
        /// The store.
        store: String,
    },
    /// No task that runs here has the store, or it was closed meanwhile: it may have moved to another instance.
    #[error("store {store} is not here: it may have moved to another instance")]
    StateStoreMigrated {
        /// The store.
        store: String,
    },
    /// A stream thread was asked by itself, and would wait for itself.
    #[error(
        "store {store} was read from its own stream thread, which would wait for itself: connect the processor with it"
    )]
    ReadFromStreamThread {
        /// The store.
        store: String,
    },
    /// A store could not be read, or what was read not be decoded.
    #[error("could not read store {store}")]
    StoreRead {
        /// The store.
        store: String,
        /// Why.
        #[source]
        source: Box<kstreams_topology::Error>,
    },
    /// A thread could not be started.
    #[error("could not start thread {name}")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What an error asks for. Only the stream thread's loop looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing is wrong; it just is not the time.
    Later,
    /// The same thing may work later; nothing is lost. For as long as `task.timeout.ms` allows.
    Retry,
    /// A task stopped half-way: what it did since the last commit is to be done again.
    Revive,
    /// Records were lost on their way out: all tasks that wrote are to begin at the last commit again.
    Undo,
    /// The group, or the transaction coordinator, went on without this thread: its tasks may be run elsewhere.
    Rejoin,
    /// The thread cannot go on; the uncaught exception handler decides what follows.
    Stop,
}

impl Error {
    /// What this error asks for.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unsent(unsent) => of_unsent(unsent),
            Self::Start { .. } => Disposition::Undo,
            Self::Client { source, .. } => of_client(source),
            // Whether it is committed may not be known: only beginning again at the commit that is known makes sure.
            Self::Transaction { source } => match of_client(source) {
                Disposition::Later | Disposition::Retry => Disposition::Undo,
                other => other,
            },
            // A record that failed half-way is taken from the inbox: only going back to the commit brings it again.
            Self::Task { source, .. } => match (cause(&**source), cause(&**source).map(of_client)) {
                (Some(unsent), _) => of_unsent(unsent),
                (None, Some(Disposition::Later | Disposition::Retry)) => Disposition::Revive,
                (None, Some(other)) => other,
                // The store is built anew when its task is opened again, or refuses to open.
                (None, None) if is_of_damage(source) => Disposition::Revive,
                (None, None) => Disposition::Stop,
            },
            _ => Disposition::Stop,
        }
    }

    /// Whether time may heal it: then it must not take longer than `task.timeout.ms`.
    pub(crate) fn may_pass(&self) -> bool {
        let is_transient =
            |error: &kstreams_client::Error| of_client(error) != Disposition::Later && error.is_retriable();
        match self.disposition() {
            Disposition::Retry => true,
            Disposition::Revive | Disposition::Undo => {
                matches!(self, Self::Start { .. }) || cause(self).is_some_and(is_transient)
            }
            Disposition::Later | Disposition::Rejoin | Disposition::Stop => false,
        }
    }
}

/// An offset in words.
fn offset(offset: &Option<i64>) -> String {
    offset.map_or_else(|| "nothing".to_owned(), |offset| format!("offset {offset}"))
}

fn of_client(error: &kstreams_client::Error) -> Disposition {
    use kstreams_client::Error as Client;
    match error {
        Client::RebalanceInProgress { .. } => Disposition::Later,
        Client::NotMember { .. } | Client::Fenced { .. } => Disposition::Rejoin,
        Client::Abortable { .. } | Client::TransactionState { .. } => Disposition::Undo,
        Client::Delivery { source, .. } => match source.code() {
            Some(code) if is_fencing(code) => Disposition::Rejoin,
            Some(code) if is_of_transactions(code) => Disposition::Undo,
            _ if source.is_retriable() => Disposition::Undo,
            _ => Disposition::Stop,
        },
        error if error.is_retriable() => Disposition::Retry,
        _ => Disposition::Stop,
    }
}

/// Whether a broker refuses a batch because it takes somebody else for the producer.
fn is_fencing(code: ErrorCode) -> bool {
    [
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    ]
    .contains(&code)
}

/// Whether a broker refuses a batch for what became of its transaction.
fn is_of_transactions(code: ErrorCode) -> bool {
    [
        ErrorCode::INVALID_TXN_STATE,
        ErrorCode::TRANSACTION_ABORTABLE,
        ErrorCode::UNKNOWN_PRODUCER_ID,
    ]
    .contains(&code)
}

/// Whether files of a store were found to be damaged.
fn is_of_damage(error: &kstreams_task::Error) -> bool {
    matches!(error.store(), Some(kstreams_store::Error::Damaged { .. }))
}

fn of_unsent(unsent: &Unsent) -> Disposition {
    match unsent.consequence {
        // Whose the lost record is may not be remembered.
        Consequence::Again if unsent.tasks.is_empty() => Disposition::Undo,
        Consequence::Again => Disposition::Revive,
        Consequence::Spoilt => Disposition::Undo,
        Consequence::Failure => Disposition::Stop,
    }
}

/// The first error of this type among an error and its causes.
pub(crate) fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| {
        // A cause that is kept in a box is that box, as an error.
        let boxed = || error.downcast_ref::<Box<E>>().map(|boxed| &**boxed);
        error.downcast_ref().or_else(boxed)
    })
}

/// An error and its causes in one line, for those who get text alone: `what: why: why that`.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kstreams_client::Error as Client;
    use kstreams_wire::TopicPartition;

    use super::*;

    fn refused(code: ErrorCode) -> Client {
        Client::Refused {
            what: "it".to_owned(),
            code,
        }
    }

    fn undelivered(code: ErrorCode) -> Client {
        Client::Delivery {
            partition: TopicPartition::new("t", 0),
            records: 1,
            source: refused(code).into(),
        }
    }

    /// The dispositions of an error as it is met by itself, at the end of a transaction, and inside of a task.
    fn check(error: &Client, expected: [Disposition; 3], may_pass: [bool; 3]) {
        let source = Box::new(error.clone());
        let in_task = kstreams_store::OutputError {
            topic: "t".into(),
            source: source.clone(),
        };
        let met = [
            Error::Client {
                action: "do it".to_owned(),
                source: source.clone(),
            },
            Error::Transaction { source },
            Error::Task {
                task: TaskId::new(0, 0),
                source: Box::new(kstreams_topology::Error::from(in_task).into()),
            },
        ];
        assert_eq!(met.each_ref().map(Error::disposition), expected, "{error}");
        assert_eq!(met.each_ref().map(Error::may_pass), may_pass, "{error}");
    }

    #[test]
    fn what_a_client_met_asks_for_the_same_wherever_it_surfaces() {
        use Disposition::{Later, Rejoin, Retry, Revive, Stop, Undo};
        let timeout = Client::Timeout {
            what: "it".to_owned(),
            waited: Duration::ZERO,
            source: None,
        };
        let rebalance = Client::RebalanceInProgress { group: "g".to_owned() };
        check(&timeout, [Retry, Undo, Revive], [true; 3]);
        check(
            &refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            [Retry, Undo, Revive],
            [true; 3],
        );
        check(&rebalance, [Later, Undo, Revive], [false; 3]);
        check(&refused(ErrorCode::GROUP_AUTHORIZATION_FAILED), [Stop; 3], [false; 3]);
        check(&undelivered(ErrorCode::NOT_ENOUGH_REPLICAS), [Undo; 3], [true; 3]);
        check(&undelivered(ErrorCode::INVALID_TXN_STATE), [Undo; 3], [false; 3]);
        check(&undelivered(ErrorCode::INVALID_PRODUCER_EPOCH), [Rejoin; 3], [false; 3]);
        check(&undelivered(ErrorCode::MESSAGE_TOO_LARGE), [Stop; 3], [false; 3]);
        let (id, code) = ("id".to_owned(), ErrorCode::PRODUCER_FENCED);
        check(&Client::Fenced { id, code }, [Rejoin; 3], [false; 3]);
        let (group, code) = ("g".to_owned(), ErrorCode::ILLEGAL_GENERATION);
        check(&Client::NotMember { group, code }, [Rejoin; 3], [false; 3]);
        let (id, what) = ("id".to_owned(), "the end of its transaction is not known");
        check(&Client::TransactionState { id, what }, [Undo; 3], [false; 3]);
    }
}
