//! What Java's own `TopologyTestDriver` showed, scenario by scenario: the names are those of the golden file.

mod driver;
mod errors;
mod feeds;
mod handlers;
mod processors;
mod punctuation;
mod sinks;
mod stores;
mod support;
mod timestamps;
