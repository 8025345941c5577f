//! The topics that sources' patterns match: they come and go while the application runs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kstreams_client::admin::Admin;
use kstreams_topology::blueprint::Subtopologies;
use kstreams_wire::TopicName;
use tracing::info;

use super::Layout;
use crate::error::{Error, Result};

/// What is known of the topics that patterns match, shared by the threads of an instance.
#[derive(Debug, Default)]
pub(crate) struct Matched {
    /// Changes with each change of the topics.
    version: AtomicU64,
    topics: Mutex<BTreeSet<TopicName>>,
}

impl Matched {
    /// Asks which topics there are now. Does nothing without patterns.
    pub(crate) fn look(&self, layout: &Layout, admin: &Admin) -> Result<()> {
        if layout.parts.patterns.is_empty() {
            return Ok(());
        }
        let listed = admin.list_topics().map_err(|source| Error::Client {
            action: "look for topics that match a pattern".to_owned(),
            source: source.into(),
        })?;
        let listed = listed.into_iter().filter(|topic| !topic.is_internal);
        let matching = matching(&layout.parts, listed.map(|topic| topic.name));
        let mut known = self.known();
        if *known != matching {
            let topics: Vec<&str> = matching.iter().map(TopicName::as_str).collect();
            info!(?topics, "other topics match the patterns");
            *known = matching;
            self.version.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// The topics as of the last look, and what tells whether there are others by now.
    pub(crate) fn topics(&self) -> (u64, BTreeSet<TopicName>) {
        let known = self.known();
        (self.version(), known.clone())
    }

    /// Which topics those are that [`topics`](Self::topics) would give.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<TopicName>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those that a pattern matches. What the application creates for itself is not its input, whatever its name.
pub(crate) fn matching(parts: &Subtopologies, topics: impl Iterator<Item = TopicName>) -> BTreeSet<TopicName> {
    let mut own: BTreeSet<&TopicName> = BTreeSet::new();
    for part in &parts.parts {
        own.extend(part.repartition_sources.keys());
        own.extend(part.stores.iter().filter_map(|store| store.changelog.as_ref()));
    }
    let named = parts.source_topics();
    topics
        .filter(|topic| !own.contains(topic) && !named.contains(topic) && parts.pattern(topic).is_some())
        .collect()
}
