//! The output on standard output, and the end of it: everything that was typed has gone through.

use std::io::Write;
use std::time::Duration;

use kstreams::{TopicName, TopicPartition};
use kstreams_client::group::Stability;
use kstreams_client::{Client, Consumer, ConsumerConfig, ConsumerEvent, Start};

use super::{Failure, INPUT, Outcome, Print, ends};

/// How long to wait for records before looking whether there is anything else to do.
const GLANCE: Duration = Duration::from_millis(50);

/// Prints the records of a topic with one partition.
pub(super) struct Printer {
    client: Client,
    consumer: Consumer,
    partition: TopicPartition,
    print: Print,
}

impl Printer {
    pub(super) fn new(client: &Client, topic: &str, print: Print) -> Result<Self, Failure> {
        let mut consumer = client.consumer(ConsumerConfig::default());
        let partition = TopicPartition::new(TopicName::from(topic), 0);
        consumer.assign(&[(partition.clone(), Start::Beginning)]);
        Ok(Self {
            client: client.clone(),
            consumer,
            partition,
            print,
        })
    }

    /// Prints what comes within a moment.
    pub(super) fn print_next(&mut self) -> Outcome {
        let mut out = std::io::stdout().lock();
        for event in self.consumer.poll(GLANCE) {
            match event {
                ConsumerEvent::Fetched { records, .. } => {
                    for mut batch in records {
                        while let Some(record) = batch.next()? {
                            writeln!(out, "{}", (self.print)(record.key, record.value))?;
                        }
                    }
                }
                ConsumerEvent::Error(error) => return Err(error.into()),
                _ => {}
            }
        }
        Ok(out.flush()?)
    }

    /// Prints up to where the topic ends now.
    pub(super) fn print_rest(&mut self) -> Outcome {
        let end = ends(&self.client, std::slice::from_ref(&self.partition))?.remove(&self.partition);
        let end = end.unwrap_or(0);
        while end > 0
            && self
                .consumer
                .position(&self.partition)
                .is_none_or(|position| position < end)
        {
            self.print_next()?;
        }
        Ok(())
    }
}

/// Whether the application has committed everything that it could read: its input first, then what it wrote to itself.
/// A commit comes after the output of what it covers, so nothing can be under way behind a topic that is consumed.
pub(super) fn is_consumed(client: &Client, application: &str) -> Result<bool, Failure> {
    let internal = client
        .admin()
        .list_topics()?
        .into_iter()
        .filter(|topic| topic.name.starts_with(&format!("{application}-")) && topic.name.ends_with("-repartition"));
    let mut topics = vec![TopicPartition::new(TopicName::from(INPUT), 0)];
    topics.extend(
        internal.flat_map(|topic| (0..topic.partitions).map(move |n| TopicPartition::new(topic.name.clone(), n))),
    );
    for partition in topics {
        let end = ends(client, std::slice::from_ref(&partition))?
            .remove(&partition)
            .unwrap_or(0);
        let committed = client.admin().committed_offsets(
            application,
            Some(std::slice::from_ref(&partition)),
            Stability::default(),
        )?;
        let done = committed.get(&partition).map_or(0, |committed| committed.offset);
        if done < end {
            return Ok(false);
        }
    }
    Ok(true)
}
