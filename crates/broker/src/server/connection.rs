//! One connection: frames in, answers out in the same order.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::{debug, warn};

use crate::handle::{self, Call};
use crate::node::Node;

/// What is read at a time when no long frame is under way.
const READ_BYTES: usize = 64 * 1024;

/// Serves one connection until the peer closes it or says something that cannot be answered.
pub(crate) async fn serve(node: Rc<Node>, stream: TcpStream, peer: SocketAddr) {
    debug!(%peer, "connection opened");
    match converse(&node, stream, peer).await {
        Ok(()) => debug!(%peer, "connection closed"),
        Err(error) => match error.kind() {
            io::ErrorKind::InvalidData => warn!(%peer, %error, "connection closed by the broker"),
            _ => debug!(%peer, %error, "connection lost"),
        },
    }
}

async fn converse(node: &Rc<Node>, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    // Requests are taken one by one, as Kafka does: a later request never overtakes a fetch or a join that waits,
    // and what is not yet taken waits in the socket.
    while let Some(frame) = next_frame(&mut stream, &mut buffer, node.config.request_bytes_max).await? {
        let answer = handle::answer(node, Call { local, peer, frame }).await?;
        let Some(mut rope) = answer else { continue };
        let length = u32::try_from(rope.len()).map_err(|_| invalid("an answer above 4 GiB"))?;
        rope.push_front(Bytes::copy_from_slice(&length.to_be_bytes()));
        stream.write_all_buf(&mut rope).await?;
    }
    Ok(())
}

/// The next request, without its length; nothing at the end of the connection.
async fn next_frame(stream: &mut TcpStream, buffer: &mut BytesMut, bytes_max: usize) -> io::Result<Option<Bytes>> {
    while buffer.len() < 4 {
        buffer.reserve(READ_BYTES);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let length = buffer.get_i32();
    let length = usize::try_from(length).map_err(|_| invalid("a negative request length"))?;
    if length > bytes_max {
        return Err(invalid(&format!("a request of {length} bytes")));
    }
    buffer.reserve(length.saturating_sub(buffer.len()));
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(buffer.split_to(length).freeze()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
