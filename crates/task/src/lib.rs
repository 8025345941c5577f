//! One task as a pure machine: records in, sends out.
