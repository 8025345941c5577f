//! Who runs which task: a pure function from what the group's leader knows to a plan, and the bytes both travel in.
//!
//! The leader of the group turns the members' subscriptions into an [`Input`], calls [`assign`], and sends each member
//! its share of the [`Plan`]. Nothing here does I/O, asks the clock or logs.
//!
//! * [`input`]: tasks and members
//! * [`plan`]: who runs what
//! * [`sticky`]: the balanced and sticky choice
//! * [`cooperative`]: what has to be given up before it can be given
//! * [`codec`]: user data of subscriptions and assignments

pub mod codec;
pub mod cooperative;
pub mod input;
pub mod plan;
pub mod sticky;

pub use codec::{AssignmentData, CodecError, SubscriptionData, Verdict};
pub use cooperative::withhold;
pub use input::{Input, Member, MemberId, ProcessId, TaskDemand};
pub use plan::Plan;
pub use sticky::assign;
