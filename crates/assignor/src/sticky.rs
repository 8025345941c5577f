//! Balanced and sticky: as even as whole tasks allow, and among even plans one that moves little.
//!
//! Stateful tasks are spread first, because they are what a member is heavy with; stateless ones then level the totals.
//! In each round a member keeps what it runs up to its share; the rest goes to the process with the most state of the
//! task, then to whoever has least to do.

use std::collections::BTreeMap;

use kstreams_topology::TaskId;

use crate::input::{Input, Member, MemberId, ProcessId, TaskDemand};
use crate::plan::Plan;

/// Decides who runs what. The same input always gives the same plan.
pub fn assign(input: &Input) -> Plan {
    let mut round = Round {
        members: &input.members,
        plan: Plan {
            active: input
                .members
                .keys()
                .map(|id| (id.clone(), Default::default()))
                .collect(),
        },
    };
    if input.members.is_empty() {
        return round.plan;
    }
    let of = |wanted: TaskDemand| -> Vec<TaskId> {
        input
            .tasks
            .iter()
            .filter(|(_, demand)| **demand == wanted)
            .map(|(task, _)| *task)
            .collect()
    };
    let stateful = of(TaskDemand::Stateful);
    round.spread(&stateful, stateful.len());
    round.spread(&of(TaskDemand::Stateless), input.tasks.len());
    round.plan
}

/// The members, and what they have so far.
struct Round<'a> {
    members: &'a BTreeMap<MemberId, Member>,
    plan: Plan,
}

impl Round<'_> {
    /// Gives these tasks out, so that afterwards `total` tasks are spread evenly.
    fn spread(&mut self, tasks: &[TaskId], total: usize) {
        let mut limits = Limits::new(total, self.members.len());
        for member in self.members.keys() {
            limits.count_taken(self.plan.load(member));
        }
        let mut homeless = Vec::new();
        for task in tasks {
            match self.keeper(*task, &mut limits) {
                Some(member) => self.give(&member, *task),
                None => homeless.push(*task),
            }
        }
        for task in homeless {
            let member = self
                .with_state(task, &mut limits)
                .unwrap_or_else(|| self.least_loaded(task));
            self.give(&member, task);
        }
    }

    fn give(&mut self, member: &MemberId, task: TaskId) {
        self.plan.active.entry(member.clone()).or_default().insert(task);
    }

    /// The member that runs the task, if its share leaves room for it.
    fn keeper(&self, task: TaskId, limits: &mut Limits) -> Option<MemberId> {
        self.members
            .iter()
            .filter(|(_, known)| known.running.contains(&task))
            .map(|(member, _)| member)
            .find(|member| limits.admit(self.plan.load(member)))
            .cloned()
    }

    /// The least loaded member with room in the process that has most of the task's state.
    fn with_state(&self, task: TaskId, limits: &mut Limits) -> Option<MemberId> {
        let mut holders: Vec<(i64, usize, &MemberId)> = self
            .members
            .iter()
            .filter_map(|(member, known)| Some((*known.state.get(&task)?, self.plan.load(member), member)))
            .collect();
        holders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(b.2)));
        holders
            .into_iter()
            .find(|(_, load, _)| limits.admit(*load))
            .map(|(_, _, member)| member.clone())
    }

    /// The member with least to do; among equals the one whose process has least, then who has fewest of the same
    /// subtopology, then the first by id.
    fn least_loaded(&self, task: TaskId) -> MemberId {
        let mut processes: BTreeMap<ProcessId, usize> = BTreeMap::new();
        for (member, known) in self.members {
            *processes.entry(known.process).or_default() += self.plan.load(member);
        }
        self.members
            .iter()
            .min_by_key(|(member, known)| {
                let siblings = self.plan.active.get(*member).map_or(0, |tasks| {
                    tasks.iter().filter(|t| t.subtopology == task.subtopology).count()
                });
                (
                    self.plan.load(member),
                    siblings,
                    processes.get(&known.process).copied(),
                    *member,
                )
            })
            .map(|(member, _)| member.clone())
            .expect("there is a member: assign returned early without one")
    }
}

/// How much a member may keep: everyone the rounded-down share, and as many as the remainder says one more.
struct Limits {
    share: usize,
    spare: usize,
}

impl Limits {
    fn new(tasks: usize, members: usize) -> Self {
        Self {
            share: tasks / members,
            spare: tasks % members,
        }
    }

    /// A member comes into the round with this many tasks.
    fn count_taken(&mut self, load: usize) {
        if load > self.share {
            self.spare = self.spare.saturating_sub(1);
        }
    }

    /// Whether a member with this load may take one more, and notes it.
    fn admit(&mut self, load: usize) -> bool {
        if load < self.share {
            return true;
        }
        if load == self.share && self.spare > 0 {
            self.spare -= 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests;
