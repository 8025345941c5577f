//! The table's keys are numbers, and the stream's are texts.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let users = builder.table::<i64, String>("users");
    builder
        .stream::<String, String>("orders")
        .join_table(&users, |_, order, user| format!("{order} {user}"))
        .to("out");
}
