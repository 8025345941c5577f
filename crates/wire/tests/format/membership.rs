//! Subscriptions and assignments against bytes of the Java client.

use bytes::Bytes;
use kstreams_wire::TopicPartition;
use kstreams_wire::membership::{Assignment, Subscription};
use proptest::prelude::*;

use crate::unhex;

#[test]
fn a_subscription_is_written_as_java_writes_it() {
    let bytes = unhex("0003000000010002696e00000002abcd000000010002696e000000010000000000000004ffff");
    let subscription = Subscription {
        topics: vec!["in".into()],
        user_data: Some(unhex("abcd")),
        owned: vec![TopicPartition::new("in", 0)],
        generation: Some(4),
        rack: None,
    };
    assert_eq!(subscription.encode(), bytes);
    assert_eq!(Subscription::decode(&bytes).unwrap(), subscription);
}

#[test]
fn topics_and_partitions_of_a_subscription_are_sorted() {
    let partition = |topic, partition| TopicPartition::new(topic, partition);
    let owned = vec![
        partition("b", 1),
        partition("a", 1),
        partition("a", 0),
        partition("b", 0),
    ];
    let subscription = Subscription {
        topics: vec!["b".into(), "a".into()],
        user_data: None,
        owned: owned.clone(),
        generation: Some(4),
        rack: Some("r".into()),
    };
    let hex = "000300000002000161000162ffffffff00000002000161000000020000000000000001\
               00016200000002000000000000000100000004000172";
    assert_eq!(subscription.encode(), unhex(hex));
    // Those of an assignment keep their order.
    let assignment = Assignment {
        partitions: owned,
        user_data: None,
    };
    let hex = "000300000002000162000000020000000100000000000161000000020000000100000000ffffffff";
    assert_eq!(assignment.encode(), unhex(hex));
}

#[test]
fn an_assignment_is_written_as_java_writes_it() {
    let bytes = unhex("0003000000010002696e00000002000000000000000100000002abcd");
    let assignment = Assignment {
        partitions: vec![TopicPartition::new("in", 0), TopicPartition::new("in", 1)],
        user_data: Some(unhex("abcd")),
    };
    assert_eq!(assignment.encode(), bytes);
    assert_eq!(Assignment::decode(&bytes).unwrap(), assignment);
}

#[test]
fn a_member_that_was_left_out_has_an_empty_assignment() {
    assert_eq!(Assignment::decode(&Bytes::new()).unwrap(), Assignment::default());
}

#[test]
fn older_versions_lack_what_came_later() {
    let full = Subscription {
        topics: vec!["a".into(), "b".into()],
        user_data: None,
        owned: vec![TopicPartition::new("a", 0), TopicPartition::new("b", 1)],
        generation: Some(1),
        rack: Some("r".into()),
    };
    let read = |version| Subscription::decode(&full.encode_version(version)).unwrap();
    assert_eq!(read(3), full);
    assert_eq!(
        read(2),
        Subscription {
            rack: None,
            ..full.clone()
        }
    );
    assert_eq!(read(1).generation, None);
    assert_eq!(read(0).owned, []);
}

#[test]
fn of_a_newer_version_what_is_known_is_read() {
    let mut bytes = Subscription {
        topics: vec!["t".into()],
        ..Subscription::default()
    }
    .encode()
    .to_vec();
    bytes[1] = 9;
    bytes.extend_from_slice(b"news");
    assert_eq!(Subscription::decode(&bytes.into()).unwrap().topics, ["t".into()]);
}

proptest! {
    #[test]
    fn subscriptions_come_back(
        topics in proptest::collection::btree_set("[a-z.]{1,9}", 0..5),
        owned in proptest::collection::btree_set(("[a-c]", 0..9i32), 0..9),
        user_data in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
        generation in proptest::option::of(0..i32::MAX),
        rack in proptest::option::of(".{0,5}"),
    ) {
        let subscription = Subscription {
            topics: topics.into_iter().map(Into::into).collect(),
            user_data: user_data.map(Into::into),
            owned: owned.into_iter().map(|(topic, partition)| TopicPartition::new(topic, partition)).collect(),
            generation,
            rack,
        };
        prop_assert_eq!(Subscription::decode(&subscription.encode()).unwrap(), subscription);
    }
}
