//! Books and their authors: each row of a table is joined with the row of another one that it names. A change of one author
//! changes all of their books.
//!
//! ```text
//!       1 books: "Emma" = "austen"
//!          -> books-by: "Emma" = Some("by austen") @ 1
//!       2 books: "Persuasion" = "austen"
//!          -> books-by: "Persuasion" = Some("by austen") @ 2
//!       3 authors: "austen" = "Miss Austen"
//!          -> books-by: "Emma" = Some("by Miss Austen") @ 3
//!          -> books-by: "Persuasion" = Some("by Miss Austen") @ 3
//!       4 authors: "austen" = "Jane Austen"
//!          -> books-by: "Emma" = Some("by Jane Austen") @ 4
//!          -> books-by: "Persuasion" = Some("by Jane Austen") @ 4
//!       5 books: "Emma" = None
//!          -> books-by: "Emma" = None @ 5
//! ```

use kstreams::prelude::*;

mod tour;

fn main() -> tour::Outcome {
    let builder = StreamsBuilder::new();
    let books = builder.table::<String, String>("books");
    let authors = builder.table::<String, String>("authors");
    books
        .left_join_foreign_key(
            &authors,
            |_, author: &String| author.clone(),
            |id: String, name: Option<String>| format!("by {}", name.unwrap_or(id)),
        )
        .to_stream()
        .to("books-by");

    let mut tour = tour::Tour::of(builder)?.shows::<String, Option<String>>("books-by");
    tour.send::<String, String>("books", "Emma", "austen", 1)?;
    tour.send::<String, String>("books", "Persuasion", "austen", 2)?;
    tour.send::<String, String>("authors", "austen", "Miss Austen", 3)?;
    tour.send::<String, String>("authors", "austen", "Jane Austen", 4)?;
    tour.send::<String, Option<String>>("books", "Emma", None, 5)
}
