//! Threads and I/O around tasks: the application.
