//! Talks to a broker over real sockets, in hand-built requests.

mod client;
mod groups;
mod persistence;
mod records;
mod topics;
