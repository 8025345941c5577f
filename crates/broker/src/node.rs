//! Everything a broker knows, in one place: what the handlers work on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, Interval, interval_at, timeout_at};
use tracing::{debug, error};
use uuid::Uuid;

use crate::config::BrokerConfig;
use crate::coordinate::groups::Groups;
use crate::coordinate::offsets::Offsets;
use crate::coordinate::sessions::Sessions;
use crate::coordinate::transactions::Transactions;
use crate::data::{DataDirectory, Identity};
use crate::error::{Error, Result};
use crate::log::Cleaning;
use crate::settings::Settings;
use crate::topics::{Ground, NewTopic, Topic, Topics};
use crate::trouble::Troubles;

/// The id of the one node of the cluster.
pub(crate) const NODE_ID: i32 = 1;

/// The state of a broker. It lives on one thread; no borrow is held across an await.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: BrokerConfig,
    pub(crate) identity: RefCell<Identity>,
    pub(crate) topics: RefCell<Topics>,
    pub(crate) sessions: RefCell<Sessions>,
    pub(crate) groups: RefCell<Groups>,
    pub(crate) offsets: RefCell<Offsets>,
    pub(crate) transactions: RefCell<Transactions>,
    pub(crate) troubles: RefCell<Troubles>,
    _data: Option<DataDirectory>,
}

impl Node {
    /// A broker with what its data directory holds.
    pub(crate) fn open(config: BrokerConfig) -> Result<Self> {
        let defaults: BTreeMap<String, String> = config.topic_defaults.iter().cloned().collect();
        Settings::parse(BTreeMap::new(), &defaults)?;
        let data = config.data.as_deref().map(DataDirectory::open).transpose()?;
        let identity = Identity::open(data.as_ref())?;
        let ground = Ground {
            logs: data.as_ref().map(|data| data.join("logs")),
            segment_bytes_max: config.segment_bytes_max,
            epoch: identity.epoch,
            defaults,
        };
        let offsets = data.as_ref().map(|data| data.join("offsets"));
        let groups = data.as_ref().map(|data| data.join("groups"));
        let transactions = data.as_ref().map(|data| data.join("transactions"));
        let failed = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        let delay = config.group_initial_rebalance_delay;
        let node = Self {
            topics: RefCell::new(Topics::open(data.as_ref(), ground, wall_clock_ms())?),
            identity: RefCell::new(identity),
            sessions: RefCell::new(Sessions::default()),
            troubles: RefCell::new(Troubles::default()),
            groups: Groups::open(groups.clone(), delay)
                .map(RefCell::new)
                .map_err(|source| Error::data(failed(&groups), source))?,
            offsets: Offsets::open(offsets.clone())
                .map(RefCell::new)
                .map_err(|source| Error::data(failed(&offsets), source))?,
            transactions: Transactions::open(transactions.clone(), config.transaction_timeout_max)
                .map(RefCell::new)
                .map_err(|source| Error::data(failed(&transactions), source))?,
            config,
            _data: data,
        };
        node.finish_transactions()?;
        Ok(node)
    }

    /// Creates a topic for the owner of the broker.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, configs: BTreeMap<String, String>) -> Result<()> {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions,
            configs,
        };
        let created = self.topics.borrow_mut().create(topic, wall_clock_ms()).map(|_| ());
        created.map_err(|refusal| Error::Topic {
            topic: name.to_owned(),
            what: refusal.message,
        })
    }

    /// Sees to the time-outs of groups, for ever.
    pub(crate) async fn keep_groups(self: Rc<Self>) {
        loop {
            let (next, sooner) = self.groups.borrow_mut().tick();
            match next {
                // Whether woken or late, the next turn looks again.
                Some(next) => drop(timeout_at(next, sooner.notified()).await),
                None => sooner.notified().await,
            }
        }
    }

    /// Aborts transactions that have taken too long, for ever.
    pub(crate) async fn keep_transactions(self: Rc<Self>) {
        let mut due = every(self.config.transaction_check_interval);
        loop {
            due.tick().await;
            self.abort_expired();
        }
    }

    /// Does what falls due by the clock, for ever.
    pub(crate) async fn keep_house(self: Rc<Self>) {
        let mut due = every(self.config.retention_check_interval);
        loop {
            due.tick().await;
            self.topics.borrow().iter().for_each(retain);
            let offsets = self.offsets.borrow();
            self.groups.borrow_mut().forget_unused(|id| offsets.has_group(id));
        }
    }

    /// Compacts what is worth it, for ever. The work is done on another thread.
    pub(crate) async fn keep_compacted(self: Rc<Self>) {
        let mut due = every(self.config.compaction_interval);
        loop {
            due.tick().await;
            for (topic, partition, cleaning) in self.cleanable() {
                let cleaned = match tokio::task::spawn_blocking(|| cleaning.run()).await {
                    Ok(cleaned) => cleaned,
                    Err(error) => Err(std::io::Error::other(error)),
                };
                let topics = self.topics.borrow();
                let log = topics.find_id(topic).and_then(|topic| topic.log(partition));
                let installed = cleaned.and_then(|cleaned| log.map_or(Ok(()), |mut log| log.install(cleaned)));
                match installed {
                    Ok(()) => debug!(%topic, partition, "partition compacted"),
                    Err(error) => error!(%topic, partition, %error, "compaction failed"),
                }
            }
        }
    }

    fn cleanable(&self) -> Vec<(Uuid, i32, Cleaning)> {
        let mut found = Vec::new();
        for topic in self.topics.borrow().iter() {
            for (partition, mut log) in (0..).zip(topic.logs()) {
                match log.cleanable(wall_clock_ms()) {
                    Ok(cleaning) => found.extend(cleaning.map(|cleaning| (topic.id, partition, cleaning))),
                    Err(error) => error!(topic = %topic.name, partition, %error, "compaction failed"),
                }
            }
        }
        found
    }

    /// Brings everything to the disk.
    pub(crate) fn close(&self) -> Result<()> {
        let offsets = self.offsets.borrow();
        offsets.sync().map_err(|source| Error::data("offsets", source))?;
        self.groups
            .borrow()
            .flush()
            .map_err(|source| Error::data("groups", source))?;
        let transactions = self.transactions.borrow();
        transactions
            .sync()
            .map_err(|source| Error::data("transactions", source))?;
        for topic in self.topics.borrow().iter() {
            for log in topic.logs() {
                log.sync().map_err(|source| Error::data(&topic.name, source))?;
            }
        }
        Ok(())
    }
}

/// Ticks, for the first time after one period.
fn every(period: Duration) -> Interval {
    let period = period.max(Duration::from_millis(1));
    interval_at(Instant::now() + period, period)
}

fn retain(topic: &Topic) {
    for mut log in topic.logs() {
        match log.retain(wall_clock_ms()) {
            Ok(0) => {}
            Ok(segments) => debug!(topic = %topic.name, segments, "segments deleted by retention"),
            Err(error) => error!(topic = %topic.name, %error, "retention failed"),
        }
    }
}

/// Milliseconds since 1970, the time of records.
pub(crate) fn wall_clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
