//! The client of the registry.

use std::sync::Arc;

use kstreams_schema_registry::{Reference, Registry, Schema, SchemaKind};
use serde_json::json;

use crate::server::Server;

fn schema(text: &str) -> Arc<Schema> {
    Arc::new(Schema {
        kind: SchemaKind::Avro,
        text: text.to_owned(),
        references: Vec::new(),
    })
}

#[test]
fn answers_are_remembered() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start();
    let registry = Registry::new(server.url())?;
    let long = schema(r#""long""#);
    assert_eq!(registry.register("a-value", &long)?, 1);
    assert_eq!(registry.clone().register("a-value", &long)?, 1);
    assert_eq!(registry.lookup("a-value", &long)?, 1);
    assert_eq!(registry.schema(1)?, long);
    let other = server.register("b-value", json!({"schema": "\"int\""}));
    assert_eq!(registry.schema(other)?.text, r#""int""#);
    assert_eq!(registry.schema(other)?.text, r#""int""#);
    assert_eq!(
        server.requests(),
        ["POST /subjects/a-value/versions", "GET /schemas/ids/2"]
    );
    Ok(())
}

#[test]
fn what_is_missing_is_not_asked_for_again_and_again() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start();
    let registry = Registry::new(server.url())?;
    let first = registry.schema(77).expect_err("there is none");
    assert_eq!(
        first.to_string(),
        "could not find schema 77: the schema registry answered 40403, not found"
    );
    assert!(registry.schema(77).is_err());
    assert_eq!(server.requests().len(), 1);
    let error = registry.lookup("a-value", &schema(r#""long""#)).expect_err("nor that");
    assert_eq!(
        error.to_string(),
        "could not find a schema under subject a-value: the schema registry answered 40403, not found"
    );
    Ok(())
}

#[test]
fn basic_authentication() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start();
    server.require("Basic bWU6c2VjcmV0");
    let long = schema(r#""long""#);
    let unknown = Registry::new(server.url())?;
    let error = unknown
        .register("a-value", &long)
        .expect_err("it did not say who it is");
    assert!(error.to_string().ends_with("40101, who are you?"), "{error}");
    let known = Registry::builder(server.url()).basic_auth("me", "secret").build()?;
    assert_eq!(known.register("a-value", &long)?, 1);
    assert!(!format!("{known:?}").contains("secret"));
    Ok(())
}

#[test]
fn a_hiccup_is_survived_and_the_next_server_is_tried() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start();
    server.fail(2);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let registry = Registry::new(format!("http://{nobody},{}/", server.url()))?;
    assert_eq!(registry.register("a b/value", &schema(r#""long""#))?, 1);
    assert_eq!(server.requests(), ["POST /subjects/a%20b%2Fvalue/versions"; 3]);

    let alone = Registry::new(format!("http://{nobody}"))?;
    let error = alone.schema(5).expect_err("nobody is there");
    assert_eq!(
        error.to_string(),
        format!("could not find schema 5 at the schema registry http://{nobody}")
    );
    Ok(())
}

#[test]
fn references_come_before_those_that_need_them() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start();
    let reference = |subject: &str| json!({"name": subject, "subject": subject, "version": 1});
    server.register("base", json!({"schema": "0"}));
    server.register("middle", json!({"schema": "1", "references": [reference("base")]}));
    server.register(
        "top",
        json!({"schema": "2", "references": [reference("middle"), reference("base")]}),
    );
    let registry = Registry::new(server.url())?;
    let top = registry.schema(3)?;
    let base = Reference {
        name: "base".to_owned(),
        subject: "base".to_owned(),
        version: 1,
    };
    assert_eq!(top.references.last(), Some(&base));
    let used = registry.references(&top)?;
    assert_eq!(
        used.iter().map(|schema| schema.text.as_str()).collect::<Vec<_>>(),
        ["0", "1"]
    );
    Ok(())
}
