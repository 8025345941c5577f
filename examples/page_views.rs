//! Page views by region: views are joined with the viewers' profiles, and counted in windows of a minute.
//!
//! ```text
//!     500 views: "ann" = "/home"
//!          -> views-by-region: "/home from nowhere at Window { start: 0, end: 60000 }" = Some(1) @ 500
//!    1000 profiles: "ann" = "Europe"
//!    2000 views: "ann" = "/home"
//!          -> views-by-region: "/home from Europe at Window { start: 0, end: 60000 }" = Some(1) @ 2000
//!   59999 views: "ann" = "/home"
//!          -> views-by-region: "/home from Europe at Window { start: 0, end: 60000 }" = Some(2) @ 59999
//!   60000 views: "ann" = "/home"
//!          -> views-by-region: "/home from Europe at Window { start: 60000, end: 120000 }" = Some(1) @ 60000
//! ```

use std::time::Duration;

use kstreams::prelude::*;

mod tour;

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    let regions = builder.table::<String, String>("profiles");
    let minute = TimeWindows::of_size(Duration::from_secs(60));
    builder
        .stream::<String, String>("views")
        .left_join_table(&regions, |_, page, region| {
            format!("{page} from {}", region.unwrap_or_else(|| "nowhere".to_owned()))
        })
        .group_by(|_, view| view.clone())
        .windowed_by(minute)
        .count()
        .to_stream()
        .map(|windowed, count| (format!("{} at {:?}", windowed.key, windowed.window), count))
        .to("views-by-region");

    let mut tour = tour::Tour::of(builder)?.shows::<String, Option<i64>>("views-by-region");
    tour.send::<String, String>("views", "ann", "/home", 500)?;
    tour.send::<String, String>("profiles", "ann", "Europe", 1_000)?;
    tour.send::<String, String>("views", "ann", "/home", 2_000)?;
    tour.send::<String, String>("views", "ann", "/home", 59_999)?;
    tour.send::<String, String>("views", "ann", "/home", 60_000)
}
