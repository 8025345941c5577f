//! Order within a partition, whatever happens to its first batches.

use std::time::{Duration, Instant};

use kstreams::{Headers, TopicName};
use kstreams_client::admin::NewTopic;
use kstreams_client::{ProducerConfig, ProducerRecord};

use super::{World, on_each_broker};

const TOPICS: i32 = 12;
const RECORDS: u32 = 300;

/// Writes record by record, in batches as small as they come, to a topic that was created a moment ago: its leader may not
/// know yet that it leads.
fn write_to_a_newcomer(world: &World, topic: &str) {
    let name = TopicName::from(world.name(topic));
    let created = world.client().admin().create_topics(&[NewTopic::new(name.clone(), 2)]);
    assert!(created.expect("a broker").values().all(Result::is_ok));
    let mut producer = world.client().producer(ProducerConfig {
        linger: Duration::ZERO,
        ..ProducerConfig::default()
    });
    let id = producer.topic(&name);
    for number in 0..RECORDS {
        let value = number.to_be_bytes();
        let record = ProducerRecord {
            key: None,
            value: Some(&value),
            timestamp: 0,
            headers: &Headers::new(),
        };
        producer.append(id, Some((number % 2) as i32), record).expect("room");
        producer.tick(Instant::now()).expect("a broker");
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.flush().expect("a broker");
}

#[test]
fn a_new_partition_keeps_the_order_of_its_first_batches() {
    on_each_broker("order", |world| {
        for topic in (0..TOPICS).map(|number| format!("t{number}")) {
            write_to_a_newcomer(world, &topic);
            let mut latest = [None; 2];
            let mut count = 0;
            for (_, value) in world.read_raw(&world.name(&topic)) {
                let number = value.and_then(|value| value.try_into().ok()).map(u32::from_be_bytes);
                let number = number.expect("a number");
                let latest = latest.get_mut((number % 2) as usize).expect("one of two");
                assert!(
                    latest.is_none_or(|latest| latest < number),
                    "{topic}: {number} behind {latest:?}"
                );
                *latest = Some(number);
                count += 1;
            }
            assert_eq!(count, RECORDS);
        }
    });
}
