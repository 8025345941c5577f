//! The window without an end.

/// One window that never ends: everything from a time on. Earlier records are in no window; that does not count as dropped.
///
/// ```
/// # use kstreams_dsl::UnlimitedWindows;
/// let from_2020_on = UnlimitedWindows::starting_on(1_577_836_800_000);
/// # let _ = from_2020_on;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnlimitedWindows {
    pub(crate) start: i64,
}

impl UnlimitedWindows {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything from this time on, in milliseconds since 1970, not negative.
    pub fn starting_on(start: i64) -> Self {
        Self { start }
    }

    /// What is wrong with these windows.
    pub(crate) fn fault(&self) -> Option<String> {
        let start = self.start;
        (start < 0).then(|| format!("a start at {start} ms, at least 0 ms expected"))
    }
}
