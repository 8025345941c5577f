//! Avro.

use kstreams_schema_registry::{AvroSerde, Registry, SubjectNameStrategy};
use kstreams_topology::Serde;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::server::Server;
use crate::{bytes, told};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    item: String,
    amount: i64,
    note: Option<String>,
}

const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "item", "type": "string"},
    {"name": "amount", "type": "long"},
    {"name": "note", "type": ["null", "string"], "default": null}]}"#;

fn order() -> Order {
    Order {
        item: "book".to_owned(),
        amount: 2,
        note: Some("!".to_owned()),
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn a_value_is_framed_as_confluent_does() -> Outcome {
    let server = Server::start();
    let serde = AvroSerde::<Order>::new(&Registry::new(server.url())?, ORDER)?;
    serde.prepare("orders")?;
    let bytes = bytes(&serde, "orders", &order());
    assert_eq!(bytes, b"\0\0\0\0\x01\x08book\x04\x02\x02!");
    assert_eq!(serde.deserialize("orders", &bytes)?, order());
    assert_eq!(server.requests(), ["POST /subjects/orders-value/versions"]);
    Ok(())
}

#[test]
fn after_the_first_record_the_registry_is_not_asked() -> Outcome {
    let server = Server::start();
    let writer = AvroSerde::<Order>::new(&Registry::new(server.url())?, ORDER)?;
    let written = bytes(&writer, "orders", &order());
    let reader = AvroSerde::<Order>::new(&Registry::new(server.url())?, ORDER)?;
    for _ in 0..3 {
        bytes(&writer, "orders", &order());
        assert_eq!(reader.clone().deserialize("orders", &written)?, order());
    }
    assert_eq!(
        server.requests(),
        ["POST /subjects/orders-value/versions", "GET /schemas/ids/1"]
    );
    Ok(())
}

#[test]
fn subjects_by_strategy() -> Outcome {
    let server = Server::start();
    let serde = AvroSerde::<Order>::new(&Registry::new(server.url())?, ORDER)?;
    let with = |strategy| serde.clone().subjects(strategy);
    serde.clone().for_keys().prepare("t")?;
    with(SubjectNameStrategy::Record).prepare("t")?;
    with(SubjectNameStrategy::TopicRecord).prepare("t")?;
    assert_eq!(
        server.requests(),
        ["t-key", "shop.Order", "t-shop.Order"].map(|subject| format!("POST /subjects/{subject}/versions"))
    );
    Ok(())
}

#[test]
fn an_older_schema_is_resolved_to_ours() -> Outcome {
    let server = Server::start();
    let old = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
        {"name": "amount", "type": "int"}, {"name": "item", "type": "string"}]}"#;
    let id = server.register("orders-value", json!({"schema": old}));
    let serde = AvroSerde::<Order>::new(&Registry::new(server.url())?, ORDER)?;
    let read = serde.deserialize("orders", &[&[0, 0, 0, 0, id as u8, 4], b"\x08book".as_slice()].concat())?;
    assert_eq!(read, Order { note: None, ..order() });
    Ok(())
}

#[test]
fn a_schema_may_refer_to_others() -> Outcome {
    let server = Server::start();
    let item = r#"{"type": "fixed", "name": "Item", "namespace": "shop", "size": 4}"#;
    server.register("item", json!({"schema": item}));
    let order = r#"{"type": "record", "name": "Ordered", "namespace": "shop", "fields": [
        {"name": "items", "type": {"type": "array", "items": "long"}}, {"name": "item", "type": "shop.Item"}]}"#;
    let used = json!([{"name": "shop.Item", "subject": "item", "version": 1}]);
    server.register("orders-value", json!({"schema": order, "references": used}));

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Ordered {
        items: Vec<i64>,
    }
    let ours = r#"{"type": "record", "name": "Ordered", "namespace": "shop", "fields": [
        {"name": "items", "type": {"type": "array", "items": "long"}}]}"#;
    let serde = AvroSerde::<Ordered>::new(&Registry::new(server.url())?, ours)?;
    let read = serde.deserialize("orders", b"\0\0\0\0\x02\x04\x02\x04\0book")?;
    assert_eq!(read, Ordered { items: vec![1, 2] });
    Ok(())
}

#[test]
fn a_type_may_be_named_again() -> Outcome {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Node {
        value: i64,
        next: Option<Box<Node>>,
    }
    let schema = r#"{"type": "record", "name": "Node", "fields": [
        {"name": "value", "type": "long"}, {"name": "next", "type": ["null", "Node"]}]}"#;
    let server = Server::start();
    let serde = AvroSerde::<Node>::new(&Registry::new(server.url())?, schema)?;
    let last = Node { value: 2, next: None };
    let first = Node {
        value: 1,
        next: Some(Box::new(last)),
    };
    let bytes = bytes(&serde, "nodes", &first);
    assert_eq!(bytes, b"\0\0\0\0\x01\x02\x02\x04\0");
    assert_eq!(serde.deserialize("nodes", &bytes)?, first);
    Ok(())
}

#[test]
fn errors_name_subject_and_id() -> Outcome {
    let server = Server::start();
    let serde = AvroSerde::<Order>::new(&Registry::new(server.url())?, ORDER)?;
    let error = serde
        .clone()
        .registered_by_others()
        .prepare("orders")
        .expect_err("nobody did");
    assert_eq!(
        told(&error),
        "could not convert shop.Order to bytes for topic orders: could not find a schema under subject orders-value: \
         the schema registry answered 40403, not found"
    );
    let error = serde
        .deserialize("orders", &[0, 0, 0, 0, 9, 0])
        .expect_err("there is no schema 9");
    assert_eq!(
        told(&error),
        "could not convert bytes of schema 9 to shop.Order: could not find schema 9: the schema registry answered \
         40403, not found"
    );
    let id = server.register("x", json!({"schema": "message X {}", "schemaType": "PROTOBUF"}));
    let error = serde
        .deserialize("orders", &[0, 0, 0, 0, id as u8, 0])
        .expect_err("that is no Avro");
    assert_eq!(
        told(&error),
        "could not convert bytes of schema 1 to shop.Order: schema 1 is not usable: it is Protobuf, not Avro"
    );
    let error = serde.deserialize("orders", b"plain").expect_err("no magic byte");
    assert!(told(&error).contains("a byte 0 and a schema id come first"));
    assert!(AvroSerde::<Order>::new(&Registry::new(server.url())?, "{").is_err());
    Ok(())
}

#[test]
fn every_type_is_written_as_its_schema_says() -> Outcome {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Size {
        Small,
        Large,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Part {
        weight: f64,
        name: String,
    }
    // Not in the schema's order, and not with the schema's widths.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        size: Size,
        parts: Vec<Part>,
        by_name: std::collections::BTreeMap<String, i32>,
        count: i32,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note: Option<String>,
        small: u8,
        flag: bool,
        ratio: f32,
    }
    let schema = |again: &str| {
        format!(
            r#"{{"type": "record", "name": "Thing", "fields": [
                {{"name": "count", "type": "long"}},
                {{"name": "small", "type": "int"}},
                {{"name": "note", "type": ["null", "string"], "default": null}},
                {{"name": "size", "type": {{"type": "enum", "name": "Size", "symbols": ["Small", "Large"]}}}},
                {{"name": "parts", "type": {{"type": "array", "items": {{"type": "record", "name": "Part", "fields": [
                    {{"name": "name", "type": "string"}}, {{"name": "weight", "type": "double"}}]}}}}}},
                {{"name": "by_name", "type": {{"type": "map", "values": "int"}}}},
                {{"name": "ratio", "type": "float"}},
                {{"name": "flag", "type": "boolean"}}{again}]}}"#
        )
    };
    let thing = Thing {
        size: Size::Large,
        parts: vec![Part {
            weight: 0.5,
            name: "wheel".to_owned(),
        }],
        by_name: [("a".to_owned(), -1)].into(),
        count: 3,
        note: None,
        small: 7,
        flag: true,
        ratio: 1.5,
    };
    let expected = b"\x06\x0e\0\x02\x02\x0awheel\0\0\0\0\0\0\xe0\x3f\0\x02\x02a\x01\0\0\0\xc0\x3f\x01";
    let server = Server::start();
    let registry = Registry::new(server.url())?;
    let again = r#", {"name": "another", "type": ["null", "Size"], "default": null}"#;
    for (again, rest) in [("", &b""[..]), (again, &b"\0"[..])] {
        let serde = AvroSerde::<Thing>::new(&registry, &schema(again))?;
        let bytes = bytes(&serde, "things", &thing);
        assert_eq!(bytes.get(5..), Some([expected, rest].concat().as_slice()), "{again}");
        assert_eq!(serde.deserialize("things", &bytes)?, thing);
    }
    Ok(())
}
