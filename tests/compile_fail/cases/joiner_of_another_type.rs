//! The table's values are numbers, and the joiner takes texts.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let users = builder.table::<String, i64>("users");
    builder
        .stream::<String, String>("orders")
        .join_table(&users, |_, order: &String, user: &String| format!("{order} {user}"))
        .to("out");
}
