//! Frames in pieces: small fields are written into a buffer, records are attached as they are.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{Error, Result};

/// Attachments smaller than this are copied: a piece costs more.
const COPY_BELOW_BYTES: usize = 512;
/// The frame's length, in front of it.
const PREFIX_BYTES: usize = 4;

/// A complete frame, its length in front, to be written piece by piece (or all at once, vectored).
#[derive(Debug, Clone)]
pub struct Frame {
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Frame {
    /// The pieces in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The pieces in order, to keep.
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// The length of all pieces together.
    pub const fn total_bytes(&self) -> usize {
        self.bytes
    }

    /// All in one piece, which copies unless there is but one.
    pub fn into_bytes(self) -> Bytes {
        if let [only] = self.pieces.as_slice() {
            return only.clone();
        }
        self.pieces.concat().into()
    }
}

/// Writes a frame.
#[derive(Debug)]
pub struct FrameWriter {
    /// The first piece, once there is another: its first bytes are filled in last.
    first: Option<BytesMut>,
    pieces: Vec<Bytes>,
    buffer: BytesMut,
    done_bytes: usize,
}

impl FrameWriter {
    /// An empty frame.
    pub fn new() -> Self {
        let mut buffer = BytesMut::with_capacity(256);
        buffer.put_bytes(0, PREFIX_BYTES);
        Self {
            first: None,
            pieces: Vec::new(),
            buffer,
            done_bytes: 0,
        }
    }

    /// Where fields are appended.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Appends bytes without copying them, unless they are few.
    pub fn attach(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW_BYTES {
            self.buffer.put_slice(bytes);
            return;
        }
        self.cut();
        self.done_bytes += bytes.len();
        self.pieces.push(bytes.clone());
    }

    /// The frame, with its length filled in.
    pub fn finish(mut self) -> Result<Frame> {
        self.cut();
        let length = i32::try_from(self.done_bytes - PREFIX_BYTES).map_err(|_| Error::TooLarge {
            what: "frame",
            limit: i32::MAX as usize,
        })?;
        if let Some(mut first) = self.first {
            if let Some(prefix) = first.first_chunk_mut::<PREFIX_BYTES>() {
                *prefix = length.to_be_bytes();
            }
            self.pieces.insert(0, first.freeze());
        }
        Ok(Frame {
            pieces: self.pieces,
            bytes: self.done_bytes,
        })
    }

    /// Makes a piece of what is in the buffer.
    fn cut(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        self.done_bytes += self.buffer.len();
        let piece = self.buffer.split();
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.pieces.push(piece.freeze());
        }
    }
}

impl Default for FrameWriter {
    fn default() -> Self {
        Self::new()
    }
}
