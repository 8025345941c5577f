//! One call as a round of attempts: items that fail for a passing reason are tried again until the time is up.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use kstreams_wire::code::ErrorCode;

use super::Outcomes;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::network::{Instant, sleep, timeout};

/// What to try, for how long, and what to call it.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) cluster: Cluster,
    pub(super) what: &'static str,
    pub(super) limit: Duration,
}

impl Round {
    /// Calls `attempt` with the items that are left until all are done or the time is up. An attempt gives what it
    /// learned of each item; an item it does not mention stays.
    pub(super) async fn run<K, T, F>(self, items: Vec<K>, attempt: impl Fn(Cluster, Vec<K>) -> F) -> Outcomes<K, T>
    where
        K: Ord + Clone + Display,
        F: Future<Output = Result<Vec<(K, Result<T>)>>>,
    {
        let end = Instant::now() + self.limit;
        let mut left: BTreeMap<K, Option<Error>> = items.into_iter().map(|item| (item, None)).collect();
        let mut done = Outcomes::new();
        let mut backoff = self.cluster.backoff();
        while !left.is_empty() {
            let time = end.saturating_duration_since(Instant::now());
            let items = left.keys().cloned().collect();
            match timeout(time, attempt(self.cluster.clone(), items)).await {
                Err(_) => break,
                Ok(Ok(results)) => self.sort(results, &mut left, &mut done).await,
                Ok(Err(error)) => {
                    let all = left.keys().map(|item| (item.clone(), Err(error.clone()))).collect();
                    self.sort(all, &mut left, &mut done).await;
                }
            }
            if !left.is_empty() {
                let pause = backoff.failed();
                if Instant::now() + pause >= end {
                    break;
                }
                sleep(pause).await;
            }
        }
        for (item, cause) in left {
            let late = Error::Timeout {
                what: format!("{} {item}", self.what),
                waited: self.limit,
                source: cause.map(Box::new),
            };
            done.insert(item, Err(late));
        }
        done
    }

    async fn sort<K: Ord, T>(
        &self,
        results: Vec<(K, Result<T>)>,
        left: &mut BTreeMap<K, Option<Error>>,
        done: &mut Outcomes<K, T>,
    ) {
        let mut stale = false;
        for (item, result) in results {
            match result {
                Err(error) if is_passing(&error) => {
                    stale |= error.code().is_none_or(ErrorCode::refreshes_metadata);
                    left.insert(item, Some(error));
                }
                result => {
                    left.remove(&item);
                    done.insert(item, result);
                }
            }
        }
        if stale {
            // Not waited for: the pause before the next attempt is time enough.
            self.cluster.want_metadata();
        }
    }
}

fn is_passing(error: &Error) -> bool {
    // That a topic is not there is the answer.
    error.is_retriable() && error.code() != Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}
