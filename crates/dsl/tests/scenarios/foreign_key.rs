//! Tables joined with tables of other keys.

use std::time::Duration;

use kstreams_dsl::{KTable, Materialized, StreamsBuilder};

use crate::harness::check;

type Table = KTable<String, String>;

fn sides(builder: &StreamsBuilder) -> (Table, Table) {
    (builder.table("o"), builder.table("c"))
}

/// The part before the colon, if there is anything.
#[expect(clippy::ptr_arg, reason = "a table of strings hands out references to strings")]
fn customer(_: &String, order: &String) -> Option<String> {
    let (customer, _) = order.split_once(':')?;
    (!customer.is_empty()).then(|| customer.to_owned())
}

fn both(order: String, customer: String) -> String {
    order + "+" + &customer
}

fn order_at_least(order: String, customer: Option<String>) -> String {
    both(order, customer.unwrap_or_else(|| "null".to_owned()))
}

#[test]
fn orders_find_their_customers() {
    check("fkj-inner", |b| {
        let (orders, customers) = sides(b);
        let joined = orders.join_foreign_key(&customers, customer, both);
        joined.to_stream().to("out");
    });
    check("fkj-left", |b| {
        let (orders, customers) = sides(b);
        let joined = orders.left_join_foreign_key(&customers, customer, order_at_least);
        joined.to_stream().to("out");
    });
}

#[test]
fn names_go_to_nodes_topics_and_stores() {
    check("fkj-materialised", |b| {
        let (orders, customers) = sides(b);
        let joined = orders.join_foreign_key(&customers, customer, both);
        joined.named("tj").materialized("res").to_stream().to("out");
    });
}

#[test]
fn late_changes_of_versioned_tables_are_no_changes() {
    check("fkj-versioned", |b| {
        let versioned = |store: &str| Materialized::named(store).versioned(Duration::from_millis(100));
        let (orders, customers) = sides(b);
        let (orders, customers) = (
            orders.materialized(versioned("vo")),
            customers.materialized(versioned("vc")),
        );
        let joined = orders.join_foreign_key(&customers, customer, both);
        joined.to_stream().to("out");
    });
}
