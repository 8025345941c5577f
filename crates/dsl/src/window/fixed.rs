//! What windows have in common that lie where they lie whatever records come.

use kstreams_topology::Window;

use super::{TimeWindows, UnlimitedWindows};

/// Windows whose starts are known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FixedWindows {
    Time(TimeWindows),
    Unlimited(UnlimitedWindows),
}

impl From<TimeWindows> for FixedWindows {
    fn from(windows: TimeWindows) -> Self {
        Self::Time(windows)
    }
}

impl From<UnlimitedWindows> for FixedWindows {
    fn from(windows: UnlimitedWindows) -> Self {
        Self::Unlimited(windows)
    }
}

impl FixedWindows {
    pub(crate) fn size_ms(&self) -> i64 {
        match self {
            Self::Time(windows) => windows.size_ms,
            Self::Unlimited(_) => i64::MAX,
        }
    }

    pub(crate) fn grace_ms(&self) -> i64 {
        match self {
            Self::Time(windows) => windows.grace_ms,
            Self::Unlimited(_) => 0,
        }
    }

    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Time(windows) => windows.fault(),
            Self::Unlimited(windows) => windows.fault(),
        }
    }

    /// The windows that contain `timestamp`, earliest first.
    pub(crate) fn at(&self, timestamp: i64) -> Containing {
        let (start, advance_ms) = match self {
            Self::Time(windows) => (windows.first_start(timestamp), windows.advance_ms),
            Self::Unlimited(windows) => (windows.start, i64::MAX),
        };
        Containing {
            start: (start <= timestamp).then_some(start),
            timestamp,
            advance_ms,
            size_ms: self.size_ms(),
        }
    }
}

/// The windows that contain a timestamp.
pub(crate) struct Containing {
    start: Option<i64>,
    timestamp: i64,
    advance_ms: i64,
    size_ms: i64,
}

impl Iterator for Containing {
    type Item = Window;

    #[inline]
    fn next(&mut self) -> Option<Window> {
        let start = self.start?;
        let next = start.checked_add(self.advance_ms);
        self.start = next.filter(|next| *next <= self.timestamp);
        Some(Window::new(start, start.saturating_add(self.size_ms)))
    }
}
