//! When windowed aggregations tell what they found.

/// When a windowed aggregation forwards the aggregate of a window (KIP-825).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitStrategy {
    /// With every update: the default. The record cache may let updates collapse.
    #[default]
    OnWindowUpdate,
    /// Once, when the window is closed: when stream time has passed its end and the grace after it.
    OnWindowClose,
}
