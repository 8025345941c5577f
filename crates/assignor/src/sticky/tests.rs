//! Promises of the assignment, by example and over random groups.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn task(subtopology: u32, partition: i32) -> TaskId {
    TaskId::new(subtopology, partition)
}

fn input(stateful: i32, stateless: i32, members: &[(&str, u8)]) -> Input {
    let mut input = Input::default();
    for partition in 0..stateful {
        input.tasks.insert(task(1, partition), TaskDemand::Stateful);
    }
    for partition in 0..stateless {
        input.tasks.insert(task(0, partition), TaskDemand::Stateless);
    }
    for (id, process) in members {
        let member = Member {
            process: ProcessId([*process; 16]),
            ..Member::default()
        };
        input.members.insert(MemberId::from(*id), member);
    }
    input
}

/// The group after everyone took on what the plan says.
fn settled(input: &Input, plan: &Plan) -> Input {
    let mut next = input.clone();
    for (id, member) in &mut next.members {
        member.running = plan.active.get(id).cloned().unwrap_or_default();
    }
    next
}

fn moved(before: &Plan, after: &Plan) -> usize {
    after
        .active
        .iter()
        .flat_map(|(member, tasks)| tasks.iter().map(move |task| (member, task)))
        .filter(|(member, task)| before.owner(**task).is_some_and(|owner| owner != *member))
        .count()
}

#[test]
fn each_member_gets_its_share_of_both_kinds() {
    let plan = assign(&input(8, 8, &[("a1", 1), ("a2", 1), ("b1", 2), ("b2", 2)]));
    for tasks in plan.active.values() {
        assert_eq!(tasks.iter().filter(|t| t.subtopology == 1).count(), 2);
        assert_eq!(tasks.len(), 4);
    }
}

#[test]
fn a_new_member_takes_only_what_balance_asks_for() {
    let one = input(8, 0, &[("a", 1)]);
    let before = assign(&one);
    let mut two = settled(&one, &before);
    two.members.insert(MemberId::from("b"), Member::default());
    let after = assign(&two);
    assert_eq!(after.load(&MemberId::from("b")), 4);
    assert_eq!(moved(&before, &after), 4);
}

#[test]
fn who_leaves_takes_nothing_from_who_stays() {
    let two = input(8, 3, &[("a", 1), ("b", 2)]);
    let before = assign(&two);
    let mut one = settled(&two, &before);
    one.members.remove(&MemberId::from("b"));
    let after = assign(&one);
    assert_eq!(after.load(&MemberId::from("a")), 11);
}

#[test]
fn a_task_returns_to_the_process_with_its_state() {
    let mut group = input(2, 0, &[("a", 1), ("b", 2)]);
    let b = MemberId::from("b");
    if let Some(member) = group.members.get_mut(&b) {
        member.state.insert(task(1, 0), 900);
    }
    if let Some(member) = group.members.get_mut(&MemberId::from("a")) {
        member.state.insert(task(1, 0), 100);
    }
    assert_eq!(assign(&group).owner(task(1, 0)), Some(&b));
}

#[test]
fn a_task_run_elsewhere_is_withheld() {
    let one = input(4, 0, &[("a", 1)]);
    let mut two = settled(&one, &assign(&one));
    two.members.insert(MemberId::from("b"), Member::default());
    let now = crate::withhold(&two, &assign(&two));
    assert_eq!(now.load(&MemberId::from("a")), 2);
    assert_eq!(now.load(&MemberId::from("b")), 0);
}

proptest! {
    #[test]
    fn plans_are_complete_balanced_and_stable(
        stateful in 0..20i32, stateless in 0..20i32, members in 1..7usize, keep in any::<u64>(), gone in 0..3usize,
    ) {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let list: Vec<(&str, u8)> = names.iter().take(members).zip([1, 1, 2, 2, 3, 3, 4]).map(|(n, p)| (*n, p)).collect();
        let mut group = input(stateful, stateless, &list);
        let ids: Vec<MemberId> = group.members.keys().cloned().collect();
        // Some tasks are run by somebody before.
        for (n, task) in group.tasks.keys().copied().collect::<Vec<_>>().into_iter().enumerate() {
            if keep >> (n % 64) & 1 == 1
                && let Some(member) = ids.get((n * 7 + stateful as usize) % ids.len()).and_then(|id| group.members.get_mut(id))
            {
                member.running.insert(task);
            }
        }
        let plan = assign(&group);
        let all: Vec<TaskId> = plan.active.values().flatten().copied().collect();
        prop_assert_eq!(all.len(), group.tasks.len());
        prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), group.tasks.len());
        for wanted in [None, Some(1)] {
            let loads: Vec<usize> = plan.active.values()
                .map(|tasks| tasks.iter().filter(|t| wanted.is_none_or(|s| t.subtopology == s)).count()).collect();
            let (least, most) = (loads.iter().min().copied().unwrap_or(0), loads.iter().max().copied().unwrap_or(0));
            prop_assert!(most - least <= 1, "{:?}", loads);
        }
        // Once everyone runs its share, nothing moves any more.
        let rested = settled(&group, &plan);
        prop_assert_eq!(&assign(&rested), &plan);
        // When members leave, those that stay keep all that they ran.
        let mut fewer = rested.clone();
        for id in ids.iter().take(gone.min(ids.len() - 1)) { fewer.members.remove(id); }
        if stateful == 0 || stateless == 0 {
            prop_assert_eq!(moved_by_staying(&plan, &assign(&fewer), &fewer), 0);
        }
    }
}

fn moved_by_staying(before: &Plan, after: &Plan, group: &Input) -> usize {
    after
        .active
        .iter()
        .flat_map(|(member, tasks)| tasks.iter().map(move |task| (member, task)))
        .filter(|(member, task)| {
            before
                .owner(**task)
                .is_some_and(|owner| owner != *member && group.members.contains_key(owner))
        })
        .count()
}
