//! What is done about the failures of a turn: retried, revived, rejoined, or the thread's end.

use std::time::Instant;

use kstreams_task::Close;
use kstreams_topology::TaskId;
use tracing::{debug, warn};

use super::reaction::{Plan, Revival, Writes, decide};
use super::{StreamThread, ThreadState};
use crate::error::{Disposition, Error, Result};
use crate::failure::Failure;
use crate::tasks::deadlines::Patience;

impl StreamThread {
    /// Notes a failure. One that time may heal begins, or exceeds, the deadline of its tasks.
    pub(super) fn failed(&mut self, mut failure: Failure) {
        let error = &failure.error as &dyn std::error::Error;
        let tasks: Vec<String> = failure.tasks.iter().map(TaskId::to_string).collect();
        match failure.asks {
            Disposition::Later => debug!(?tasks, error, "put off"),
            asks => warn!(?tasks, ?asks, error, "failed"),
        }
        if failure.error.may_pass() {
            let now = Instant::now();
            for task in failure.tasks.clone() {
                if self.tasks.deadlines.failed(task, failure.at, now) == Patience::Exhausted {
                    failure.asks = Disposition::Stop;
                    let source = Box::new(failure.error);
                    failure.error = Error::TaskTimedOut { task, source };
                    break;
                }
            }
        }
        self.failures.push(failure);
    }

    /// Does what the failures of the turn ask for; gives back the one that ends the thread.
    pub(super) fn react(&mut self) -> Result<()> {
        if self.failures.is_empty() {
            return Ok(());
        }
        let mut plan = self.plan();
        if let Plan::Revive(revival) = &plan
            && revival.writes == Writes::Kept
            && !revival.tasks.is_empty()
            && !self.consumer.is_rebalancing()
        {
            // What the others did is not to be done again. It also gets everything on its way delivered, before the
            // revived tasks look where their changelogs end.
            self.commit_now();
            plan = self.plan();
        }
        let failures = std::mem::take(&mut self.failures);
        match plan {
            Plan::Stop(at) => {
                let worst = failures.into_iter().nth(at);
                Err(worst.expect("the plan names one of the failures").error)
            }
            Plan::Rejoin(_) => {
                self.lose();
                self.consumer.rejoin("its tasks may be run elsewhere");
                self.pause();
                Ok(())
            }
            Plan::Revive(revival) => {
                self.revive(revival);
                Ok(())
            }
        }
    }

    fn plan(&mut self) -> Plan {
        let writers = self.tasks.writers();
        decide(&self.failures, self.output.guarantee(), &writers)
    }

    /// Tasks forget everything since the last commit and begin there again.
    fn revive(&mut self, revival: Revival) {
        for task in &revival.tasks {
            self.withdraw(*task);
        }
        if revival.writes == Writes::Undone {
            self.output.reset();
        }
        for task in &revival.tasks {
            self.tasks.revive(*task);
        }
        if !revival.tasks.is_empty() {
            self.go(ThreadState::PartitionsAssigned);
        }
        if revival.writes == Writes::Undone {
            self.pause();
        }
    }

    /// Everything is lost to the group: whoever has the tasks now goes on from the last commit.
    pub(super) fn lose(&mut self) {
        let tasks = self.tasks.ids();
        for task in &tasks {
            self.withdraw(*task);
        }
        self.output.reset();
        for task in tasks {
            self.close_task(task, Close::Dirty);
        }
        self.go(ThreadState::PartitionsRevoked);
    }

    /// Whatever it was that went wrong for all tasks, it need not be met again at once.
    fn pause(&self) {
        std::thread::sleep(self.instance.settings.topics.retry_backoff);
    }
}
