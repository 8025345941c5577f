//! Task assignment as a pure function.
