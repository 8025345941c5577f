//! One iteration: poll, admit, process, punctuate, commit.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kstreams_topology::TaskId;
use kstreams_topology::graph::Clock;
use tracing::{debug, info};

use super::budget::{Next, Pass};
use super::{StreamThread, ThreadState};
use crate::commit::{Done, Way, commit};
use crate::config::Guarantee;
use crate::error::Error;
use crate::failure::{Failure, Hurdle};
use crate::output::now_ms;

/// How long the consumer may wait for records while changelogs are read, too.
const POLL_WHILE_RESTORING: Duration = Duration::from_millis(10);

impl StreamThread {
    /// Polls once, and processes until nothing is left to process or it is time to poll again. What failed is noted.
    pub(super) fn turn(&mut self) {
        let begun = self.begin();
        if begun {
            self.open_tasks();
        }
        let timeout = self.poll_timeout();
        let events = self.consumer.poll(timeout);
        self.times.polled = Instant::now();
        self.metrics.polls.add(1);
        for event in events {
            // Every event is looked at, whatever came of the others: the group waits for its answers.
            self.on_event(event);
        }
        if begun && self.failures.is_empty() {
            self.work();
        }
        self.answer();
        self.publish();
    }

    /// Makes sure that the producer is the one of its transactional id. `false` if there is to be another attempt first.
    fn begin(&mut self) -> bool {
        let deadlines = &self.tasks.deadlines;
        let mut tasks = self.tasks.ids();
        tasks.retain(|task| !deadlines.is_paused(*task));
        if tasks.is_empty() {
            // Without any task there is nothing to write; but tasks that pause may do so for want of a producer.
            return self.tasks.is_empty() || self.output.has_begun();
        }
        match self.output.begin() {
            Ok(()) => self.tasks.deadlines.all_passed(Hurdle::Producer),
            Err(source) => {
                let action = "begin to write in transactions".to_owned();
                let source = source.into();
                self.failed(Failure::of_tasks(
                    tasks,
                    Hurdle::Producer,
                    Error::Client { action, source },
                ));
            }
        }
        self.failures.is_empty()
    }

    fn work(&mut self) {
        self.restore();
        if !self.instance.layout.parts.globals.is_empty() {
            self.tasks.refresh_globals();
        }
        self.learn_lags();
        if self.failures.is_empty() {
            self.process();
        }
        self.pause_and_resume();
        if let Err(error) = self.output.tick(Instant::now()) {
            let writers = self.tasks.writers();
            self.failed(Failure::of_output(writers, error));
        }
        self.purge_if_due();
    }

    fn poll_timeout(&self) -> Duration {
        let now = Instant::now();
        let settings = &self.instance.settings;
        if self.state == ThreadState::PendingShutdown || self.tasks.has_waiting() {
            return POLL_WHILE_RESTORING;
        }
        if self.restorer.has_work(&self.tasks) {
            return Duration::ZERO;
        }
        let commit_in = (self.times.committed + settings.commit.interval).saturating_duration_since(now);
        let linger = self.output.idle_for(now).unwrap_or(Duration::MAX);
        let due = if self.times.uncommitted {
            commit_in
        } else {
            Duration::MAX
        };
        settings.thread.poll_timeout.min(linger).min(due)
    }

    /// Passes over all tasks until there is nothing to do, or one has failed.
    fn process(&mut self) {
        let mut total = 0;
        loop {
            self.answer();
            let mut processed = 0;
            let mut failures = Vec::new();
            let wall = now_ms();
            for (id, task) in self.tasks.ready() {
                self.output.serve(id);
                match task.process(self.budget.records(), wall, &mut self.output) {
                    Ok(count) => processed += count,
                    Err(source) => failures.push(Failure::within(id, Hurdle::Commit, source)),
                }
            }
            total += processed;
            self.times.uncommitted |= processed > 0;
            failures.into_iter().for_each(|failure| self.failed(failure));
            let punctuated = self.punctuate(wall);
            if !self.failures.is_empty() {
                break;
            }
            let now = Instant::now();
            let committed = self.commit_if_due(now);
            let pass = Pass {
                processed,
                interrupted: punctuated > 0 || committed,
                since_poll: now.duration_since(self.times.polled),
            };
            let next = self.budget.after(pass);
            // Nobody in a group can commit while it waits for one member's answer, and transactions run out of time.
            if next == Next::Poll || !self.failures.is_empty() || self.consumer.is_rebalancing() {
                break;
            }
        }
        self.metrics.processed.add(total as u64);
        self.times.busy = total > 0;
    }

    fn punctuate(&mut self, wall: i64) -> usize {
        let mut called = 0;
        let mut failures = Vec::new();
        if !self.failures.is_empty() {
            return called;
        }
        for (id, task) in self.tasks.ready() {
            self.output.serve(id);
            for clock in [Clock::StreamTime, Clock::WallClock] {
                match task.punctuate(clock, wall, &mut self.output) {
                    Ok(count) => called += count,
                    Err(source) => failures.push(Failure::within(id, Hurdle::Commit, source)),
                }
            }
        }
        failures.into_iter().for_each(|failure| self.failed(failure));
        if called > 0 {
            self.times.uncommitted = true;
            self.metrics.punctuations.add(called as u64);
        }
        called
    }

    /// Commits if it is time, if a processor asked for it, or if too much is uncommitted. Never while the group
    /// rebalances: its coordinator might refuse.
    fn commit_if_due(&mut self, now: Instant) -> bool {
        let settings = &self.instance.settings.commit;
        let timely = now.duration_since(self.times.committed) >= settings.interval;
        if !timely && !self.commit_wanted(now) || self.consumer.is_rebalancing() {
            return false;
        }
        self.times.committed = now;
        self.commit_now() > 0
    }

    fn commit_wanted(&mut self, now: Instant) -> bool {
        let bytes_max = self.instance.settings.commit.uncommitted_bytes_max;
        // Asking every store is not for every pass.
        let weigh = now.duration_since(self.times.weighed) >= POLL_WHILE_RESTORING;
        let mut bytes = 0;
        let mut requested = false;
        for (_, task) in self.tasks.running() {
            requested |= task.commit_requested() && task.commit_needed();
            if weigh {
                bytes += task.uncommitted_bytes();
            }
        }
        if weigh {
            self.times.weighed = now;
        }
        requested || bytes > bytes_max
    }

    /// Commits all tasks that have something to commit and did not fail in this turn; how many those were. In a
    /// transaction, which they share, that is all or none.
    pub(super) fn commit_now(&mut self) -> usize {
        if self.output.guarantee() == Guarantee::ExactlyOnce && !self.failures.is_empty() {
            return 0;
        }
        if let Err(source) = self.instance.storage.verify() {
            let action = "commit".to_owned();
            let source = source.into();
            self.failed(Failure::of_thread(Error::Store { action, source }));
            return 0;
        }
        let failed: BTreeSet<TaskId> = self.failures.iter().flat_map(|failure| failure.tasks.clone()).collect();
        let limit = self.instance.settings.client.api_timeout;
        let tasks = self.tasks.running().filter(|(id, _)| !failed.contains(id)).collect();
        let mut way = Way {
            output: &mut self.output,
            consumer: &mut self.consumer,
            starts: &mut self.starts,
            limit,
        };
        let done = commit(tasks, &mut way);
        self.times.uncommitted = !done.failures.is_empty();
        if !done.tasks.is_empty() {
            self.metrics.commits.add(1);
            debug!(tasks = done.tasks.len(), partitions = done.offsets.len(), "committed");
            self.note_consumed(&done);
        }
        for task in &done.tasks {
            self.tasks.deadlines.passed(*task, Hurdle::Commit);
        }
        done.failures.into_iter().for_each(|failure| self.failed(failure));
        done.tasks.len()
    }

    /// Remembers which repartition records are consumed.
    fn note_consumed(&mut self, done: &Done) {
        let layout = &self.instance.layout;
        let repartition = done
            .offsets
            .iter()
            .filter(|(partition, _)| layout.is_repartition(&partition.topic));
        self.consumed
            .extend(repartition.map(|(partition, offset)| (partition.clone(), *offset)));
    }

    /// Lets consumed repartition records be deleted, now and then.
    fn purge_if_due(&mut self) {
        let interval = self.instance.settings.commit.purge_interval;
        if !self.consumed.is_empty() && self.times.purged.elapsed() >= interval {
            self.times.purged = Instant::now();
            self.instance.chores.purge(std::mem::take(&mut self.consumed));
        }
    }

    /// Tells tasks with several inputs what is still on the broker, so that they know whether to wait for it.
    fn learn_lags(&mut self) {
        let mut failures = Vec::new();
        for (id, owned) in self.tasks.iter_mut() {
            if owned.inputs.len() < 2 {
                continue;
            }
            let inputs = owned.inputs.clone();
            let Some(task) = owned.running() else { continue };
            for partition in &inputs {
                if let Err(source) = task.set_lag(partition, self.consumer.lag(partition)) {
                    failures.push(Failure::within(id, Hurdle::Commit, source));
                }
            }
        }
        failures.into_iter().for_each(|failure| self.failed(failure));
    }

    /// Partitions that are still full after processing are paused; those with room again go on.
    fn pause_and_resume(&mut self) {
        let roomy: Vec<_> = self
            .tasks
            .running()
            .flat_map(|(_, task)| task.take_resumable())
            .collect();
        let mut full = std::mem::take(&mut self.full);
        full.retain(|partition| !roomy.contains(partition));
        let resumed: Vec<_> = roomy
            .into_iter()
            .filter(|partition| self.consumer.is_paused(partition))
            .collect();
        if !resumed.is_empty() {
            self.consumer.resume(&resumed);
        }
        if !full.is_empty() {
            debug!(partitions = full.len(), "paused: their queues are full");
            self.consumer.pause(&full);
        }
    }

    /// Makes this turn's counts visible, and logs a summary now and then.
    fn publish(&mut self) {
        let counters: Vec<(TaskId, _)> = self.tasks.running().map(|(id, task)| (id, task.counters())).collect();
        for (id, counters) in counters {
            if let Some(owned) = self.tasks.get_mut(id) {
                owned.metrics.processed.set(counters.processed);
                let unsent = self.output.dropped().get(&id).copied().unwrap_or_default();
                owned.metrics.dropped.set(counters.dropped + unsent);
            }
        }
        let Some(interval) = self.instance.settings.thread.log_summary_interval else {
            return;
        };
        if self.times.summarised.elapsed() >= interval {
            self.times.summarised = Instant::now();
            info!(
                processed = self.metrics.processed.value(),
                commits = self.metrics.commits.value(),
                punctuations = self.metrics.punctuations.value(),
                "summary since the start"
            );
        }
    }
}
