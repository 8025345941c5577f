//! Serdes.

use std::sync::Arc;
use std::time::Duration;

use kstreams::serde::{Json, SessionWindowedSerde, StringSerde, TimeWindowedSerde, Uuid};
use kstreams::{Data, Serde, Windowed};
use proptest::prelude::*;

use crate::hostile;

/// What each serde makes of the bytes is its own affair; that a value which it reads can be written is not.
fn read<T: 'static>(serde: &dyn Serde<T>, bytes: &[u8]) {
    if let Ok(value) = serde.deserialize("topic", bytes) {
        serde
            .serialize("topic", &value, &mut Vec::new())
            .expect("what was read can be written");
    }
    serde.partitioned_by(bytes);
}

fn own<T: Data>() -> Arc<dyn Serde<T>> {
    T::serde().expect("the type has a serde")
}

fn written<T: Data>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    own::<T>()
        .serialize("topic", value, &mut bytes)
        .expect("the samples can be written");
    bytes
}

macro_rules! read_as {
    ($bytes:expr; $($t:ty),* $(,)?) => { $(read::<$t>(&*own::<$t>(), $bytes);)* };
}

proptest! {
    #[test]
    fn of_values(bytes in hostile::bytes(vec![
        written(&vec![Some(1_i64), None]),
        written(&vec![Some("a".to_owned()), None]),
        written(&Uuid(7)),
        written(&Json(vec![1, 2])),
    ])) {
        read_as!(
            &bytes; String, i16, i32, i64, f32, f64, bool, (), Uuid, Vec<u8>, bytes::Bytes, Vec<Option<i64>>,
            Vec<Option<String>>, Vec<Option<Uuid>>, Vec<i32>, Vec<String>, Vec<Option<Vec<Option<i64>>>>,
            Json<serde_json::Value>, Json<Vec<u8>>,
        );
    }

    #[test]
    fn of_windowed_keys(bytes in hostile::bytes(vec![b"key\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x02".to_vec()])) {
        read::<Windowed<String>>(&TimeWindowedSerde::new(StringSerde, Duration::MAX), &bytes);
        read::<Windowed<String>>(&SessionWindowedSerde::new(StringSerde), &bytes);
    }
}

mod registered {
    use super::*;
    use kstreams::schema_registry::{AvroSerde, ProtobufSerde, Registry};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Order {
        item: String,
        amounts: Vec<i64>,
        note: Option<String>,
    }

    const AVRO: &str = r#"{"type": "record", "name": "Order", "fields": [
        {"name": "item", "type": "string"}, {"name": "amounts", "type": {"type": "array", "items": "long"}},
        {"name": "note", "type": ["null", "string"]}]}"#;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Message {
        #[prost(string, tag = "1")]
        item: String,
        #[prost(message, optional, boxed, tag = "2")]
        inner: Option<Box<Message>>,
    }

    /// A registry that gives every schema the id 1, and knows no other.
    fn registry() -> Registry {
        use std::io::{BufRead, BufReader, Write};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = String::new();
                let _ = BufReader::new(&stream).read_line(&mut request);
                let (status, body) = if request.starts_with("POST") {
                    (200, r#"{"id": 1}"#)
                } else {
                    (404, r#"{"error_code": 40403, "message": "no"}"#)
                };
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} .\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Registry::new(url).expect("the URL is one")
    }

    #[test]
    fn of_avro_and_protobuf() {
        let registry = registry();
        let avro = AvroSerde::<Order>::new(&registry, AVRO).expect("the schema is right");
        let protobuf = ProtobufSerde::<Message>::new(&registry, "message Message {}", "Message");
        let protobuf = protobuf.expect("the schema is right");
        avro.prepare("topic").expect("the registry answers");
        protobuf.prepare("topic").expect("the registry answers");
        let bytes = hostile::bytes(vec![
            b"\x08book\x04\x02\x04\0\x02\x02!".to_vec(),
            b"\0\x0a\x04book\x12\0".to_vec(),
        ]);
        let mut runner = proptest::test_runner::TestRunner::default();
        let outcome = runner.run(&bytes, |bytes| {
            let framed = [b"\0\0\0\0\x01", bytes.as_slice()].concat();
            read(&avro, &framed);
            read(&protobuf, &framed);
            Ok(())
        });
        outcome.expect("no bytes panic");
    }
}
