//! A group's coordinator that answers offsets of long ago, as Kafka's may while it is being loaded anew (ADR 9).
//!
//! A proxy before the broker, which shows clients itself instead.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use bytes::Bytes;
use kstreams_wire::messages::{
    self, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse, OffsetFetchRequest,
    OffsetFetchResponse, ReceivedHeader, Request, StrBytes,
};

const METADATA: i16 = 3;
const OFFSET_FETCH: i16 = 9;
const FIND_COORDINATOR: i16 = 10;
const TXN_OFFSET_COMMIT: i16 = 28;

/// What is remembered of an offset.
pub(super) type Memory = fn(i64) -> i64;

pub(super) struct Coordinator {
    shared: Arc<Shared>,
    port: u16,
}

struct Shared {
    broker: String,
    memory: Memory,
    is_stale: AtomicBool,
    stale_answers: AtomicU32,
}

impl Coordinator {
    /// Before this broker, and in step with it so far.
    pub(super) fn before(broker: &str, memory: Memory) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            broker: broker.to_owned(),
            memory,
            is_stale: AtomicBool::new(false),
            stale_answers: AtomicU32::new(0),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = serving.clone();
                thread::spawn(move || shared.serve(client, port));
            }
        });
        Self { shared, port }
    }

    pub(super) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// It is loaded anew: until it has written something itself, offsets are as they are remembered.
    pub(super) fn reload(&self) {
        self.shared.stale_answers.store(0, Ordering::SeqCst);
        self.shared.is_stale.store(true, Ordering::SeqCst);
    }

    /// How many wrong offsets it has answered since it was loaded.
    pub(super) fn stale_answers(&self) -> u32 {
        self.shared.stale_answers.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Errors end the connection: it is one of the two sides that went.
    fn serve(&self, mut client: TcpStream, port: u16) -> io::Result<()> {
        let mut broker = TcpStream::connect(&self.broker)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let own = SocketAddr::from(([127, 0, 0, 1], port));
        loop {
            let frame = read(&mut client)?;
            let header = messages::decode_request_header(&mut frame.clone()).map_err(io::Error::other)?;
            write(&mut broker, &frame)?;
            let answer = read(&mut broker)?;
            let shown = match header.api_key {
                METADATA => rewritten::<MetadataRequest>(&header, answer, |answer| show_broker(answer, own)),
                FIND_COORDINATOR => {
                    rewritten::<FindCoordinatorRequest>(&header, answer, |answer| show_coordinator(answer, own))
                }
                OFFSET_FETCH if self.is_stale.load(Ordering::SeqCst) => {
                    rewritten::<OffsetFetchRequest>(&header, answer, |answer| self.remember(answer))
                }
                api_key => {
                    if api_key == TXN_OFFSET_COMMIT {
                        self.is_stale.store(false, Ordering::SeqCst);
                    }
                    write(&mut client, &answer)?;
                    continue;
                }
            };
            client.write_all(&shown)?;
        }
    }

    fn remember(&self, answer: &mut OffsetFetchResponse) {
        let groups = answer.groups.iter_mut();
        for partition in groups
            .flat_map(|group| &mut group.topics)
            .flat_map(|topic| &mut topic.partitions)
        {
            if partition.committed_offset >= 0 {
                self.stale_answers.fetch_add(1, Ordering::SeqCst);
                partition.committed_offset = (self.memory)(partition.committed_offset);
            }
        }
    }
}

fn show_broker(answer: &mut MetadataResponse, own: SocketAddr) {
    for broker in &mut answer.brokers {
        broker.host = StrBytes::from_string(own.ip().to_string());
        broker.port = i32::from(own.port());
    }
}

fn show_coordinator(answer: &mut FindCoordinatorResponse, own: SocketAddr) {
    for coordinator in &mut answer.coordinators {
        coordinator.host = StrBytes::from_string(own.ip().to_string());
        coordinator.port = i32::from(own.port());
    }
}

/// An answer with something changed in it, as a frame.
fn rewritten<R: Request>(header: &ReceivedHeader, answer: Bytes, change: impl FnOnce(&mut R::Response)) -> Bytes {
    let decoded = messages::decode_response::<R>(answer, header.api_version);
    let (id, mut answer) = decoded.expect("an answer to the request");
    change(&mut answer);
    let frame = messages::encode_response(&answer, header.api_version, id);
    frame.expect("what was decoded can be encoded").into_bytes()
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
