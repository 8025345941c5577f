//! Kills, freezes and broker restarts, and what they must not do. `just chaos` makes long runs of it.

mod fault;
mod replay;
mod rounds;
