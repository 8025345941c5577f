//! What can be wrong with a program, told at `build()`.

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a program could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name breaks Kafka's rules for names.
    #[error("invalid name {name:?}: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// The rule.
        reason: &'static str,
    },
    /// An option was set twice.
    #[error("the {option} of {node} is set twice")]
    SetTwice {
        /// The option.
        option: &'static str,
        /// The node, or the operator where it has no name yet.
        node: String,
    },
    /// Neither the program nor the type says how to turn these values into bytes.
    #[error("{node} needs a serde for its {what}: {of} has none of its own, give one with `.{what}_serde(..)`")]
    NoSerde {
        /// The node.
        node: String,
        /// `key` or `value`.
        what: &'static str,
        /// The type.
        of: &'static str,
    },
    /// The store of a global table was given options, but no name. Kafka Streams refuses that, too.
    #[error("global table {node} has options for its store, which then needs a name: `Materialized::named(..)`")]
    UnnamedGlobalStore {
        /// The node.
        node: String,
    },
    /// The store of a versioned table has no name.
    #[error("the versioned store of {node} needs a name: `Materialized::named(..).versioned(..)`")]
    UnnamedVersionedStore {
        /// The node, or the operator where it has no name yet.
        node: String,
    },
    /// A global table was to be versioned.
    #[error("global table {node} cannot be versioned")]
    VersionedGlobalTable {
        /// The node.
        node: String,
    },
    /// Streams or tables of two builders met in one operator.
    #[error("{node} mixes streams or tables of two builders")]
    OtherBuilder {
        /// The node.
        node: String,
    },
    /// Two sources read some, but not all, topics in common.
    #[error("sources {first} and {second} read topic {topic} and also other topics that they do not share")]
    OverlappingSources {
        /// The earlier source.
        first: String,
        /// The later one.
        second: String,
        /// A topic that both read.
        topic: String,
    },
    /// Two sources read the same topics in different ways.
    #[error("sources {first} and {second} read the same topics with different {what}")]
    UnequalSources {
        /// The earlier source.
        first: String,
        /// The later one.
        second: String,
        /// What differs.
        what: &'static str,
    },
    /// A table was to be read from several topics or a pattern.
    #[error("table {node} is read from several topics: a table has one, for streams see `merge` and `to_table`")]
    SeveralTopics {
        /// The table's node.
        node: String,
    },
    /// The windows of an aggregation or join are none.
    #[error("the windows of {node} have {fault}")]
    InvalidWindows {
        /// The node.
        node: String,
        /// What is wrong with them.
        fault: String,
    },
    /// A store would forget windows that still count.
    #[error("store {store} keeps windows for {retention_ms} ms, but with the grace they count for {needed_ms} ms")]
    RetentionTooShort {
        /// The store.
        store: String,
        /// How long it would keep them.
        retention_ms: i64,
        /// How long it has to.
        needed_ms: i64,
    },
    /// A window that never ends is never closed.
    #[error("{node} is to emit when its windows close, which unlimited windows never do")]
    NeverClosed {
        /// The node.
        node: String,
    },
    /// A join is to wait for a table's late rows, but the table does not know how its rows were.
    #[error(
        "{node} joins with a grace period, which takes a versioned table: give the table a history, at least as long"
    )]
    GraceNeedsHistory {
        /// The join's node.
        node: String,
    },
    /// A table whose versions are kept was to be suppressed.
    #[error(
        "{node} cannot hold back the changes of a versioned table: of late ones it would not know which is the last"
    )]
    SuppressedVersions {
        /// The node.
        node: String,
    },
    /// Results were to wait for their windows, and no aggregation above has any.
    #[error("{node} waits for windows to close, but no table above it is windowed")]
    NotWindowed {
        /// The node.
        node: String,
    },
    /// A table that has no store of its own was told how to keep it.
    #[error("{node} only holds changes back: its table is kept above, and cannot be materialized here")]
    NeverStored {
        /// The node.
        node: String,
    },
    /// Java's optimiser refuses to merge repartition topics that have an operator above them in common. Only with
    /// [`BuildOptions::java_quirks`](crate::BuildOptions::java_quirks).
    #[error("repartition {node} cannot be merged with others: an operator above them is common to them")]
    UnmergeableRepartition {
        /// The repartition topic's source.
        node: String,
    },
    /// The topology refused what the program came to.
    #[error("could not build the topology")]
    Topology(#[from] kstreams_topology::Error),
}
