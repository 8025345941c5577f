//! A member on a thread of its own: subscribes, leads round robin and cooperatively, acknowledges, and reports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kstreams_client::group::Stability;
use kstreams_client::{
    Admin, Client, Committed, Consumer, ConsumerConfig, ConsumerEvent, Error, GroupConfig, GroupEvent, GroupMember,
    Leave,
};
use kstreams_wire::membership::Assignment;
use kstreams_wire::{TopicName, TopicPartition};

use crate::PATIENCE;

/// The test's end of a member.
pub(crate) struct Member {
    orders: Sender<Order>,
    news: Receiver<News>,
    thread: Option<JoinHandle<()>>,
}

/// What a member is told to do.
enum Order {
    Commit(BTreeMap<TopicPartition, Committed>),
    Committed(Vec<TopicPartition>),
    Hang(Duration),
    HangAndCommit(Duration, BTreeMap<TopicPartition, Committed>),
    Close,
    /// Vanish as a killed process does: its connections break, nobody says goodbye.
    Vanish,
}

/// What a member reports.
#[derive(Debug)]
pub(crate) enum News {
    Owns(i32, BTreeSet<i32>),
    Lost,
    Failed(Error),
    Committed(Result<(), Error>),
    Offsets(Result<BTreeMap<TopicPartition, Committed>, Error>),
}

impl Member {
    pub(crate) fn start(client: Client, config: GroupConfig, topic: &str) -> Self {
        let (orders, their_orders) = channel();
        let (their_news, news) = channel();
        let topic = TopicName::new(topic);
        let thread = std::thread::spawn(move || {
            let consumer = client.consumer(ConsumerConfig::default());
            let admin = client.admin();
            let running = Running {
                consumer,
                admin,
                topic,
                news: their_news,
                owned: Vec::new(),
            };
            running.run(config, &their_orders);
        });
        Self {
            orders,
            news,
            thread: Some(thread),
        }
    }

    pub(crate) fn next(&self) -> News {
        self.news.recv_timeout(PATIENCE).expect("news of the member")
    }

    pub(crate) fn commit(&self, offsets: BTreeMap<TopicPartition, Committed>) -> Result<(), Error> {
        self.order(Order::Commit(offsets));
        self.outcome()
    }

    /// Does not poll for a time, and then commits before it polls again.
    pub(crate) fn hang_and_commit(
        &self,
        time: Duration,
        offsets: BTreeMap<TopicPartition, Committed>,
    ) -> Result<(), Error> {
        self.order(Order::HangAndCommit(time, offsets));
        self.outcome()
    }

    fn outcome(&self) -> Result<(), Error> {
        loop {
            if let News::Committed(result) = self.next() {
                return result;
            }
        }
    }

    pub(crate) fn committed(&self, partitions: Vec<TopicPartition>) -> BTreeMap<TopicPartition, Committed> {
        self.order(Order::Committed(partitions));
        loop {
            if let News::Offsets(result) = self.next() {
                return result.expect("offsets");
            }
        }
    }

    pub(crate) fn hang(&self, time: Duration) {
        self.order(Order::Hang(time));
    }

    pub(crate) fn close(mut self) {
        self.order(Order::Close);
        self.join();
    }

    pub(crate) fn vanish(mut self) {
        self.order(Order::Vanish);
        self.join();
    }

    fn order(&self, order: Order) {
        self.orders.send(order).expect("the member runs");
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the member did not panic");
        }
    }
}

/// Waits until these members share the partitions of a topic in one generation: all of them, each at one member, and
/// nobody idle. Returns what each of them owns.
pub(crate) fn shared<const N: usize>(members: [&Member; N], partitions: usize) -> [BTreeSet<i32>; N] {
    let mut known = [const { None }; N];
    let end = Instant::now() + PATIENCE;
    loop {
        for (member, known) in members.iter().zip(&mut known) {
            for news in member.news.try_iter() {
                match news {
                    News::Owns(generation, owned) => *known = Some((generation, owned)),
                    News::Lost => *known = None,
                    _ => {}
                }
            }
        }
        let now: Vec<_> = known.iter().flatten().collect();
        let all: BTreeSet<i32> = now.iter().flat_map(|(_, owned)| owned).copied().collect();
        let sum: usize = now.iter().map(|(_, owned)| owned.len()).sum();
        let generations: BTreeSet<i32> = now.iter().map(|(generation, _)| *generation).collect();
        let together = now.len() == N && generations.len() == 1;
        if together && sum == partitions && all.len() == partitions && now.iter().all(|(_, owned)| !owned.is_empty()) {
            return known.map(|known| known.expect("everyone is there").1);
        }
        assert!(Instant::now() < end, "the members do not share: {known:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Running {
    consumer: Consumer,
    admin: Admin,
    topic: TopicName,
    news: Sender<News>,
    owned: Vec<TopicPartition>,
}

impl Running {
    fn run(mut self, config: GroupConfig, orders: &Receiver<Order>) {
        self.consumer.join(config);
        let end = Instant::now() + PATIENCE * 2;
        while Instant::now() < end {
            for event in self.consumer.poll(Duration::from_millis(50)) {
                self.take(event);
            }
            match orders.try_recv() {
                Ok(Order::Commit(offsets)) => {
                    let result = self.consumer.commit(offsets, PATIENCE);
                    self.tell(News::Committed(result));
                }
                Ok(Order::Committed(partitions)) => {
                    let offsets = self.consumer.committed(&partitions, Stability::Required, PATIENCE);
                    self.tell(News::Offsets(offsets));
                }
                Ok(Order::Hang(time)) => std::thread::sleep(time),
                Ok(Order::HangAndCommit(time, offsets)) => {
                    std::thread::sleep(time);
                    let result = self.consumer.commit(offsets, PATIENCE);
                    self.tell(News::Committed(result));
                }
                Ok(Order::Close) => {
                    self.consumer.leave(Leave::default(), PATIENCE).expect("to leave");
                    return;
                }
                Ok(Order::Vanish) => {
                    self.consumer.leave(Leave::Never, PATIENCE).expect("to go");
                    return;
                }
                Err(_) => {}
            }
        }
    }

    fn take(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Group(GroupEvent::Joining) => {
                self.consumer
                    .subscribe(vec![self.topic.clone()], Bytes::from_static(b"user data"));
            }
            ConsumerEvent::Group(GroupEvent::Lead { members, .. }) => {
                let plan = self.plan(&members);
                self.consumer.assign_members(plan);
            }
            ConsumerEvent::Group(GroupEvent::Assigned {
                generation, assigned, ..
            }) => {
                self.owned = assigned;
                self.tell(News::Owns(
                    generation,
                    self.owned.iter().map(|tp| tp.partition).collect(),
                ));
                self.consumer.acknowledge(self.owned.clone());
            }
            ConsumerEvent::Group(GroupEvent::Lost) => {
                self.owned.clear();
                self.tell(News::Lost);
            }
            ConsumerEvent::GroupFailed(error) => self.tell(News::Failed(error)),
            _ => {}
        }
    }

    /// Partition by partition to the next member; one that another still has is left out of this round.
    fn plan(&self, members: &[GroupMember]) -> Vec<(String, Assignment)> {
        let described = self
            .admin
            .describe_topics(std::slice::from_ref(&self.topic))
            .expect("a broker");
        let count = match described.get(&self.topic) {
            Some(Ok(topic)) => topic.partitions.len(),
            _ => 0,
        };
        let mut plan: Vec<(String, Assignment)> = members
            .iter()
            .map(|member| (member.member_id.clone(), Assignment::default()))
            .collect();
        for partition in 0..count {
            let at = TopicPartition::new(self.topic.clone(), i32::try_from(partition).expect("a small number"));
            let turn = partition % members.len();
            let (member, assignment) = plan.get_mut(turn).expect("the turn of a member");
            let elsewhere = members
                .iter()
                .any(|other| other.member_id != *member && other.subscription.owned.contains(&at));
            assert!(
                members
                    .iter()
                    .all(|other| other.subscription.user_data.as_deref() == Some(b"user data"))
            );
            if !elsewhere {
                assignment.partitions.push(at);
            }
        }
        plan
    }

    fn tell(&self, news: News) {
        // The test may have heard enough.
        let _ = self.news.send(news);
    }
}
