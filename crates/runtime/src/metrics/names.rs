//! The names of the metrics, equal to Kafka's.

/// The instance.
pub const STREAM: &str = "stream-metrics";
/// One stream thread.
pub const THREAD: &str = "stream-thread-metrics";
/// One task.
pub const TASK: &str = "stream-task-metrics";

/// The client state's name.
pub const CLIENT_STATE: &str = "client-state";
/// Threads neither dead nor stopping.
pub const ALIVE_THREADS: &str = "alive-stream-threads";
/// Threads that ended by an error.
pub const FAILED_THREADS: &str = "failed-stream-threads";
/// The thread state's number.
pub const THREAD_STATE: &str = "thread-state";
/// Records processed.
pub const PROCESS: &str = "process-total";
/// Calls of poll.
pub const POLL: &str = "poll-total";
/// Punctuations.
pub const PUNCTUATE: &str = "punctuate-total";
/// Commits.
pub const COMMIT: &str = "commit-total";
/// Tasks created.
pub const TASK_CREATED: &str = "task-created-total";
/// Tasks closed.
pub const TASK_CLOSED: &str = "task-closed-total";
/// Records that were dropped.
pub const DROPPED: &str = "dropped-records-total";
/// Records restored from changelogs.
pub const RESTORED: &str = "restore-total";
/// Records still to be restored.
pub const RESTORE_REMAINING: &str = "restore-remaining-records-total";
