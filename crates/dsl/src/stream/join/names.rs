//! The names of a join of two streams: its nodes and its stores, as Java names them.

use super::plan::JoinKind;
use crate::error::Result;
use crate::plan::{Draft, valid};

/// The names of a join's nodes and stores.
pub(super) struct JoinNames {
    pub(super) this_windowed: String,
    pub(super) other_windowed: String,
    pub(super) this_join: String,
    pub(super) other_join: String,
    pub(super) merge: String,
    pub(super) this_store: String,
    pub(super) other_store: String,
    pub(super) shared_store: String,
}

impl JoinNames {
    /// Draws the names. `given` names the nodes, `store` the stores; neither says anything about the other.
    pub(super) fn draw(
        draft: &mut Draft,
        kind: JoinKind,
        given: Option<String>,
        store: Option<String>,
    ) -> Result<Self> {
        let given = given.map(valid).transpose()?;
        let store = store.map(valid).transpose()?;
        let (this_suffix, this_prefix) = if kind.is_right_outer() {
            ("-outer-this-join", "KSTREAM-OUTERTHIS-")
        } else {
            ("-this-join", "KSTREAM-JOINTHIS-")
        };
        let (other_suffix, other_prefix) = if kind.is_left_outer() {
            ("-outer-other-join", "KSTREAM-OUTEROTHER-")
        } else {
            ("-other-join", "KSTREAM-JOINOTHER-")
        };
        let shared_suffix = if kind.is_right_outer() {
            "-outer-shared-join"
        } else {
            "-left-shared-join"
        };
        let suffixed = |suffix: &str| given.as_ref().map(|name| format!("{name}{suffix}"));
        let this_windowed = draft.names.or_draw(suffixed("-this-windowed"), "KSTREAM-WINDOWED-")?;
        let other_windowed = draft.names.or_draw(suffixed("-other-windowed"), "KSTREAM-WINDOWED-")?;
        let this_drawn = draft.names.draw(this_prefix);
        let other_drawn = draft.names.draw(other_prefix);
        let number = this_drawn.strip_prefix(this_prefix).unwrap_or_default();
        let shared_drawn = format!("KSTREAM-OUTERSHARED-{number}");
        let in_store = |suffix: &str, drawn: &str| match &store {
            Some(base) => valid(format!("{base}{suffix}-store")),
            None => Ok(format!("{drawn}-store")),
        };
        Ok(Self {
            this_store: in_store(this_suffix, &this_drawn)?,
            other_store: in_store(other_suffix, &other_drawn)?,
            shared_store: in_store(shared_suffix, &shared_drawn)?,
            this_join: suffixed(this_suffix).map_or(Ok(this_drawn), valid)?,
            other_join: suffixed(other_suffix).map_or(Ok(other_drawn), valid)?,
            merge: draft.names.or_draw(suffixed("-merge"), "KSTREAM-MERGE-")?,
            this_windowed,
            other_windowed,
        })
    }
}
