//! User processors between operators.

use kstreams_dsl::StreamsBuilder;
use kstreams_topology::processor::{Context, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, Processor};
use kstreams_topology::{BoxError, Record};

use crate::harness::check;

/// Forwards upper-case keys a little later, and then the record with one more header.
struct Twice;

impl Processor for Twice {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn process(&mut self, cx: &mut Context<'_, Self>, mut record: Record<String, String>) -> Result<(), BoxError> {
        let mut later = record.clone().with_key(record.key.to_uppercase());
        later.timestamp += 100;
        cx.forward(later)?;
        record.headers.push("p", Some("1".into()));
        Ok(cx.forward(record)?)
    }
}

/// Upper case; drops `x`, forwards `tw` twice.
struct Upper;

impl FixedKeyProcessor for Upper {
    type K = String;
    type VIn = String;
    type VOut = String;

    fn process(
        &mut self,
        cx: &mut FixedKeyContext<'_, Self>,
        record: FixedKeyRecord<String, String>,
    ) -> Result<(), BoxError> {
        let upper = record.value().to_uppercase();
        let later = record.timestamp() + 1;
        let upper = record.with_value(upper);
        match upper.value().as_str() {
            "X" => return Ok(()),
            "TW" => {
                cx.forward(upper.clone())?;
                cx.forward(upper.with_timestamp(later))?;
            }
            _ => cx.forward(upper)?,
        }
        Ok(())
    }
}

#[test]
fn processors() {
    check("process-forward", |b: &StreamsBuilder| {
        b.stream("in").process(|| Twice).to("out");
    });
    check("process-values", |b| {
        let counts = b
            .stream("in")
            .process_values(|| Upper)
            .group_by_key()
            .count()
            .materialized("st");
        counts.to_stream().to("out");
    });
}
