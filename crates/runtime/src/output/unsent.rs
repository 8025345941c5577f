//! A record that was not sent, after all that could be asked was asked.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt;

use kstreams_client::Error as ClientError;
use kstreams_topology::TaskId;
use kstreams_wire::TopicName;

/// A record that was not sent, and what that leads to.
#[derive(Debug)]
pub struct Unsent {
    /// The tasks that lost this record and, if more went wrong, others with it. They are remembered only for a production
    /// handler.
    pub tasks: BTreeSet<TaskId>,
    /// The node that sent it, or the store whose changelog it is for, likewise.
    pub node: Option<String>,
    /// The topic that it was for.
    pub topic: TopicName,
    /// The partition that it was for, if that was chosen.
    pub partition: Option<i32>,
    /// What was decided.
    pub consequence: Consequence,
    /// What the client said.
    pub source: Box<ClientError>,
}

/// What a record that was not sent leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The task goes back to its last commit and sends it again.
    Again,
    /// The same, although the production handler would do without the record: it may be written, and nobody knows in which
    /// order with others, so that the transaction can only be aborted.
    Spoilt,
    /// The task fails: the production handler wants that, or no handler may decide.
    Failure,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not send a record")?;
        for (at, task) in self.tasks.iter().enumerate() {
            write!(f, "{}{task}", if at == 0 { " of task " } else { ", " })?;
        }
        if let Some(node) = &self.node {
            write!(f, " from {node}")?;
        }
        write!(f, " to {}", self.topic)?;
        if let Some(partition) = self.partition {
            write!(f, "-{partition}")?;
        }
        match self.consequence {
            Consequence::Again => f.write_str(": its task goes back to the last commit"),
            Consequence::Spoilt => f.write_str(
                ": it may be written all the same, so the transaction is aborted and its task goes back to the last commit",
            ),
            Consequence::Failure => Ok(()),
        }
    }
}

impl StdError for Unsent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
