//! The versioned layout: the latest version of a key in one row, older ones together in a row per segment of time.
//!
//! The latest row is the version's timestamp and its value. A segment's row holds the versions that ended within the
//! segment: when the newest of them ended, when the oldest began, then of each, newest first, when it began and how long
//! its value is (−1: deleted), and behind all of these the values, oldest first.

/// The segment in which latest versions are kept.
pub(crate) const LATEST: i64 = -1;

const HEAD: usize = 16;
const ENTRY: usize = 12;

/// How long a segment is, for a history of this length.
pub fn segment_ms(history_ms: i64) -> i64 {
    const MINUTE: i64 = 60_000;
    if history_ms <= MINUTE {
        (history_ms / 3).max(2_000)
    } else if history_ms <= 5 * MINUTE {
        (history_ms / 5).max(20_000)
    } else if history_ms <= 60 * MINUTE {
        (history_ms / 12).max(MINUTE)
    } else {
        (history_ms / 24).max(5 * MINUTE)
    }
}

/// Writes the row of a latest version.
pub fn join_latest(from: i64, value: &[u8], row: &mut Vec<u8>) {
    row.clear();
    row.extend_from_slice(&from.to_be_bytes());
    row.extend_from_slice(value);
}

/// When a latest version began, and its value.
pub fn split_latest(row: &[u8]) -> Option<(i64, &[u8])> {
    let (from, value) = row.split_first_chunk()?;
    Some((i64::from_be_bytes(*from), value))
}

/// A version in a segment's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// When it began.
    pub from: i64,
    /// When it ended.
    pub to: i64,
    /// Its value; `None` says that the key was deleted meanwhile.
    pub value: Option<&'a [u8]>,
}

/// A segment's row of one key, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(&'a [u8]);

impl<'a> Chain<'a> {
    /// The row of these bytes; `None` if they are too short to be one.
    pub fn new(row: &'a [u8]) -> Option<Self> {
        (row.len() >= HEAD + ENTRY).then_some(Self(row))
    }

    /// When its newest version ended.
    pub fn next(self) -> i64 {
        self.long(0)
    }

    /// When its oldest version began.
    pub fn min(self) -> i64 {
        self.long(8)
    }

    /// Its versions, newest first. A damaged row ends early.
    pub fn versions(self) -> impl Iterator<Item = Held<'a>> {
        let (mut at, mut end, mut to, mut left) = (HEAD, self.0.len(), self.next(), true);
        std::iter::from_fn(move || {
            if !left {
                return None;
            }
            let from = i64::from_be_bytes(*self.0.get(at..)?.first_chunk()?);
            let length = i32::from_be_bytes(*self.0.get(at + 8..)?.first_chunk()?);
            let value = match usize::try_from(length) {
                Ok(length) => {
                    let start = end.checked_sub(length)?;
                    let value = self.0.get(start..end)?;
                    end = start;
                    Some(value)
                }
                Err(_) => None,
            };
            let held = Held { from, to, value };
            (at, to, left) = (at + ENTRY, from, from != self.min());
            Some(held)
        })
    }

    /// Whether it only says that the key was deleted at a time, and knows no version before.
    fn is_bare(self) -> bool {
        self.next() == self.min()
    }

    fn long(self, at: usize) -> i64 {
        self.0
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |bytes| i64::from_be_bytes(*bytes))
    }
}

/// A segment's row being changed: when each version began, newest first, and its value.
#[derive(Debug)]
pub struct Draft<'a> {
    next: i64,
    versions: Vec<(i64, Option<&'a [u8]>)>,
}

impl<'a> Draft<'a> {
    /// A row of one version. Where it ends when it begins, the row says no more than that the key is deleted from then on.
    pub fn of(from: i64, to: i64, value: Option<&'a [u8]>) -> Self {
        Self {
            next: to,
            versions: vec![(from, value)],
        }
    }

    /// The row as it is.
    pub fn from(chain: Chain<'a>) -> Self {
        Self {
            next: chain.next(),
            versions: if chain.is_bare() {
                Vec::new()
            } else {
                chain.versions().map(|held| (held.from, held.value)).collect()
            },
        }
    }

    /// Adds the newest version. A gap before it becomes a deletion.
    pub fn push_newest(&mut self, from: i64, to: i64, value: Option<&'a [u8]>) {
        if self.next < from {
            self.versions.insert(0, (self.next, None));
        }
        self.versions.insert(0, (from, value));
        self.next = to;
    }

    /// Adds the oldest version; it ends where the one behind it begins.
    pub fn push_oldest(&mut self, from: i64, value: Option<&'a [u8]>) {
        self.versions.push((from, value));
    }

    /// Adds a version between others, or replaces the one that begins at the same time.
    pub fn insert(&mut self, from: i64, value: Option<&'a [u8]>) {
        let at = self.versions.partition_point(|(other, _)| *other > from);
        match self.versions.get_mut(at) {
            Some(held) if held.0 == from => held.1 = value,
            _ => self.versions.insert(at, (from, value)),
        }
    }

    /// Replaces the version that was valid at `from` by one that begins there.
    pub fn cut(&mut self, from: i64, value: Option<&'a [u8]>) {
        let at = self.versions.partition_point(|(other, _)| *other > from);
        if let Some(held) = self.versions.get_mut(at) {
            *held = (from, value);
        }
    }

    /// Writes the row.
    pub fn write(&self, row: &mut Vec<u8>) {
        row.clear();
        let min = self.versions.last().map_or(self.next, |(from, _)| *from);
        row.extend_from_slice(&self.next.to_be_bytes());
        row.extend_from_slice(&min.to_be_bytes());
        for (from, value) in &self.versions {
            let length = value.map_or(-1, |value| value.len() as i32);
            row.extend_from_slice(&from.to_be_bytes());
            row.extend_from_slice(&length.to_be_bytes());
        }
        for (_, value) in self.versions.iter().rev() {
            row.extend_from_slice(value.unwrap_or_default());
        }
    }
}
