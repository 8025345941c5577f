//! One broker as one lane sees it: its connection, and the pause before the next attempt to connect.

use std::time::Duration;

use tokio::sync::Mutex;
use tracing::{info, warn};

use super::Shared;
use crate::config::Address;
use crate::connection::{self, Backoff, Connection};
use crate::error::Result;
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
    absence: Option<Absence>,
}

/// A broker that did not answer.
#[derive(Debug)]
struct Absence {
    backoff: Backoff,
    retry: Instant,
    complained: Instant,
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
        if let Some(absence) = &state.absence {
            sleep_until(absence.retry).await;
        }
        match connection::open(address, &shared.config, &shared.io).await {
            Ok(connection) => {
                if state
                    .absence
                    .take()
                    .is_some_and(|absence| absence.backoff.failures() > 1)
                {
                    info!(%address, "the broker is back");
                }
                state.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                state.absence = Some(Absence::after(state.absence.take(), address, &error, shared));
                Err(error)
            }
        }
    }
}

impl Absence {
    /// The first failure is common when a broker restarts or connections idle; from the second on we say so.
    fn after(before: Option<Self>, address: &Address, error: &crate::Error, shared: &Shared) -> Self {
        let now = Instant::now();
        let mut absence = before.unwrap_or_else(|| Self {
            backoff: Backoff::new(shared.config.reconnect_backoff, shared.config.reconnect_backoff_max),
            retry: now,
            complained: now - COMPLAINT_EVERY,
        });
        absence.retry = now + absence.backoff.failed();
        if absence.backoff.failures() > 1 && now.duration_since(absence.complained) >= COMPLAINT_EVERY {
            absence.complained = now;
            let cause = std::error::Error::source(error)
                .map(ToString::to_string)
                .unwrap_or_default();
            warn!(%address, %error, cause, "waiting for a broker that cannot be reached, trying again");
        }
        absence
    }
}
