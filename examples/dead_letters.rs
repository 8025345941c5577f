//! Poison: amounts that are no numbers are put aside with what was wrong about them, anything else that goes wrong still stops
//! the application.
//!
//! ```text
//!    1000 payments: "ann" = "30"
//!          -> amounts: "ann" = 30 @ 1000
//!    2000 payments: "bob" = "a dozen"
//!          put aside at offset 1: invalid digit found in string
//!          -> rejected-payments: "bob" = "a dozen" @ 2000
//!    3000 payments: "eve" = "12"
//!          -> amounts: "eve" = 12 @ 3000
//! ```

use std::num::ParseIntError;

use kstreams::errors::{DeadLetter, ErrorHandlers, Response};
use kstreams::prelude::*;

mod tour;

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("payments")
        .map_values(|_, amount| amount.parse::<i64>())
        .to("amounts");

    // `KafkaStreams::with_handlers` takes the same.
    let handlers = ErrorHandlers::default().on_processing(|failure| {
        if !failure.error.is::<ParseIntError>() {
            return Response::fail();
        }
        let at = failure.context.offset;
        println!("         put aside at offset {at}: {}", failure.error);
        Response::resume().with_dead_letter(DeadLetter::of(failure, "rejected-payments"))
    });

    let mut tour = tour::Tour::handled(builder, handlers)?
        .shows::<String, i64>("amounts")
        .shows::<String, String>("rejected-payments");
    tour.send::<String, String>("payments", "ann", "30", 1_000)?;
    tour.send::<String, String>("payments", "bob", "a dozen", 2_000)?;
    tour.send::<String, String>("payments", "eve", "12", 3_000)
}
