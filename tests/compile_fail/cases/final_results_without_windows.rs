//! The final result of a window is wanted from a table that has none.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let counts = builder.stream::<String, String>("in").group_by_key().count();
    counts.suppress(Suppressed::until_window_closes(Buffer::unbounded()));
}
