//! Clicks in sessions: those of a user that are less than five seconds apart belong together, and a late click may join two
//! sessions to one. The result of a session comes when it is over.
//!
//! ```text
//!       0 clicks: "ann" = "/a"
//!          -> paths: "ann Window { start: 0, end: 0 }" = Some("/a") @ 0
//!    8000 clicks: "ann" = "/c"
//!          -> paths: "ann Window { start: 8000, end: 8000 }" = Some("/c") @ 8000
//!    4000 clicks: "ann" = "/b"
//!          -> paths: "ann Window { start: 0, end: 0 }" = None @ 0
//!          -> paths: "ann Window { start: 8000, end: 8000 }" = None @ 8000
//!          -> paths: "ann Window { start: 0, end: 8000 }" = Some("/a/c/b") @ 8000
//!   30000 clicks: "bob" = "/x"
//!          -> paths: "bob Window { start: 30000, end: 30000 }" = Some("/x") @ 30000
//!          -> clicks-by-session: "ann Window { start: 0, end: 8000 }" = Some(3) @ 8000
//! ```

use std::time::Duration;

use kstreams::prelude::*;

mod tour;

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    let pause = SessionWindows::of_inactivity_gap(Duration::from_secs(5)).grace(Duration::from_secs(5));
    let sessions = builder
        .stream::<String, String>("clicks")
        .group_by_key()
        .windowed_by(pause);
    let paths = sessions.clone().aggregate(
        String::new,
        |_, page, path| format!("{path}{page}"),
        |_, earlier, later| earlier + &later,
    );
    paths
        .to_stream()
        .map(|session, path| (format!("{} {:?}", session.key, session.window), path))
        .to("paths");
    sessions
        .emit(EmitStrategy::OnWindowClose)
        .count()
        .to_stream()
        .map(|session, count| (format!("{} {:?}", session.key, session.window), count))
        .to("clicks-by-session");

    let mut tour = tour::Tour::of(builder)?
        .shows::<String, Option<String>>("paths")
        .shows::<String, Option<i64>>("clicks-by-session");
    tour.send::<String, String>("clicks", "ann", "/a", 0)?;
    tour.send::<String, String>("clicks", "ann", "/c", 8_000)?;
    tour.send::<String, String>("clicks", "ann", "/b", 4_000)?;
    tour.send::<String, String>("clicks", "bob", "/x", 30_000)
}
