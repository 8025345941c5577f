//! Standard input into a topic, line by line.

use std::io::BufRead;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kstreams::{Headers, TopicName};
use kstreams_client::{Client, ProducerConfig, ProducerRecord};

/// Lines that may wait to be sent.
const QUEUE: usize = 1000;

/// Sends every line; the thread ends when all of them are acknowledged.
pub(super) fn send(client: &Client, topic: &'static str) -> JoinHandle<Result<(), kstreams_client::Error>> {
    let (typed, lines) = sync_channel(QUEUE);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if typed.send(line).is_err() {
                return;
            }
        }
    });
    let client = client.clone();
    std::thread::spawn(move || {
        let mut producer = client.producer(ProducerConfig::default());
        let topic = producer.topic(&TopicName::from(topic));
        loop {
            let now = Instant::now();
            let wait = producer
                .next_tick()
                .map_or(Duration::MAX, |due| due.saturating_duration_since(now));
            match lines.recv_timeout(wait.min(Duration::from_secs(3600))) {
                Ok(line) => {
                    let record = ProducerRecord {
                        key: None,
                        value: Some(line.as_bytes()),
                        timestamp: now_ms(),
                        headers: &Headers::new(),
                    };
                    producer.append(topic, None, record)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return producer.flush(),
            }
            producer.tick(Instant::now())?;
        }
    })
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
