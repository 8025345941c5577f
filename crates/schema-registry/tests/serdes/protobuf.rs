//! Protobuf.

use kstreams_schema_registry::{ProtobufSerde, Reference, Registry, SubjectNameStrategy};
use kstreams_topology::Serde;
use serde_json::json;

use crate::server::Server;
use crate::{bytes, told};

#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(string, tag = "1")]
    item: String,
    #[prost(int64, tag = "2")]
    amount: i64,
}

const SHOP: &str = r#"
    syntax = "proto3";
    package shop;
    message Customer { string name = 1; }
    message Order {
        string item = 1;
        int64 amount = 2;
        message Line { string item = 1; int64 amount = 2; }
    }
"#;

fn order() -> Order {
    Order {
        item: "book".to_owned(),
        amount: 2,
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn a_value_is_framed_as_confluent_does() -> Outcome {
    let server = Server::start();
    let registry = Registry::new(server.url())?;
    let serde = ProtobufSerde::<Order>::new(&registry, SHOP, "Order")?;
    serde.prepare("orders")?;
    let second = bytes(&serde, "orders", &order());
    assert_eq!(second, b"\0\0\0\0\x01\x02\x02\x0a\x04book\x10\x02");
    assert_eq!(serde.deserialize("orders", &second)?, order());
    assert_eq!(server.requests(), ["POST /subjects/orders-value/versions"]);

    let inner = ProtobufSerde::<Order>::new(&registry, SHOP, "shop.Order.Line")?;
    assert!(bytes(&inner, "orders", &order()).starts_with(b"\0\0\0\0\x01\x04\x02\x00\x0a"));
    let alone = "message Order { string item = 1; int64 amount = 2; }";
    let first = ProtobufSerde::<Order>::new(&registry, alone, "Order")?;
    assert!(bytes(&first, "orders", &order()).starts_with(b"\0\0\0\0\x02\x00\x0a"));
    Ok(())
}

#[test]
fn a_message_may_move_in_its_file() -> Outcome {
    let server = Server::start();
    let moved = "package shop; message Order { string item = 1; } message Other {}";
    server.register("orders-value", json!({"schema": moved, "schemaType": "PROTOBUF"}));
    let serde = ProtobufSerde::<Order>::new(&Registry::new(server.url())?, SHOP, "Order")?;
    for _ in 0..3 {
        let read = serde.deserialize("orders", b"\0\0\0\0\x01\x00\x0a\x04book")?;
        assert_eq!(read, Order { amount: 0, ..order() });
    }
    assert_eq!(server.requests(), ["GET /schemas/ids/1"]);
    let error = serde
        .deserialize("orders", b"\0\0\0\0\x01\x02\x02")
        .expect_err("another message");
    assert_eq!(
        told(&error),
        "could not convert bytes of schema 1 to shop.Order: schema 1 is not usable: the message is a shop.Other"
    );
    Ok(())
}

#[test]
fn imports_and_subjects_are_said() -> Outcome {
    let server = Server::start();
    let import = Reference {
        name: "other.proto".to_owned(),
        subject: "other".to_owned(),
        version: 1,
    };
    let serde = ProtobufSerde::<Order>::new(&Registry::new(server.url())?, SHOP, "Order")?
        .importing([import.clone()])
        .subjects(SubjectNameStrategy::TopicRecord);
    serde.prepare("orders")?;
    serde.registered_by_others().for_keys().prepare("orders")?;
    assert_eq!(
        server.requests(),
        ["POST /subjects/orders-shop.Order/versions"],
        "what was registered need not be looked up"
    );
    let registered = Registry::new(server.url())?.schema(1)?;
    assert_eq!(
        (registered.text.as_str(), &registered.references),
        (SHOP, &vec![import])
    );
    Ok(())
}

#[test]
fn what_is_no_message_is_refused() -> Outcome {
    let server = Server::start();
    let registry = Registry::new(server.url())?;
    let missing = ProtobufSerde::<Order>::new(&registry, SHOP, "Invoice").err();
    let missing = missing.ok_or("there is no such message")?;
    assert_eq!(
        missing.to_string(),
        "schema Invoice is not usable: the file has no such message"
    );
    let serde = ProtobufSerde::<Order>::new(&registry, SHOP, "Order")?;
    serde.prepare("orders")?;
    for bytes in [
        &b""[..],
        b"\0\0\0",
        b"\x01\0\0\0\x01\x02\x02",
        b"\0\0\0\0\x01",
        b"\0\0\0\0\x01\x02\x02\xff",
    ] {
        assert!(serde.deserialize("orders", bytes).is_err(), "{bytes:?}");
    }
    Ok(())
}
