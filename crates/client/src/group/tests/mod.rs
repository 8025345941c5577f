//! The membership in memory: a coordinator that is played by hand.

mod belonging;
mod joining;
mod leaving;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::membership::{Assignment, Subscription};
use kstreams_wire::{TopicName, TopicPartition};

use super::*;

const NODE: i32 = 7;

/// A member and the clock it lives by.
struct World {
    member: Membership,
    now: Instant,
}

impl World {
    fn new(config: GroupConfig) -> Self {
        let now = Instant::now();
        Self {
            member: Membership::new(config, now),
            now,
        }
    }

    fn dynamic() -> Self {
        Self::new(GroupConfig::new("g"))
    }

    fn named(name: &str) -> Self {
        Self::new(GroupConfig {
            instance_id: Some(name.to_owned()),
            ..GroupConfig::new("g")
        })
    }

    /// A member of generation 1 that owns `t-0` and `t-1` and has acknowledged it.
    fn stable() -> Self {
        let mut world = Self::dynamic();
        world.reach(1, &[0, 1]);
        world
    }

    /// From a question to an acknowledged assignment, as a follower.
    fn reach(&mut self, generation: i32, partitions: &[i32]) {
        self.until_synced(generation);
        self.answer(synced(partitions));
        let (_, _, _) = self.assigned(generation);
        self.member.acknowledge(tps(partitions));
    }

    fn until_synced(&mut self, generation: i32) {
        self.until_join();
        self.answer(Ok(Response::Join(join(generation, "m1", "someone-else"))));
    }

    fn until_join(&mut self) {
        self.expect_joining();
        self.member.subscribe(vec!["t".into()], Bytes::from_static(b"user"));
        if self.member.coordinator().is_none() {
            self.answer(Ok(Response::Coordinator(NODE)));
        }
    }

    fn send(&mut self) -> Send {
        self.try_send().expect("a request")
    }

    fn try_send(&mut self) -> Option<Send> {
        self.member.handle_time(self.now);
        self.member.poll_send(self.now)
    }

    /// Takes the next request and answers it.
    fn answer(&mut self, response: Result<Response, Failure>) -> Send {
        let send = self.send();
        self.member.handle_response(send.ticket, response, self.now);
        send
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.member.handle_time(self.now);
    }

    fn wait_polling(&mut self, time: Duration) {
        self.now += time;
        self.member.polled(self.now);
        self.member.handle_time(self.now);
    }

    fn heartbeat(&mut self, code: ErrorCode) -> Send {
        self.wait_polling(Duration::from_secs(3));
        let send = self.answer(Ok(Response::Heartbeat(code)));
        assert!(matches!(send.request, Request::Heartbeat(_)), "{send:?}");
        send
    }

    fn event(&mut self) -> GroupEvent {
        match self.member.poll_notice() {
            Some(Notice::Event(event)) => event,
            other => panic!("an event was expected, not {other:?}"),
        }
    }

    fn expect_joining(&mut self) {
        assert_eq!(self.event(), GroupEvent::Joining);
    }

    fn expect_lost_and_joining(&mut self) {
        assert_eq!(self.event(), GroupEvent::Lost);
        self.expect_joining();
        assert_eq!(self.member.metadata().generation, -1);
    }

    fn expect_quiet(&mut self) {
        assert!(self.member.poll_notice().is_none());
    }

    /// The next event's assigned, added and revoked partitions of topic `t`.
    fn assigned(&mut self, expected: i32) -> (Vec<i32>, Vec<i32>, Vec<i32>) {
        let GroupEvent::Assigned {
            generation,
            assigned,
            added,
            revoked,
            ..
        } = self.event()
        else {
            panic!("an assignment was expected");
        };
        assert_eq!(generation, expected);
        let numbers = |list: Vec<TopicPartition>| list.iter().map(|tp| tp.partition).collect();
        (numbers(assigned), numbers(added), numbers(revoked))
    }

    fn failure(&mut self) -> crate::Error {
        match self.member.poll_notice() {
            Some(Notice::Failed(error)) => error,
            other => panic!("a failure was expected, not {other:?}"),
        }
    }

    fn join_request(&mut self) -> kafka_protocol::messages::JoinGroupRequest {
        match self.send().request {
            Request::Join(request) => request,
            other => panic!("a JoinGroup was expected, not {other:?}"),
        }
    }
}

fn tps(partitions: &[i32]) -> Vec<TopicPartition> {
    partitions
        .iter()
        .map(|partition| TopicPartition::new("t", *partition))
        .collect()
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn join(generation: i32, member: &str, leader: &str) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_leader(text(leader))
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("stream")))
}

fn lead(generation: i32, topics: &[&str]) -> JoinGroupResponse {
    let topics = topics.iter().map(|topic| TopicName::new(topic)).collect();
    let subscription = Subscription {
        topics,
        user_data: Some(Bytes::from_static(b"user")),
        ..Subscription::default()
    };
    let member = JoinGroupResponseMember::default()
        .with_member_id(text("m1"))
        .with_metadata(subscription.encode());
    join(generation, "m1", "m1").with_members(vec![member])
}

fn join_error(code: ErrorCode) -> Result<Response, Failure> {
    Ok(Response::Join(JoinGroupResponse::default().with_error_code(code.0)))
}

fn synced(partitions: &[i32]) -> Result<Response, Failure> {
    let plan = Assignment {
        partitions: tps(partitions),
        user_data: Some(Bytes::from_static(b"plan")),
    };
    Ok(Response::Sync(
        SyncGroupResponse::default().with_assignment(plan.encode()),
    ))
}

fn sync_error(code: ErrorCode) -> Result<Response, Failure> {
    Ok(Response::Sync(SyncGroupResponse::default().with_error_code(code.0)))
}
