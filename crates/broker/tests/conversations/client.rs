//! A blocking client that sends what it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kstreams_broker::{Broker, BrokerConfig};
use kstreams_wire::Headers;
use kstreams_wire::batch::{self, BatchBuilder, ProducerStamp};
use kstreams_wire::compression::Compression;
use kstreams_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kstreams_wire::messages::delete_topics_request::DeleteTopicState;
use kstreams_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use kstreams_wire::messages::fetch_response::PartitionData;
use kstreams_wire::messages::leave_group_request::MemberIdentity;
use kstreams_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kstreams_wire::messages::produce_response::PartitionProduceResponse;
use kstreams_wire::messages::{
    CreateTopicsRequest, DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, FetchRequest, FetchResponse,
    FindCoordinatorRequest, GroupId, InitProducerIdRequest, LeaveGroupRequest, ProduceRequest, Request, StrBytes,
    TopicName, decode_response, encode_request,
};

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    sent: i32,
}

/// Who answers: our broker, or the Kafka at the address in `TEST_KAFKA_BOOTSTRAP`, which must say the same.
pub(crate) enum Stage {
    Ours(Broker),
    Kafka {
        addr: SocketAddr,
        _turn: MutexGuard<'static, ()>,
    },
}

/// One Kafka serves all tests, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

impl Stage {
    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Ours(broker) => broker.addr(),
            Self::Kafka { addr, .. } => *addr,
        }
    }
}

/// A stage with one topic and nothing else that matters.
pub(crate) fn stage_with(topic: &str, partitions: i32, configs: &[(&str, &str)]) -> Stage {
    match std::env::var("TEST_KAFKA_BOOTSTRAP") {
        Ok(addr) => {
            let addr = addr.parse().unwrap();
            let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            prepare(&mut Client::connect_to(addr), topic, partitions, configs);
            Stage::Kafka { addr, _turn: turn }
        }
        Err(_) => Stage::Ours(broker_with(topic, partitions, configs)),
    }
}

/// A broker in memory with one topic.
pub(crate) fn broker_with(topic: &str, partitions: i32, configs: &[(&str, &str)]) -> Broker {
    let broker = Broker::start(BrokerConfig::default()).unwrap();
    broker.create_topic(topic, partitions, configs).unwrap();
    broker
}

/// Makes a Kafka that has served other tests look new.
fn prepare(client: &mut Client, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
    let doomed = DeleteTopicState::default().with_name(Some(name(topic)));
    client.ask(
        &DeleteTopicsRequest::default()
            .with_topics(vec![doomed])
            .with_timeout_ms(10_000),
        6,
    );
    let group = GroupId(text("g"));
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
    wait_until(|| client.ask(&find, 4).coordinators[0].error_code == 0);
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    wait_until(|| client.ask(&init, 4).error_code == 0);
    let members = client
        .ask(&DescribeGroupsRequest::default().with_groups(vec![group.clone()]), 5)
        .groups
        .remove(0)
        .members;
    let members = members
        .into_iter()
        .map(|member| MemberIdentity::default().with_member_id(member.member_id));
    client.ask(
        &LeaveGroupRequest::default()
            .with_group_id(group.clone())
            .with_members(members.collect()),
        5,
    );
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group]);
    wait_until(|| matches!(client.ask(&delete, 2).results[0].error_code, 0 | 69));
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
    });
    let new = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![new.with_configs(configs.collect())]);
    let created = || client.ask(&request.clone().with_timeout_ms(10_000), 7).topics[0].error_code == 0;
    wait_until(created);
    // What is created is not everywhere at once.
    wait_until(|| client.fetch(topic, 0).error_code == 0);
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A batch of records without keys, with these values.
pub(crate) fn batch_of(values: &[&str], stamp: ProducerStamp) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder
            .append(1, Some(b"k"), Some(value.as_bytes()), &Headers::new())
            .unwrap();
    }
    builder.finish(stamp).unwrap()
}

pub(crate) fn produce_request(topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(name(topic))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

/// Asks for the records of partition 0 from `offset` on; waits up to `max_wait_ms` for one byte.
pub(crate) fn fetch_request(topic: &str, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(name(topic))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// The values in a fetched partition.
pub(crate) fn values(fetched: &PartitionData) -> Vec<String> {
    let mut values = Vec::new();
    for batch in batch::split(fetched.records.clone().unwrap_or_default()) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let mut records = batch.into_records().unwrap();
        while let Some(record) = records.next().unwrap() {
            values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

impl Client {
    pub(crate) fn connect(stage: &Stage) -> Self {
        Self::connect_to(stage.addr())
    }

    pub(crate) fn connect_to(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { stream, sent: 0 }
    }

    /// Sends a request; tells the number that its answer will have.
    pub(crate) fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.sent += 1;
        let frame = encode_request(request, version, self.sent, Some("test")).unwrap();
        self.stream.write_all(&frame.into_bytes()).unwrap();
        self.sent
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next answer, which must be one to `R`.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).unwrap();
        decode_response::<R>(frame.into(), version).unwrap()
    }

    /// Whether the broker has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Ok(0) | Err(_))
    }

    pub(crate) fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let sent = self.send(request, version);
        let (answered, response) = self.receive::<R>(version);
        assert_eq!(answered, sent);
        response
    }

    pub(crate) fn produce(&mut self, topic: &str, values: &[&str]) -> PartitionProduceResponse {
        self.produce_as(topic, values, ProducerStamp::NONE)
    }

    pub(crate) fn produce_as(
        &mut self,
        topic: &str,
        values: &[&str],
        stamp: ProducerStamp,
    ) -> PartitionProduceResponse {
        let request = produce_request(topic, 0, batch_of(values, stamp));
        let mut response = self.ask(&request, 9);
        response.responses.remove(0).partition_responses.remove(0)
    }

    pub(crate) fn fetch(&mut self, topic: &str, offset: i64) -> PartitionData {
        only(self.ask(&fetch_request(topic, offset, 0), 12))
    }
}

/// The one partition in a response.
pub(crate) fn only(mut response: FetchResponse) -> PartitionData {
    assert_eq!((response.error_code, response.responses.len()), (0, 1));
    response.responses.remove(0).partitions.remove(0)
}
