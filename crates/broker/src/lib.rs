//! The embedded development broker, in memory or in a directory.
