//! One broker as one lane sees it: its connection, and the pause before the next attempt to connect.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::{info, warn};

use super::Shared;
use crate::config::Address;
use crate::connection::{self, Backoff, Connection};
use crate::error::{Error, Result};
use crate::network::{Instant, sleep_until};

/// How often a broker that stays away is complained about.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// The place of a connection. The lock is held while connecting, so that everyone waits for the same attempt.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Connection>,
    /// After failures: the pause between attempts, and when the next one is due.
    pause: Option<(Backoff, Instant)>,
}

/// The brokers that cannot be reached, whoever tried.
#[derive(Debug, Default)]
pub(super) struct Absences(BTreeMap<Address, Absence>);

#[derive(Debug)]
struct Absence {
    since: Instant,
    /// When it was last complained about, if it was.
    complained: Option<Instant>,
}

impl Slot {
    /// The open connection, or a new one. After a failure the next attempt waits for its turn.
    pub(super) async fn connection(&self, address: &Address, shared: &Shared) -> Result<Connection> {
        let mut state = self.state.lock().await;
        if let Some(connection) = state
            .connection
            .as_ref()
            .filter(|c| !c.is_closed() && c.goes_to(address))
        {
            return Ok(connection.clone());
        }
        state.connection = None;
        if let Some((_, due)) = &state.pause {
            sleep_until(*due).await;
        }
        match connection::open(address, &shared.config, &shared.io).await {
            Ok(connection) => {
                state.pause = None;
                shared.state().absences.end(address);
                state.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                let (first, max) = (shared.config.reconnect_backoff, shared.config.reconnect_backoff_max);
                let mut backoff = state
                    .pause
                    .take()
                    .map_or_else(|| Backoff::new(first, max), |(backoff, _)| backoff);
                let due = Instant::now() + backoff.failed();
                // The first failure is common when a broker restarts; from the second on we say so.
                shared.state().absences.note(address, &error, backoff.failures() > 1);
                state.pause = Some((backoff, due));
                Err(error)
            }
        }
    }
}

impl Absences {
    fn note(&mut self, address: &Address, error: &Error, is_repeated: bool) {
        let now = Instant::now();
        let absence = self.0.entry(address.clone()).or_insert(Absence {
            since: now,
            complained: None,
        });
        let is_time = absence
            .complained
            .is_none_or(|at| now.duration_since(at) >= COMPLAINT_EVERY);
        if is_repeated && is_time {
            absence.complained = Some(now);
            let cause = std::error::Error::source(error)
                .map(ToString::to_string)
                .unwrap_or_default();
            let seconds = now.duration_since(absence.since).as_secs();
            warn!(%address, %error, cause, seconds, "waiting for a broker that cannot be reached, trying again");
        }
    }

    fn end(&mut self, address: &Address) {
        if let Some(absence) = self.0.remove(address).filter(|absence| absence.complained.is_some()) {
            info!(%address, seconds = absence.since.elapsed().as_secs(), "the broker is back");
        }
    }
}
