//! The fluent API: streams and tables, lowered to a topology.
