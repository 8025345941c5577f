//! What an admin asks and changes.

use kstreams_client::admin::{NewTopic, OffsetSpec, Resource};
use kstreams_client::consume::Isolation;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::{TopicName, TopicPartition};

use super::{eventually, on_each_broker};

#[test]
fn topics_are_created_described_widened_and_deleted() {
    on_each_broker("topics", |world| {
        let admin = world.client().admin();
        let (one, two) = (TopicName::new(&world.name("one")), TopicName::new(&world.name("two")));
        let wanted = [
            NewTopic::new(one.clone(), 3).with_config("cleanup.policy", "compact"),
            NewTopic {
                partitions: None,
                ..NewTopic::new(two.clone(), 1)
            },
        ];
        assert!(admin.create_topics(&wanted).unwrap().values().all(Result::is_ok));
        let again = admin.create_topics(&wanted[..1]).unwrap();
        let error = again[&one].as_ref().unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::TOPIC_ALREADY_EXISTS));
        assert!(error.to_string().contains(one.as_str()), "{error}");

        // The broker that is asked may hear of a change a little later.
        eventually(|| admin.describe_topics(std::slice::from_ref(&two)).unwrap()[&two].is_ok());
        let described = admin.describe_topics(&[one.clone(), two.clone()]).unwrap();
        let partitions = &described[&one].as_ref().unwrap().partitions;
        assert_eq!(partitions.len(), 3);
        assert!(
            partitions
                .iter()
                .all(|partition| partition.leader.is_some() && partition.in_sync.len() == 1)
        );
        assert_eq!(described[&two].as_ref().unwrap().partitions.len(), 1);

        admin
            .create_partitions(&[(two.clone(), 4)])
            .unwrap()
            .remove(&two)
            .unwrap()
            .unwrap();
        let widened = || {
            admin
                .list_topics()
                .unwrap()
                .iter()
                .any(|topic| topic.name == two && topic.partitions == 4)
        };
        eventually(widened);

        assert!(
            admin
                .delete_topics(&[one.clone(), two.clone()])
                .unwrap()
                .values()
                .all(Result::is_ok)
        );
        eventually(|| {
            admin
                .list_topics()
                .unwrap()
                .iter()
                .all(|topic| topic.name != one && topic.name != two)
        });
        let gone = admin.describe_topics(std::slice::from_ref(&one)).unwrap();
        assert_eq!(
            gone[&one].as_ref().unwrap_err().code(),
            Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        );
        let gone = admin.delete_topics(std::slice::from_ref(&two)).unwrap();
        assert_eq!(
            gone[&two].as_ref().unwrap_err().code(),
            Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        );
    });
}

#[test]
fn bad_topic_is_refused_in_the_brokers_words() {
    on_each_broker("bad", |world| {
        let name = TopicName::new(&world.name("bad"));
        let topic = NewTopic::new(name.clone(), 1).with_config("cleanup.policy", "forget");
        let outcome = world
            .client()
            .admin()
            .create_topics(&[topic])
            .unwrap()
            .remove(&name)
            .unwrap();
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::INVALID_CONFIG));
        assert!(error.to_string().contains("cleanup.policy"), "{error}");
    });
}

#[test]
fn settings_say_where_they_come_from() {
    on_each_broker("settings", |world| {
        let admin = world.client().admin();
        let name = TopicName::new(&world.name("topic"));
        let topic = NewTopic::new(name.clone(), 1).with_config("retention.ms", "12345");
        world.create(topic);
        let (known, unknown) = (
            Resource::Topic(name),
            Resource::Topic(TopicName::new(&world.name("missing"))),
        );
        let described = admin.describe_configs(&[known.clone(), unknown.clone()]).unwrap();
        let settings = described[&known].as_ref().unwrap();
        assert_eq!(settings["retention.ms"].value.as_deref(), Some("12345"));
        assert!(settings["retention.ms"].is_own && !settings["cleanup.policy"].is_own);
        let error = described[&unknown].as_ref().unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    });
}

#[test]
fn offsets_of_an_empty_topic_are_zero_and_no_record_is_late_enough() {
    on_each_broker("offsets", |world| {
        let admin = world.client().admin();
        let name = TopicName::new(&world.name("topic"));
        world.create(NewTopic::new(name.clone(), 2));
        let at = |partition| TopicPartition::new(name.clone(), partition);
        let wanted = [
            (at(0), OffsetSpec::Earliest),
            (at(1), OffsetSpec::Latest),
            (at(9), OffsetSpec::Latest),
        ];
        let listed = admin.list_offsets(&wanted, Isolation::ReadCommitted).unwrap();
        assert_eq!(listed[&at(0)].as_ref().unwrap().offset, Some(0));
        assert_eq!(listed[&at(1)].as_ref().unwrap().offset, Some(0));
        assert!(
            listed[&at(9)]
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("2 partitions")
        );
        let listed = admin
            .list_offsets(&[(at(0), OffsetSpec::Timestamp(0))], Isolation::ReadUncommitted)
            .unwrap();
        assert_eq!(listed[&at(0)].as_ref().unwrap().offset, None);
    });
}

#[test]
fn group_that_does_not_exist_is_said_so() {
    on_each_broker("groups", |world| {
        let (admin, group) = (world.client().admin(), world.name("missing"));
        let described = admin.describe_groups(&[&group]).unwrap();
        assert_eq!(
            described[&group].as_ref().unwrap_err().code(),
            Some(ErrorCode::GROUP_ID_NOT_FOUND)
        );
        let deleted = admin.delete_groups(&[&group]).unwrap();
        assert_eq!(
            deleted[&group].as_ref().unwrap_err().code(),
            Some(ErrorCode::GROUP_ID_NOT_FOUND)
        );
        assert!(admin.list_groups().unwrap().iter().all(|listed| listed.group != group));
    });
}
