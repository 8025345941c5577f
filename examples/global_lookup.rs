//! Codes become names: every instance has the whole of a small table, so that a stream needs neither the table's key nor a
//! repartition topic to look rows up.
//!
//! ```text
//!       0 countries: "IS" = "Iceland"
//!       1 flights: "1" = "IS 540"
//!          -> flights-named: "1" = "IS 540 (Iceland)" @ 1
//!       2 flights: "2" = "CL 800"
//!          -> flights-named: "2" = "CL 800 (unknown)" @ 2
//!       3 countries: "CL" = "Chile"
//!       4 flights: "3" = "CL 800"
//!          -> flights-named: "3" = "CL 800 (Chile)" @ 4
//! ```

use kstreams::prelude::*;

mod tour;

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    let countries = builder.global_table::<String, String>("countries");
    builder
        .stream::<String, String>("flights")
        .left_join_global(
            &countries,
            |_, flight| flight.split(' ').next().unwrap_or_default().to_owned(),
            |_, flight, country| format!("{flight} ({})", country.unwrap_or_else(|| "unknown".to_owned())),
        )
        .to("flights-named");

    let mut tour = tour::Tour::of(builder)?.shows::<String, String>("flights-named");
    tour.send::<String, String>("countries", "IS", "Iceland", 0)?;
    tour.send::<String, String>("flights", "1", "IS 540", 1)?;
    tour.send::<String, String>("flights", "2", "CL 800", 2)?;
    tour.send::<String, String>("countries", "CL", "Chile", 3)?;
    tour.send::<String, String>("flights", "3", "CL 800", 4)
}
