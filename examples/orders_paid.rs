//! Orders and their payments: two streams are joined if they are at most ten seconds apart, and an order that nobody paid is
//! known as soon as no payment can come in time.
//!
//! ```text
//!    1000 orders: "order 1" = "book"
//!    3000 payments: "order 1" = 20
//!          -> orders-paid: "order 1" = "book for 20" @ 3000
//!    4000 orders: "order 2" = "tea"
//!   14001 payments: "order 2" = 5
//!          -> orders-paid: "order 2" = "tea was not paid" @ 4000
//!   30000 orders: "order 3" = "cake"
//! ```

use std::time::Duration;

use kstreams::prelude::*;

mod tour;

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    let payments = builder.stream::<String, i64>("payments");
    let in_time = JoinWindows::of_time_difference(Duration::from_secs(10)).before(Duration::ZERO);
    builder
        .stream::<String, String>("orders")
        .left_join(&payments, in_time, |_, item, paid| match paid {
            Some(paid) => format!("{item} for {paid}"),
            None => format!("{item} was not paid"),
        })
        .to("orders-paid");

    let mut tour = tour::Tour::of(builder)?.shows::<String, String>("orders-paid");
    tour.send::<String, String>("orders", "order 1", "book", 1_000)?;
    tour.send::<String, i64>("payments", "order 1", 20_i64, 3_000)?;
    tour.send::<String, String>("orders", "order 2", "tea", 4_000)?;
    tour.send::<String, i64>("payments", "order 2", 5_i64, 14_001)?;
    tour.send::<String, String>("orders", "order 3", "cake", 30_000)
}
