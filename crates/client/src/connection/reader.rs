//! Reads answers from a socket and hands each to whoever waits for it.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use kstreams_wire::messages;
use tokio::io::{AsyncRead, AsyncReadExt};
use tracing::{debug, trace};

use super::Shared;

/// No answer may be larger: a length beyond this is a peer that does not speak Kafka.
const FRAME_MAX: usize = 1 << 30;
const READ_BYTES: usize = 16 * 1024;

/// Runs until the connection closes, from either side.
pub(super) async fn run(shared: Arc<Shared>, mut socket: impl AsyncRead + Unpin) {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        let frame = tokio::select! {
            frame = next(&mut socket, &mut buffer) => frame,
            () = shared.closing() => break,
        };
        match frame {
            Ok(frame) => deliver(&shared, frame),
            Err(error) => {
                debug!(address = %shared.address, %error, "connection ended");
                break;
            }
        }
    }
    shared.close();
}

/// The next frame without its length. The bytes are those that were read: nothing is copied afterwards.
pub(super) async fn next(socket: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<Bytes> {
    fill(socket, buffer, 4).await?;
    let length = buffer.get_u32() as usize;
    if length > FRAME_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("an answer of {length} bytes: not a broker?"),
        ));
    }
    fill(socket, buffer, length).await?;
    Ok(buffer.split_to(length).freeze())
}

async fn fill(socket: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut, length: usize) -> io::Result<()> {
    while buffer.len() < length {
        if buffer.capacity() - buffer.len() < READ_BYTES.min(length - buffer.len()) {
            buffer.reserve((length - buffer.len()).max(READ_BYTES));
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

fn deliver(shared: &Shared, frame: Bytes) {
    let correlation = match messages::correlation_id(&frame) {
        Ok(correlation) => correlation,
        Err(error) => {
            debug!(address = %shared.address, %error, "connection ended");
            return shared.close();
        }
    };
    match shared.pending().answers.remove(&correlation) {
        // The asker may have lost interest; then nobody misses the answer.
        Some(asker) => drop(asker.send(frame)),
        None => trace!(address = %shared.address, correlation, "an answer that nobody waits for"),
    }
}
