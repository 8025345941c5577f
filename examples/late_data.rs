//! Late data, and one result per window: votes are counted in windows of ten seconds, those that are up to five seconds late
//! still count, and the result comes once, when nothing can change it any more.
//!
//! ```text
//!    1000 votes: "ann" = "yes"
//!   12000 votes: "ann" = "yes"
//!    9000 votes: "ann" = "late, but in time"
//!   15000 votes: "ann" = "yes"
//!          -> results: "ann in Window { start: 0, end: 10000 }" = Some(2) @ 9000
//!    8000 votes: "ann" = "too late"
//!   25000 votes: "bob" = "yes"
//!          -> results: "ann in Window { start: 10000, end: 20000 }" = Some(2) @ 15000
//! ```

use std::time::Duration;

use kstreams::prelude::*;

mod tour;

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    let windows = TimeWindows::of_size(Duration::from_secs(10)).grace(Duration::from_secs(5));
    builder
        .stream::<String, String>("votes")
        .group_by_key()
        .windowed_by(windows)
        .count()
        .suppress(Suppressed::until_window_closes(Buffer::unbounded()))
        .to_stream()
        .map(|windowed, count| (format!("{} in {:?}", windowed.key, windowed.window), count))
        .to("results");

    let mut tour = tour::Tour::of(builder)?.shows::<String, Option<i64>>("results");
    tour.send::<String, String>("votes", "ann", "yes", 1_000)?;
    tour.send::<String, String>("votes", "ann", "yes", 12_000)?;
    tour.send::<String, String>("votes", "ann", "late, but in time", 9_000)?;
    tour.send::<String, String>("votes", "ann", "yes", 15_000)?;
    tour.send::<String, String>("votes", "ann", "too late", 8_000)?;
    tour.send::<String, String>("votes", "bob", "yes", 25_000)
}
