//! JSON in, JSON out: values of any type that the crate `serde` knows, and an aggregate of a type of one's own.
//!
//! ```text
//!       0 orders: "1" = Json(Order { customer: "ann", amount: 20 })
//!          -> customers: "ann" = "{\"orders\":1,\"spent\":20}" @ 0
//!       1 orders: "2" = Json(Order { customer: "bob", amount: 7 })
//!          -> customers: "bob" = "{\"orders\":1,\"spent\":7}" @ 1
//!       2 orders: "3" = Json(Order { customer: "ann", amount: 5 })
//!          -> customers: "ann" = "{\"orders\":2,\"spent\":25}" @ 2
//! ```

use kstreams::prelude::*;
use kstreams::serde::Json;
use serde::{Deserialize, Serialize};

mod tour;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    amount: i64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Customer {
    orders: i64,
    spent: i64,
}

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, Json<Order>>("orders")
        .group_by(|_, order| order.customer.clone())
        .aggregate(Json::<Customer>::default, |_, order, mut customer| {
            customer.orders += 1;
            customer.spent += order.amount;
            customer
        })
        .materialized("customers")
        .to_stream()
        .to("customers");

    // The topic has JSON in it: read as text, it shows.
    let mut tour = tour::Tour::of(builder)?.shows::<String, String>("customers");
    let order = |customer: &str, amount| {
        Json(Order {
            customer: customer.to_owned(),
            amount,
        })
    };
    tour.send::<String, Json<Order>>("orders", "1", order("ann", 20), 0)?;
    tour.send::<String, Json<Order>>("orders", "2", order("bob", 7), 1)?;
    tour.send::<String, Json<Order>>("orders", "3", order("ann", 5), 2)
}
