//! Produce requests and fetch responses, written around their records, which are attached and never copied.

use bytes::{BufMut, Bytes};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::protocol::{self, Encodable, HeaderVersion};

use super::*;
use crate::primitives::unsigned_size;

impl Request for ProduceRequest {
    const KEY: i16 = <Self as protocol::Request>::KEY;
    const NAME: &'static str = "ProduceRequest";
    const VERSIONS: Versions = table::versions::<Self>();
    type Response = ProduceResponse;

    fn header_version(version: i16) -> i16 {
        <Self as HeaderVersion>::header_version(version)
    }

    fn encode(&self, out: &mut FrameWriter, version: i16) -> Result<()> {
        let mut fields = Fields {
            out,
            flexible: version >= 9,
            message: Self::NAME,
            version,
        };
        fields.string(self.transactional_id.as_ref().map(|id| id.0.as_str()))?;
        fields.buffer().put_i16(self.acks);
        fields.buffer().put_i32(self.timeout_ms);
        fields.count(Some(self.topic_data.len()));
        for topic in &self.topic_data {
            fields.produce_topic(topic)?;
        }
        fields.no_tags();
        Ok(())
    }

    fn decode(bytes: &mut Bytes, version: i16) -> Result<Self> {
        guard::decode(bytes, version, version >= 9, Self::NAME)
    }
}

impl Response for FetchResponse {
    const NAME: &'static str = "FetchResponse";

    fn header_version(version: i16) -> i16 {
        <Self as HeaderVersion>::header_version(version)
    }

    fn encode(&self, out: &mut FrameWriter, version: i16) -> Result<()> {
        let mut fields = Fields {
            out,
            flexible: version >= 12,
            message: Self::NAME,
            version,
        };
        fields.buffer().put_i32(self.throttle_time_ms);
        if version >= 7 {
            fields.buffer().put_i16(self.error_code);
            fields.buffer().put_i32(self.session_id);
        }
        fields.count(Some(self.responses.len()));
        for topic in &self.responses {
            fields.fetch_topic(topic)?;
        }
        if version < 16 || self.node_endpoints.is_empty() {
            fields.no_tags();
            return Ok(());
        }
        let mut size = unsigned_size(self.node_endpoints.len() as u64 + 1);
        for endpoint in &self.node_endpoints {
            size += endpoint
                .compute_size(version)
                .map_err(|error| fields.failed(error.into()))?;
        }
        for number in [1, 0, size as u64] {
            fields.unsigned(number);
        }
        fields.count(Some(self.node_endpoints.len()));
        for endpoint in &self.node_endpoints {
            fields.generated(endpoint)?;
        }
        Ok(())
    }

    fn decode(bytes: &mut Bytes, version: i16) -> Result<Self> {
        guard::decode(bytes, version, version >= 12, Self::NAME)
    }
}

/// Writes the fields of one message in one version.
struct Fields<'a> {
    out: &'a mut FrameWriter,
    flexible: bool,
    message: &'static str,
    version: i16,
}

impl Fields<'_> {
    const fn buffer(&mut self) -> &mut bytes::BytesMut {
        self.out.buffer()
    }

    fn produce_topic(&mut self, topic: &TopicProduceData) -> Result<()> {
        if self.version >= 13 {
            self.buffer().put_slice(topic.topic_id.as_bytes());
        } else {
            self.string(Some(&topic.name))?;
        }
        self.count(Some(topic.partition_data.len()));
        for partition in &topic.partition_data {
            self.buffer().put_i32(partition.index);
            self.records(partition.records.as_ref())?;
            self.no_tags();
        }
        self.no_tags();
        Ok(())
    }

    fn fetch_topic(&mut self, topic: &FetchableTopicResponse) -> Result<()> {
        if self.version >= 13 {
            self.buffer().put_slice(topic.topic_id.as_bytes());
        } else {
            self.string(Some(&topic.topic))?;
        }
        self.count(Some(topic.partitions.len()));
        for partition in &topic.partitions {
            self.fetch_partition(partition)?;
        }
        self.no_tags();
        Ok(())
    }

    fn fetch_partition(&mut self, partition: &PartitionData) -> Result<()> {
        let version = self.version;
        let buffer = self.buffer();
        buffer.put_i32(partition.partition_index);
        buffer.put_i16(partition.error_code);
        buffer.put_i64(partition.high_watermark);
        buffer.put_i64(partition.last_stable_offset);
        if version >= 5 {
            buffer.put_i64(partition.log_start_offset);
        }
        self.count(partition.aborted_transactions.as_ref().map(Vec::len));
        for aborted in partition.aborted_transactions.iter().flatten() {
            self.generated(aborted)?;
        }
        if version >= 11 {
            self.buffer().put_i32(partition.preferred_read_replica.0);
        }
        self.records(partition.records.as_ref())?;
        if !self.flexible {
            return Ok(());
        }
        let diverging = set(&partition.diverging_epoch);
        let leader = set(&partition.current_leader);
        let snapshot = set(&partition.snapshot_id);
        let tags = [diverging.is_some(), leader.is_some(), snapshot.is_some()];
        self.unsigned(tags.into_iter().filter(|set| *set).count() as u64);
        self.tag(0, diverging)?;
        self.tag(1, leader)?;
        self.tag(2, snapshot)
    }

    fn records(&mut self, records: Option<&Bytes>) -> Result<()> {
        let length = records.map(Bytes::len);
        if length.is_some_and(|length| length >= i32::MAX as usize) {
            return Err(Error::TooLarge {
                what: "records of a partition",
                limit: i32::MAX as usize,
            });
        }
        // The length is written as the count of a list would be.
        self.count(length);
        if let Some(records) = records {
            self.out.attach(records);
        }
        Ok(())
    }

    fn tag<M: Encodable>(&mut self, tag: u64, message: Option<&M>) -> Result<()> {
        let Some(message) = message else { return Ok(()) };
        let size = message
            .compute_size(self.version)
            .map_err(|error| self.failed(error.into()))?;
        self.unsigned(tag);
        self.unsigned(size as u64);
        self.generated(message)
    }

    fn no_tags(&mut self) {
        if self.flexible {
            self.buffer().put_u8(0);
        }
    }

    fn count(&mut self, count: Option<usize>) {
        match count {
            _ if self.flexible => self.unsigned(count.map_or(0, |count| count as u64 + 1)),
            Some(count) => self.buffer().put_i32(count as i32),
            None => self.buffer().put_i32(-1),
        }
    }

    fn string(&mut self, text: Option<&str>) -> Result<()> {
        let length = i16::try_from(text.map_or(0, str::len)).map_err(|_| Error::TooLarge {
            what: "string",
            limit: i16::MAX as usize,
        })?;
        match text {
            _ if self.flexible => self.count(text.map(str::len)),
            Some(_) => self.buffer().put_i16(length),
            None => self.buffer().put_i16(-1),
        }
        self.buffer().put_slice(text.unwrap_or_default().as_bytes());
        Ok(())
    }

    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer().put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer().put_u8(value as u8);
    }

    fn generated<M: Encodable>(&mut self, message: &M) -> Result<()> {
        let version = self.version;
        message
            .encode(self.buffer(), version)
            .map_err(|error| self.failed(error.into()))
    }

    fn failed(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::Encode {
            message: self.message,
            version: self.version,
            source,
        }
    }
}

/// The field, if it differs from its default: only then is it written.
fn set<M: Default + PartialEq>(message: &M) -> Option<&M> {
    (*message != M::default()).then_some(message)
}
