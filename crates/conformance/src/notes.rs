//! What peek and for_each see while a case runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use crate::key::CaseKey;
use crate::value::Value;

/// Notes of one case, by node.
#[derive(Debug)]
pub(crate) struct Notes {
    step: AtomicI64,
    peeks: Mutex<BTreeMap<String, Vec<Json>>>,
}

impl Notes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            step: AtomicI64::new(-1),
            peeks: Mutex::default(),
        })
    }

    /// Goes on to the next step.
    pub(crate) fn next_step(&self) {
        self.step.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of the running step; −1 before the first.
    pub(crate) fn step(&self) -> i64 {
        self.step.load(Ordering::Relaxed)
    }

    /// A closure that notes what it sees under this node.
    pub(crate) fn peek<K: CaseKey>(
        self: &Arc<Self>,
        node: &str,
    ) -> impl Fn(Option<&K>, Option<&Value>) + Send + Sync + use<K> + 'static {
        let (notes, node) = (self.clone(), node.to_owned());
        move |key, value| {
            let note = json!([notes.step(), key.map(CaseKey::to_json), value.map(Value::to_json)]);
            let mut peeks = notes.peeks.lock().unwrap_or_else(PoisonError::into_inner);
            peeks.entry(node.clone()).or_default().push(note);
        }
    }

    /// All notes so far.
    pub(crate) fn to_json(&self) -> Json {
        json!(*self.peeks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
