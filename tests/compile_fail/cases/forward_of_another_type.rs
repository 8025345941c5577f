//! A processor forwards what it did not say it would.

use kstreams::prelude::*;
use kstreams::processor::{Context, Processor};

struct Length;

impl Processor for Length {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = i64;

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), kstreams::BoxError> {
        Ok(cx.forward(record)?)
    }
}

fn main() {}
