//! Members that share a topic: join, leave, vanish, hang, commit.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::admin::NewTopic;
use kstreams_client::group::Stability;
use kstreams_client::{Committed, Error, GroupConfig};
use kstreams_tests::kafka;
use kstreams_wire::TopicPartition;

use super::member::{Member, News, shared};
use super::{PATIENCE, World, eventually, on_each_broker};

fn topic(world: &World, partitions: i32) -> String {
    let name = world.name("topic");
    world.create(NewTopic::new(name.as_str(), partitions));
    name
}

/// Quick to notice what happens.
fn config(world: &World) -> GroupConfig {
    let mut config = GroupConfig::new(world.name("group"));
    config.session_timeout = Duration::from_secs(6);
    config.heartbeat_interval = Duration::from_millis(200);
    config
}

#[test]
fn two_members_share_and_one_takes_over_when_the_other_leaves() {
    on_each_broker("share", |world| {
        let topic = topic(world, 5);
        let first = Member::start(world.client(), config(world), &topic);
        shared([&first], 5);
        let second = Member::start(world.client(), config(world), &topic);
        shared([&first, &second], 5);
        second.close();
        shared([&first], 5);
        first.close();
        let group = world.name("group");
        let described = world.client().admin().describe_groups(&[&group]).unwrap();
        assert_eq!(described[&group].as_ref().unwrap().state, "Empty");
    });
}

#[test]
fn two_members_of_one_client_share() {
    on_each_broker("one-client", |world| {
        let topic = topic(world, 4);
        let client = world.client();
        let first = Member::start(client.clone(), config(world), &topic);
        let second = Member::start(client, config(world), &topic);
        shared([&first, &second], 4);
        first.close();
        shared([&second], 4);
        second.close();
    });
}

#[test]
fn work_of_a_member_that_vanishes_is_taken_over_after_its_session() {
    on_each_broker("vanish", |world| {
        let topic = topic(world, 2);
        let first = Member::start(world.client(), config(world), &topic);
        let second = Member::start(world.client(), config(world), &topic);
        shared([&first, &second], 2);
        first.vanish();
        shared([&second], 2);
        second.close();
    });
}

#[test]
fn member_that_hangs_loses_its_work_and_comes_back() {
    on_each_broker("hang", |world| {
        let topic = topic(world, 2);
        let mut hanging = config(world);
        hanging.poll_interval_max = Duration::from_secs(2);
        let first = Member::start(world.client(), hanging, &topic);
        let second = Member::start(world.client(), config(world), &topic);
        shared([&first, &second], 2);
        first.hang(Duration::from_secs(4));
        shared([&second], 2);
        while !matches!(first.next(), News::Lost) {}
        shared([&first, &second], 2);
        first.close();
        second.close();
    });
}

#[test]
fn committed_offsets_come_back_with_their_metadata() {
    on_each_broker("commit", |world| {
        let topic = topic(world, 3);
        let at = |partition| TopicPartition::new(topic.as_str(), partition);
        let member = Member::start(world.client(), config(world), &topic);
        shared([&member], 3);
        let offsets = BTreeMap::from([
            (
                at(0),
                Committed {
                    offset: 42,
                    leader_epoch: Some(0),
                    metadata: "AgAAAYKk".to_owned(),
                },
            ),
            (at(2), Committed::at(7)),
        ]);
        member.commit(offsets.clone()).unwrap();
        assert_eq!(member.committed(vec![at(0), at(1), at(2)]), offsets);
        member.close();
        let (group, admin) = (world.name("group"), world.client().admin());
        assert_eq!(
            admin.committed_offsets(&group, None, Stability::Required).unwrap(),
            offsets
        );
        admin
            .commit_offsets(&group, BTreeMap::from([(at(1), Committed::at(1))]))
            .unwrap();
        let one = admin.committed_offsets(&group, Some(&[at(1)]), Stability::Any).unwrap();
        assert_eq!(one[&at(1)].offset, 1);
    });
}

#[test]
fn who_lost_its_membership_may_not_commit_even_if_nobody_else_is_there() {
    on_each_broker("lost", |world| {
        let topic = topic(world, 1);
        let mut hanging = config(world);
        hanging.poll_interval_max = Duration::from_secs(1);
        let member = Member::start(world.client(), hanging, &topic);
        shared([&member], 1);
        let offsets = BTreeMap::from([(TopicPartition::new(topic.as_str(), 0), Committed::at(1))]);
        let refused = member.hang_and_commit(Duration::from_secs(2), offsets);
        assert!(matches!(refused, Err(Error::NotMember { .. })), "{refused:?}");
        shared([&member], 1);
        member.close();
    });
}

#[test]
fn outsider_may_not_commit_for_a_group_with_members() {
    on_each_broker("outsider", |world| {
        let topic = topic(world, 1);
        let member = Member::start(world.client(), config(world), &topic);
        shared([&member], 1);
        let offsets = BTreeMap::from([(TopicPartition::new(topic.as_str(), 0), Committed::at(1))]);
        let refused = world.client().admin().commit_offsets(&world.name("group"), offsets);
        assert!(matches!(refused, Err(Error::NotMember { .. })), "{refused:?}");
        member.close();
    });
}

#[test]
fn leader_rebalances_when_the_topic_grows() {
    on_each_broker("grow", |world| {
        let topic = topic(world, 1);
        let client = world.client();
        let member = Member::start(client.clone(), config(world), &topic);
        shared([&member], 1);
        let grown = client.admin().create_partitions(&[(topic.as_str().into(), 3)]).unwrap();
        grown.into_values().for_each(|result| result.unwrap());
        // Anyone who asks for metadata lets the leader see it; otherwise it would look every `metadata.max.age.ms`.
        let seen = || {
            let (cluster, name) = (client.cluster().clone(), topic.as_str().into());
            let known = client.io().run("metadata", PATIENCE, async move {
                cluster.refresh_metadata(std::slice::from_ref(&name)).await;
                Ok(cluster.known_topic(&name))
            });
            known.unwrap().is_some_and(|known| known.leaders.len() == 3)
        };
        eventually(seen);
        shared([&member], 3);
        member.close();
    });
}

#[test]
fn static_member_restarts_within_its_session_without_a_rebalance() {
    on_each_broker("static", |world| {
        let topic = topic(world, 2);
        let named = |name: &str| {
            let mut config = config(world);
            config.instance_id = Some(name.to_owned());
            config.session_timeout = Duration::from_secs(20);
            config
        };
        let first = Member::start(world.client(), named("one"), &topic);
        let second = Member::start(world.client(), named("two"), &topic);
        let [_, before] = shared([&first, &second], 2);
        second.close();
        let second = Member::start(world.client(), named("two"), &topic);
        // The first member hears nothing new: there was no rebalance.
        let [after] = shared([&second], 1);
        assert_eq!(before, after);
        first.close();
        second.close();
    });
}

#[test]
fn second_member_of_the_same_name_fences_the_first() {
    on_each_broker("fence", |world| {
        let topic = topic(world, 1);
        let named = || {
            let mut config = config(world);
            config.instance_id = Some("one".to_owned());
            config
        };
        let first = Member::start(world.client(), named(), &topic);
        shared([&first], 1);
        let second = Member::start(world.client(), named(), &topic);
        shared([&second], 1);
        let error = loop {
            if let News::Failed(error) = first.next() {
                break error;
            }
        };
        assert!(error.to_string().contains("FENCED_INSTANCE_ID"), "{error}");
        second.close();
    });
}

#[test]
fn members_outlive_a_broker_that_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let start = |listen: SocketAddr| {
        let config = BrokerConfig {
            listen,
            data: Some(folder.path().to_path_buf()),
            ..BrokerConfig::default()
        };
        Broker::start(config).unwrap()
    };
    let broker = start(BrokerConfig::default().listen);
    let address = broker.addr();
    let mut broker = Some(broker);
    outlive(&World::new(address.to_string(), "restart"), || {
        broker.take().unwrap().stop().unwrap();
        std::thread::sleep(Duration::from_secs(1));
        broker = Some(start(address));
    });
    if let Some(real) = kafka::real("members_outlive_a_broker_that_restarts") {
        outlive(&World::new(real.bootstrap(), "restart"), || {
            real.stop();
            real.restart();
        });
    }
}

fn outlive(world: &World, restart: impl FnOnce()) {
    let topic = topic(world, 4);
    let first = Member::start(world.client(), config(world), &topic);
    let second = Member::start(world.client(), config(world), &topic);
    shared([&first, &second], 4);
    let offset = |offset| BTreeMap::from([(TopicPartition::new(topic.as_str(), 0), Committed::at(offset))]);
    first.commit(offset(1)).expect("a commit");
    restart();
    let third = Member::start(world.client(), config(world), &topic);
    shared([&first, &second, &third], 4);
    second.commit(offset(2)).expect("a commit");
    for member in [first, second, third] {
        member.close();
    }
}
