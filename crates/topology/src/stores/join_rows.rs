//! The store that both sides of an outer stream-stream join share: rows that found no partner yet.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_store::layout::list;
use kstreams_store::{KeyRange, Order, State, Write};

use super::StoreKind;
use crate::error::{Error, Result};
use crate::record::Data;
use crate::serde::{Serde, SerdeError};

/// A store of rows that wait for a partner, ordered by time, then side (right before left), then key.
pub struct JoinRows<K, L, R>(PhantomData<fn(K, L, R)>);

impl<K: Data, L: Data, R: Data> StoreKind for JoinRows<K, L, R> {
    type Front = JoinRowsFront<K, L, R>;
    type View<'a> = JoinRowsView<'a, K, L, R>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        JoinRowsView { front, state, write }
    }
}

/// The serdes of a [`JoinRows`] store of one task, and what both sides of its join know of time: a store's front is the one
/// place that two nodes of a task have in common.
pub struct JoinRowsFront<K, L, R> {
    topic: String,
    key: Arc<dyn Serde<K>>,
    left: Arc<dyn Serde<L>>,
    right: Arc<dyn Serde<R>>,
    row_key: Vec<u8>,
    value: Vec<u8>,
    values: Vec<u8>,
    times: JoinTimes,
}

/// What both sides of a join know of time, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinTimes {
    /// The latest time of any record.
    stream_time: i64,
    /// No record without a match is older than this; `None` if that is not known.
    oldest: Option<i64>,
    /// The wall-clock time before which the records are not looked through again.
    next_sweep: i64,
}

impl JoinTimes {
    const UNKNOWN: Self = Self {
        stream_time: -1,
        oldest: None,
        next_sweep: 0,
    };

    /// Takes note of a record's time; the latest so far.
    pub fn observe(&mut self, timestamp: i64) -> i64 {
        self.stream_time = self.stream_time.max(timestamp);
        self.stream_time
    }

    /// A record of this time found no match.
    pub fn wait_for(&mut self, timestamp: i64) {
        self.oldest = Some(self.oldest.map_or(timestamp, |oldest| oldest.min(timestamp)));
    }

    /// The records are being looked through, and this is the time of the next one. Like Java, this is also where the next
    /// sweep begins if this one ends here.
    pub fn pass(&mut self, timestamp: i64) {
        self.oldest = Some(timestamp);
    }

    /// Whether it is time to look through the records. The bound is that of the side that asks, as in Java: where the
    /// window's sides differ, records of the other side may be due and still wait.
    pub fn begin_sweep(&mut self, wait_ms: i64, (now, interval): (i64, i64)) -> bool {
        let waiting = |oldest: i64| oldest.saturating_add(wait_ms) >= self.stream_time;
        if self.oldest.is_some_and(waiting) || now < self.next_sweep {
            return false;
        }
        self.next_sweep = now.saturating_add(interval);
        self.oldest = None;
        true
    }
}

impl<K: Data, L: Data, R: Data> JoinRowsFront<K, L, R> {
    /// A front with these serdes, which are told `topic`.
    pub fn new(topic: &str, key: Arc<dyn Serde<K>>, left: Arc<dyn Serde<L>>, right: Arc<dyn Serde<R>>) -> Self {
        // What cannot be readied now says so at the first write.
        let _ = key
            .prepare(topic)
            .and_then(|()| left.prepare(topic))
            .and_then(|()| right.prepare(topic));
        Self {
            topic: topic.to_owned(),
            key,
            left,
            right,
            row_key: Vec::new(),
            value: Vec::new(),
            values: Vec::new(),
            times: JoinTimes::UNKNOWN,
        }
    }
}

/// A side of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinSide {
    /// The stream on which the join was called.
    Left,
    /// The other one.
    Right,
}

/// A value of one side of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SideValue<L, R> {
    /// Of the left side.
    Left(L),
    /// Of the right side.
    Right(R),
}

/// Rows of one key, time and side.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinRow<K, L, R> {
    /// Their time, in milliseconds.
    pub timestamp: i64,
    /// Their side.
    pub side: JoinSide,
    /// Their key.
    pub key: K,
    /// Their values, in the order in which they were added.
    pub values: Vec<SideValue<L, R>>,
    place: Box<[u8]>,
}

/// A [`JoinRows`] store while a node works with it.
pub struct JoinRowsView<'a, K, L, R> {
    front: &'a mut JoinRowsFront<K, L, R>,
    state: &'a mut State,
    write: Write<'a>,
}

impl<K: Data, L: Data, R: Data> JoinRowsView<'_, K, L, R> {
    /// What both sides of the join know of time.
    pub fn times(&mut self) -> &mut JoinTimes {
        &mut self.front.times
    }

    /// Adds a row.
    pub fn add(&mut self, key: &K, timestamp: i64, value: &SideValue<L, R>) -> Result<()> {
        let side = match value {
            SideValue::Left(_) => JoinSide::Left,
            SideValue::Right(_) => JoinSide::Right,
        };
        self.front.encode_row_key(key, timestamp, side)?;
        self.front.encode_value(value)?;
        let front = &mut *self.front;
        let known = self.state.get(&mut self.write, &front.row_key)?;
        front.values.clear();
        front.values.extend_from_slice(known.unwrap_or_default());
        list::push(&mut front.values, &front.value);
        Ok(self.state.put(&mut self.write, &front.row_key, Some(&front.values))?)
    }

    /// Removes the rows of a key, time and side, if there are any: they found a partner.
    pub fn remove(&mut self, key: &K, timestamp: i64, side: JoinSide) -> Result<()> {
        self.front.encode_row_key(key, timestamp, side)?;
        let row_key = &self.front.row_key;
        if self.state.get(&mut self.write, row_key)?.is_some() {
            self.state.put(&mut self.write, row_key, None)?;
        }
        Ok(())
    }

    /// The oldest rows, or those behind a row: at most `limit` keys, times and sides. Rows stay until they are
    /// [removed](Self::remove_row).
    pub fn oldest(&mut self, behind: Option<&JoinRow<K, L, R>>, limit: usize) -> Result<Vec<JoinRow<K, L, R>>> {
        let range = match behind {
            Some(row) => KeyRange::after(&row.place),
            None => KeyRange::all(),
        };
        let mut range = self.state.range(&range, Order::Forward)?;
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Some((place, values)) = range.next_entry()?
        {
            rows.push(self.front.decode_row(place, values)?);
        }
        Ok(rows)
    }

    /// Removes rows that [`oldest`](Self::oldest) gave.
    pub fn remove_row(&mut self, row: &JoinRow<K, L, R>) -> Result<()> {
        Ok(self.state.put(&mut self.write, &row.place, None)?)
    }
}

const LEFT: u8 = 1;
const RIGHT: u8 = 0;

impl<K: Data, L: Data, R: Data> JoinRowsFront<K, L, R> {
    fn encode_row_key(&mut self, key: &K, timestamp: i64, side: JoinSide) -> Result<()> {
        self.row_key.clear();
        self.row_key.extend_from_slice(&timestamp.to_be_bytes());
        self.row_key.push(match side {
            JoinSide::Left => LEFT,
            JoinSide::Right => RIGHT,
        });
        let encoded = self.key.serialize(&self.topic, key, &mut self.row_key);
        encoded.map_err(|source| self.encode_error(source))
    }

    fn encode_value(&mut self, value: &SideValue<L, R>) -> Result<()> {
        self.value.clear();
        let encoded = match value {
            SideValue::Left(value) => {
                self.value.push(LEFT);
                self.left.serialize(&self.topic, value, &mut self.value)
            }
            SideValue::Right(value) => {
                self.value.push(RIGHT);
                self.right.serialize(&self.topic, value, &mut self.value)
            }
        };
        encoded.map_err(|source| self.encode_error(source))
    }

    fn encode_error(&self, source: SerdeError) -> Error {
        Error::Serialization {
            topic: self.topic.clone(),
            source,
        }
    }

    fn decode_row(&self, place: &[u8], values: &[u8]) -> Result<JoinRow<K, L, R>> {
        let (timestamp, rest) = place.split_first_chunk().ok_or_else(damaged)?;
        let (side, key) = rest.split_first().ok_or_else(damaged)?;
        let values = list::values(values).map(|value| self.decode_value(value.map_err(|_| damaged())?));
        Ok(JoinRow {
            timestamp: i64::from_be_bytes(*timestamp),
            side: if *side == LEFT { JoinSide::Left } else { JoinSide::Right },
            key: self.key.deserialize(&self.topic, key).map_err(user)?,
            values: values.collect::<Result<_>>()?,
            place: place.into(),
        })
    }

    fn decode_value(&self, bytes: &[u8]) -> Result<SideValue<L, R>> {
        let (side, value) = bytes.split_first().ok_or_else(damaged)?;
        if *side == LEFT {
            let left = self.left.deserialize(&self.topic, value).map_err(user)?;
            return Ok(SideValue::Left(left));
        }
        let right = self.right.deserialize(&self.topic, value).map_err(user)?;
        Ok(SideValue::Right(right))
    }
}

fn damaged() -> Error {
    user(SerdeError::new("bytes are no row of an outer join"))
}

fn user(error: SerdeError) -> Error {
    Error::User(Box::new(error))
}
