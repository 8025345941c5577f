//! A cluster of two nodes on one broker, whose connections can be made to fail.
//!
//! Each node is a proxy that understands frames: it shows clients the proxies instead of the broker, lets only the
//! present leader take records, and asks a fault before each request what is to happen to it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI32, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use kstreams_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kstreams_wire::messages::metadata_response::MetadataResponseBroker;
use kstreams_wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kstreams_wire::messages::{
    self, BrokerId, FetchRequest, FetchResponse, MetadataRequest, ProduceRequest, ProduceResponse, ReceivedHeader,
    Request, StrBytes,
};

pub(crate) const PRODUCE: i16 = 0;
pub(crate) const FETCH: i16 = 1;
const METADATA: i16 = 3;
const NOT_LEADER: i16 = 6;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is answered.
    Pass,
    /// The connection closes before the broker sees the request.
    Lose,
    /// The broker serves the request, and the connection closes before its answer.
    LoseAnswer,
    /// It is never answered, and the connection stays open.
    Hold,
}

/// Decides what happens to a request with this API key.
type Fault = Box<dyn FnMut(i16) -> Verdict + Send>;

/// Two nodes.
pub(crate) struct Proxies {
    shared: Arc<Shared>,
    ports: [u16; 2],
}

struct Shared {
    target: AtomicU16,
    leader: AtomicI32,
    ports: Mutex<[u16; 2]>,
    fault: Mutex<Fault>,
}

impl Proxies {
    /// Before this broker; node 0 leads everything.
    pub(crate) fn before(broker: SocketAddr) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let ports = [0, 1].map(|node| listeners[node].local_addr().unwrap().port());
        let shared = Arc::new(Shared {
            target: AtomicU16::new(broker.port()),
            leader: AtomicI32::new(0),
            ports: Mutex::new(ports),
            fault: Mutex::new(Box::new(|_| Verdict::Pass)),
        });
        for (node, listener) in (0..).zip(listeners) {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for client in listener.incoming() {
                    let (client, shared) = (client.unwrap(), Arc::clone(&shared));
                    thread::spawn(move || shared.serve(node, client));
                }
            });
        }
        Self { shared, ports }
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// From now on this is what happens to requests.
    pub(crate) fn fault(&self, fault: impl FnMut(i16) -> Verdict + Send + 'static) {
        *self.shared.fault.lock().unwrap() = Box::new(fault);
    }

    pub(crate) fn leader(&self, node: i32) {
        self.shared.leader.store(node, Ordering::SeqCst);
    }
}

impl Shared {
    /// Errors end the connection: it is one of the two sides that went.
    fn serve(&self, node: i32, mut client: TcpStream) -> io::Result<()> {
        let mut broker = TcpStream::connect(("127.0.0.1", self.target.load(Ordering::SeqCst)))?;
        loop {
            let frame = read(&mut client)?;
            let mut rest = frame.clone();
            let header = messages::decode_request_header(&mut rest).map_err(io::Error::other)?;
            let verdict = (self.fault.lock().unwrap())(header.api_key);
            if verdict == Verdict::Lose {
                return Ok(());
            }
            if verdict == Verdict::Hold {
                // The client is the one to give up.
                while client.read(&mut [0; 1024])? > 0 {}
                return Ok(());
            }
            if let Some(refusal) = self.refusal(node, &header, &mut rest) {
                client.write_all(&refusal)?;
                continue;
            }
            write(&mut broker, &frame)?;
            let answer = read(&mut broker)?;
            if verdict == Verdict::LoseAnswer {
                return Ok(());
            }
            match header.api_key {
                METADATA => client.write_all(&self.metadata(&header, answer))?,
                _ => write(&mut client, &answer)?,
            }
        }
    }

    fn metadata(&self, header: &ReceivedHeader, answer: Bytes) -> Bytes {
        let (id, mut answer) = messages::decode_response::<MetadataRequest>(answer, header.api_version).unwrap();
        let broker = |(node, port): (i32, &u16)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(node))
                .with_host(StrBytes::from_static_str("127.0.0.1"))
                .with_port(i32::from(*port))
        };
        answer.brokers = (0..).zip(self.ports.lock().unwrap().iter()).map(broker).collect();
        answer.controller_id = BrokerId(0);
        for partition in answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.leader_id = BrokerId(self.leader.load(Ordering::SeqCst));
        }
        messages::encode_response(&answer, header.api_version, id)
            .unwrap()
            .into_bytes()
    }

    /// Only the leader takes records and gives them.
    fn refusal(&self, node: i32, header: &ReceivedHeader, request: &mut Bytes) -> Option<Bytes> {
        if node == self.leader.load(Ordering::SeqCst) {
            return None;
        }
        let (version, id) = (header.api_version, header.correlation_id);
        let frame = match header.api_key {
            PRODUCE => {
                let request = ProduceRequest::decode(request, version).unwrap();
                let topics = request.topic_data.iter().map(|topic| {
                    let refuse = |index| {
                        PartitionProduceResponse::default()
                            .with_index(index)
                            .with_error_code(NOT_LEADER)
                    };
                    let partitions = topic
                        .partition_data
                        .iter()
                        .map(|partition| refuse(partition.index))
                        .collect();
                    TopicProduceResponse::default()
                        .with_name(topic.name.clone())
                        .with_partition_responses(partitions)
                });
                let answer = ProduceResponse::default().with_responses(topics.collect());
                messages::encode_response(&answer, version, id)
            }
            FETCH => {
                let request = FetchRequest::decode(request, version).unwrap();
                let topics = request.topics.iter().map(|topic| {
                    let refuse = |index| {
                        PartitionData::default()
                            .with_partition_index(index)
                            .with_error_code(NOT_LEADER)
                    };
                    let partitions = topic
                        .partitions
                        .iter()
                        .map(|partition| refuse(partition.partition))
                        .collect();
                    FetchableTopicResponse::default()
                        .with_topic(topic.topic.clone())
                        .with_partitions(partitions)
                });
                let answer = FetchResponse::default().with_responses(topics.collect());
                messages::encode_response(&answer, version, id)
            }
            _ => return None,
        };
        Some(frame.unwrap().into_bytes())
    }
}

fn read(from: &mut TcpStream) -> io::Result<Bytes> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut frame)?;
    Ok(frame.into())
}

fn write(to: &mut TcpStream, frame: &Bytes) -> io::Result<()> {
    to.write_all(&(frame.len() as u32).to_be_bytes())?;
    to.write_all(frame)
}
