//! Group membership: the classic protocol as a machine without sockets or clock, the task that drives it, and offsets.
//!
//! [`Membership`] decides everything: answers of the coordinator go in by `handle_*`, requests and events come out by
//! `poll_*`, and time is an argument. [`Member`] is the application's handle of a machine that is driven on the I/O
//! thread, so that heartbeats do not depend on how busy the application is.

mod answer;
mod config;
mod driver;
mod event;
mod member;
mod membership;
pub mod offsets;
mod request;
#[cfg(test)]
mod tests;
mod timer;

pub use config::{GroupConfig, Leave};
pub use event::{GroupEvent, GroupMember, GroupMetadata};
pub use member::Member;
pub use membership::{Membership, Notice};
pub use offsets::{Committed, Stability};
pub use request::{Destination, Failure, Request, Response, Send, Ticket};

/// The protocol type of consumer groups; members of other types are strangers to each other.
pub const PROTOCOL_TYPE: &str = "consumer";
