//! User data in the group protocol: what a member tells the leader, and what the leader tells a member.
//!
//! The first byte is a format version of our own, far from the four-byte versions that Java's user data begins with, so
//! that a foreign member is recognised and named instead of misread.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kstreams_topology::TaskId;

use crate::input::{Member, ProcessId};

/// Our first format. Java's data begins with a zero byte.
const FORMAT: u8 = 0xA1;

/// What a member says when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionData {
    /// Its process, the tasks it runs, and the state its process has on disk.
    pub member: Member,
    /// Whether it asks that the whole application shuts down.
    pub shutdown: bool,
}

/// What the assignment means beyond its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Take the tasks on.
    #[default]
    Assigned,
    /// A source topic is missing.
    MissingSourceTopics,
    /// The leader could not assign.
    Failed,
    /// A member asked that the whole application shuts down.
    Shutdown,
}

/// What a member is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignmentData {
    /// Whether all is well.
    pub verdict: Verdict,
    /// The active tasks.
    pub active: Vec<TaskId>,
    /// Why not, for the log of the member.
    pub reason: String,
}

/// Why user data could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// The member is not one of ours.
    #[error("user data begins with byte {first:#04x}: the member is no kstreams instance, or a newer one")]
    Foreign {
        /// The first byte.
        first: u8,
    },
    /// It ends too early.
    #[error("user data is cut short in {part}")]
    Short {
        /// What was being read.
        part: &'static str,
    },
}

impl SubscriptionData {
    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        out.put_u8(FORMAT);
        out.put_u8(u8::from(self.shutdown));
        out.put_slice(&self.member.process.0);
        out.put_u32(self.member.running.len() as u32);
        for task in &self.member.running {
            put_task(&mut out, *task);
        }
        out.put_u32(self.member.state.len() as u32);
        for (task, offsets) in &self.member.state {
            put_task(&mut out, *task);
            out.put_i64(*offsets);
        }
        out.freeze()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = begin(bytes)?;
        let shutdown = input.try_get_u8().map_err(|_| short("shutdown"))? != 0;
        let mut process = ProcessId::default();
        input
            .try_copy_to_slice(&mut process.0)
            .map_err(|_| short("process id"))?;
        let mut member = Member {
            process,
            ..Member::default()
        };
        for _ in 0..input.try_get_u32().map_err(|_| short("running tasks"))? {
            member.running.insert(task(&mut input)?);
        }
        for _ in 0..input.try_get_u32().map_err(|_| short("state"))? {
            let task = task(&mut input)?;
            member
                .state
                .insert(task, input.try_get_i64().map_err(|_| short("state"))?);
        }
        Ok(Self { member, shutdown })
    }
}

impl AssignmentData {
    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(16 + 8 * self.active.len());
        out.put_u8(FORMAT);
        out.put_u8(match self.verdict {
            Verdict::Assigned => 0,
            Verdict::MissingSourceTopics => 1,
            Verdict::Failed => 3,
            Verdict::Shutdown => 4,
        });
        out.put_u32(self.active.len() as u32);
        for task in &self.active {
            put_task(&mut out, *task);
        }
        out.put_u32(self.reason.len() as u32);
        out.put_slice(self.reason.as_bytes());
        out.freeze()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = begin(bytes)?;
        let verdict = match input.try_get_u8().map_err(|_| short("verdict"))? {
            0 => Verdict::Assigned,
            1 => Verdict::MissingSourceTopics,
            4 => Verdict::Shutdown,
            _ => Verdict::Failed,
        };
        let mut active = Vec::new();
        for _ in 0..input.try_get_u32().map_err(|_| short("active tasks"))? {
            active.push(task(&mut input)?);
        }
        let length = input.try_get_u32().map_err(|_| short("reason"))? as usize;
        let reason = input.get(..length).ok_or(short("reason"))?;
        Ok(Self {
            verdict,
            active,
            reason: String::from_utf8_lossy(reason).into_owned(),
        })
    }
}

fn begin(bytes: &[u8]) -> Result<&[u8], CodecError> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => Ok(rest),
        Some((&first, _)) => Err(CodecError::Foreign { first }),
        None => Err(short("format")),
    }
}

fn short(part: &'static str) -> CodecError {
    CodecError::Short { part }
}

fn put_task(out: &mut BytesMut, task: TaskId) {
    out.put_u32(task.subtopology);
    out.put_i32(task.partition);
}

fn task(input: &mut &[u8]) -> Result<TaskId, CodecError> {
    let subtopology = input.try_get_u32().map_err(|_| short("task id"))?;
    let partition = input.try_get_i32().map_err(|_| short("task id"))?;
    Ok(TaskId::new(subtopology, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscription_survives_the_journey() {
        let mut data = SubscriptionData {
            shutdown: true,
            ..SubscriptionData::default()
        };
        data.member.process = ProcessId([7; 16]);
        data.member.running.insert(TaskId::new(0, 3));
        data.member.state.insert(TaskId::new(1, 3), 4711);
        assert_eq!(SubscriptionData::decode(&data.encode()), Ok(data));
    }

    #[test]
    fn assignment_survives_the_journey() {
        let data = AssignmentData {
            verdict: Verdict::MissingSourceTopics,
            active: vec![TaskId::new(0, 0), TaskId::new(2, 9)],
            reason: "topic lines is missing".to_owned(),
        };
        assert_eq!(AssignmentData::decode(&data.encode()), Ok(data));
    }

    #[test]
    fn data_cut_short_or_of_java_is_an_error() {
        let bytes = SubscriptionData::default().encode();
        for end in 0..bytes.len() {
            assert!(SubscriptionData::decode(bytes.get(..end).unwrap_or_default()).is_err());
        }
        let java = [0, 0, 0, 11];
        assert_eq!(SubscriptionData::decode(&java), Err(CodecError::Foreign { first: 0 }));
    }
}
