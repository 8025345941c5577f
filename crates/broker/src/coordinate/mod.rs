//! What the broker keeps between requests of a client: fetch sessions, groups, committed offsets, transactions.

pub(crate) mod group;
pub(crate) mod groups;
mod journal;
pub(crate) mod offsets;
pub(crate) mod sessions;
pub(crate) mod transaction;
pub(crate) mod transactions;
