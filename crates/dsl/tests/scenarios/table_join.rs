//! Tables joined with tables.

use kstreams_dsl::{KTable, StreamsBuilder};

use crate::harness::check;

fn sides(builder: &StreamsBuilder) -> (KTable<String, String>, KTable<String, String>) {
    (builder.table("a"), builder.table("b"))
}

fn both(left: String, right: String) -> String {
    left + "+" + &right
}

fn text(side: Option<String>) -> String {
    side.unwrap_or_else(|| "null".to_owned())
}

#[test]
fn rows_of_the_same_key() {
    check("table-join-inner", |b| {
        let (left, right) = sides(b);
        left.join(&right, both).to_stream().to("out");
    });
    check("table-join-left", |b| {
        let (left, right) = sides(b);
        let joined = left.left_join(&right, |left: String, right| both(left, text(right)));
        joined.to_stream().to("out");
    });
    check("table-join-outer", |b| {
        let (left, right) = sides(b);
        let joined = left.outer_join(&right, |left, right| both(text(left), text(right)));
        joined.to_stream().to("out");
    });
}

#[test]
fn a_join_with_a_store() {
    check("table-join-materialised", |b| {
        let (left, right) = sides(b);
        let joined = left.left_join(&right, |left: String, right| both(left, text(right)));
        joined.materialized("j").to_stream().to("out");
    });
}

#[test]
fn old_values_come_through_a_join() {
    check("table-join-chain-old-values", |b| {
        let (left, right) = sides(b);
        let grouped = left.join(&right, both).group_by(|_, row: String| ("g".to_owned(), row));
        let listed = grouped.aggregate(
            String::new,
            |_, row, so_far: String| format!("{so_far}[{row}]"),
            |_, row, so_far| so_far.replace(&format!("[{row}]"), ""),
        );
        listed.materialized("ag").to_stream().to("out");
    });
}

#[test]
fn a_table_joined_with_itself() {
    check("table-self-join", |b| {
        let table = b.table::<String, String>("a").materialized("st");
        table.join(&table, both).to_stream().to("out");
    });
}
