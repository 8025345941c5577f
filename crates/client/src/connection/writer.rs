//! Writes queued requests to a socket, as many at a time as there are, without copying their bodies.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use kstreams_wire::messages::Frame;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tracing::debug;

use super::Shared;
use crate::network::{Instant, sleep_until};

/// As many slices as one system call is given.
const SLICES: usize = 64;

/// Runs until the connection closes, nobody holds it any more, or it was idle for too long.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut socket: impl AsyncWrite + Unpin,
    mut queue: mpsc::UnboundedReceiver<Frame>,
    idle_max: Duration,
) {
    let mut waiting = VecDeque::new();
    loop {
        let frame = tokio::select! {
            frame = queue.recv() => frame,
            () = shared.closing() => None,
            () = idle(&shared, idle_max) => {
                debug!(address = %shared.address, "closing an idle connection");
                None
            }
        };
        let Some(frame) = frame else { break };
        waiting.extend(frame.into_pieces());
        while let Ok(frame) = queue.try_recv() {
            waiting.extend(frame.into_pieces());
        }
        let written = tokio::select! {
            written = write(&mut socket, &mut waiting) => written,
            () = shared.closing() => break,
        };
        if let Err(error) = written {
            debug!(address = %shared.address, %error, "connection ended");
            break;
        }
    }
    shared.close();
}

async fn write(socket: &mut (impl AsyncWrite + Unpin), waiting: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !waiting.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        for (slice, bytes) in slices.iter_mut().zip(waiting.iter()) {
            *slice = IoSlice::new(bytes);
        }
        let count = waiting.len().min(SLICES);
        let slices = slices.get(..count).unwrap_or_default();
        let mut written = socket.write_vectored(slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(first) = waiting.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            waiting.pop_front();
        }
    }
    Ok(())
}

/// Returns when nothing was asked for `idle_max`, and no answer is missing.
async fn idle(shared: &Shared, idle_max: Duration) {
    loop {
        let (used, quiet) = {
            let pending = shared.pending();
            (pending.used, pending.answers.is_empty())
        };
        let now = Instant::now();
        if quiet && now.duration_since(used) >= idle_max {
            return;
        }
        let next = if quiet { used + idle_max } else { now + idle_max };
        sleep_until(next).await;
    }
}
