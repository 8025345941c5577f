//! The client and a broker: the same promises on the embedded broker and, where one is at hand, on a real Kafka.

mod admin;
mod application;
mod exactly_once;
mod failures;
mod global;
mod guarantees;
mod handlers;
mod lifecycle;
mod member;
mod membership;
mod order;
mod patterns;
mod reads;
mod records;
mod refused;
mod resets;
mod sharing;
mod shutdown;
mod stale;
mod trouble;
mod unsent;
mod windows;
mod word_count;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::Client;
use kstreams_client::admin::NewTopic;
use kstreams_tests::{kafka, topics};
use kstreams_wire::TopicName;

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on the embedded broker and, if the tests are asked to use one, on a real Kafka; or instead of both on
/// whatever runs at `TEST_KAFKA_BOOTSTRAP`.
fn on_each_broker(test: &str, body: impl Fn(&World)) {
    if let Ok(bootstrap) = std::env::var("TEST_KAFKA_BOOTSTRAP") {
        return body(&World::new(bootstrap, test));
    }
    let embedded = Broker::start(BrokerConfig::default()).expect("the embedded broker starts");
    body(&World::new(embedded.bootstrap_servers(), test));
    embedded.stop().expect("the embedded broker stops");
    if let Some(real) = kafka::real(test) {
        body(&World::new(real.bootstrap(), test));
    }
}

/// A broker, and names that no other run of a test uses.
struct World {
    bootstrap: String,
    prefix: String,
}

impl World {
    fn new(bootstrap: String, test: &str) -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        // A second test finds it set up.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{test}-{}-{run}", std::process::id());
        Self { bootstrap, prefix }
    }

    /// The same broker under other names.
    fn another(&self, test: &str) -> Self {
        Self::new(self.bootstrap.clone(), test)
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Creates a topic and waits until it can be seen.
    fn create(&self, topic: NewTopic) {
        topics::Topics::at(&self.bootstrap).create(topic);
    }

    /// Deletes a topic and waits until it is gone.
    fn delete(&self, topic: &TopicName) {
        let admin = self.client().admin();
        let deleted = admin.delete_topics(std::slice::from_ref(topic)).expect("a broker");
        assert!(deleted.values().all(Result::is_ok), "{deleted:?}");
        eventually(|| {
            admin
                .list_topics()
                .expect("a broker")
                .iter()
                .all(|listed| listed.name != *topic)
        });
    }

    fn client(&self) -> Client {
        topics::client(&self.bootstrap)
    }
}

/// Waits until it is so.
fn eventually(is_so: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}
