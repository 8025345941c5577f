//! The first of two steps: a task still run elsewhere is withheld until its owner has given it up.

use crate::input::Input;
use crate::plan::Plan;

/// The part of `plan` that may be handed out now. A task that another member runs is left out: its owner sees that it
/// is to lose it, commits, closes, and joins again; in that rebalance the task is free.
pub fn withhold(input: &Input, plan: &Plan) -> Plan {
    let mut now = plan.clone();
    for (member, tasks) in &mut now.active {
        tasks.retain(|task| {
            !input
                .members
                .iter()
                .any(|(other, known)| other != member && known.running.contains(task))
        });
    }
    now
}
