//! The topics of the broker, by name and by id.

mod catalogue;

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use uuid::Uuid;

use self::catalogue::{Catalogue, Listed};
use crate::data::DataDirectory;
use crate::error::{Error, Result};
use crate::log::{PartitionLog, Place};
use crate::refusal::Refusal;
use crate::settings::Settings;

/// The most partitions a topic may have: more is a mistake on one node.
const PARTITIONS_MAX: i32 = 10_000;

/// A topic somebody wants.
#[derive(Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    pub(crate) configs: BTreeMap<String, String>,
}

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) settings: Rc<Settings>,
    partitions: Vec<RefCell<PartitionLog>>,
}

impl Topic {
    /// How many partitions it has.
    pub(crate) fn partitions(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// The log of a partition.
    pub(crate) fn log(&self, partition: i32) -> Option<RefMut<'_, PartitionLog>> {
        let partition = usize::try_from(partition).ok()?;
        self.partitions.get(partition).map(RefCell::borrow_mut)
    }

    /// The logs of all partitions.
    pub(crate) fn logs(&self) -> impl Iterator<Item = RefMut<'_, PartitionLog>> {
        self.partitions.iter().map(RefCell::borrow_mut)
    }

    fn listed(&self) -> Listed {
        Listed {
            name: self.name.clone(),
            id: self.id,
            partitions: self.partitions.len(),
            configs: self.settings.explicit().clone(),
        }
    }
}

/// Where and how the logs of all topics are kept.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    /// The directory of logs; none in memory.
    pub(crate) logs: Option<PathBuf>,
    pub(crate) segment_bytes_max: u64,
    pub(crate) epoch: i32,
    /// Topic configs that the broker was started with.
    pub(crate) defaults: BTreeMap<String, String>,
}

/// All topics.
#[derive(Debug)]
pub(crate) struct Topics {
    by_name: BTreeMap<String, Topic>,
    names: HashMap<Uuid, String>,
    catalogue: Catalogue,
    ground: Ground,
}

impl Topics {
    /// The topics that the data directory lists, with their logs.
    pub(crate) fn open(data: Option<&DataDirectory>, ground: Ground, now_ms: i64) -> Result<Self> {
        let mut topics = Self {
            by_name: BTreeMap::new(),
            names: HashMap::new(),
            catalogue: Catalogue::new(data.map(|data| data.join("catalogue"))),
            ground,
        };
        for listed in topics.catalogue.load()? {
            let settings = Rc::new(Settings::parse(listed.configs, &topics.ground.defaults)?);
            let logs = (0..listed.partitions).map(|partition| topics.log(&listed.name, partition, &settings, now_ms));
            let topic = Topic {
                partitions: logs.collect::<Result<_>>()?,
                id: listed.id,
                settings,
                name: listed.name,
            };
            topics.insert(topic);
        }
        Ok(topics)
    }

    fn log(
        &self,
        topic: &str,
        partition: usize,
        settings: &Rc<Settings>,
        now_ms: i64,
    ) -> Result<RefCell<PartitionLog>> {
        let directory = self
            .ground
            .logs
            .as_ref()
            .map(|logs| logs.join(format!("{topic}-{partition}")));
        let place = Place {
            directory: directory.clone(),
            segment_bytes_max: self.ground.segment_bytes_max,
            epoch: self.ground.epoch,
        };
        let log = PartitionLog::open(place, Rc::clone(settings), now_ms);
        log.map(RefCell::new)
            .map_err(|source| Error::data(directory.unwrap_or_default(), source))
    }

    /// The log of a partition that is new, so that nothing of a former topic of this name may be left: a broker that
    /// was killed while it deleted a topic leaves its directories.
    fn new_log(
        &self,
        topic: &str,
        partition: usize,
        settings: &Rc<Settings>,
        now_ms: i64,
    ) -> Result<RefCell<PartitionLog>> {
        if let Some(logs) = &self.ground.logs {
            let leftover = logs.join(format!("{topic}-{partition}"));
            if leftover.exists() {
                fs::remove_dir_all(&leftover).map_err(|source| Error::data(leftover, source))?;
            }
        }
        self.log(topic, partition, settings, now_ms)
    }

    fn insert(&mut self, topic: Topic) {
        self.names.insert(topic.id, topic.name.clone());
        self.by_name.insert(topic.name.clone(), topic);
    }

    fn save(&self) -> Result<(), Refusal> {
        self.catalogue
            .save(self.by_name.values().map(Topic::listed))
            .map_err(Refusal::storage)
    }

    /// The topic of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    /// The topic of this id.
    pub(crate) fn find_id(&self, id: Uuid) -> Option<&Topic> {
        self.by_name.get(self.names.get(&id)?)
    }

    /// All topics, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values()
    }

    /// Whether the topic could be created, and its settings.
    pub(crate) fn check(&self, new: &NewTopic) -> Result<Settings, Refusal> {
        check_name(&new.name)?;
        if self.by_name.contains_key(&new.name) {
            let message = format!("Topic '{}' already exists.", new.name);
            return Err(Refusal::new(ResponseError::TopicAlreadyExists, message));
        }
        check_partitions(new.partitions)?;
        self.settings(new.configs.clone())
    }

    /// The settings that follow from configs.
    fn settings(&self, configs: BTreeMap<String, String>) -> Result<Settings, Refusal> {
        let settings = Settings::parse(configs, &self.ground.defaults);
        settings.map_err(|error| Refusal::new(ResponseError::InvalidConfig, error.to_string()))
    }

    /// Creates a topic.
    pub(crate) fn create(&mut self, new: NewTopic, now_ms: i64) -> Result<&Topic, Refusal> {
        let settings = Rc::new(self.check(&new)?);
        let count = usize::try_from(new.partitions).unwrap_or(0);
        let logs = (0..count).map(|partition| self.new_log(&new.name, partition, &settings, now_ms));
        let topic = Topic {
            partitions: logs.collect::<Result<_>>().map_err(Refusal::storage)?,
            name: new.name.clone(),
            id: Uuid::new_v4(),
            settings,
        };
        tracing::info!(topic = %topic.name, partitions = count, "topic created");
        self.insert(topic);
        self.save()?;
        self.by_name
            .get(&new.name)
            .ok_or_else(|| ResponseError::UnknownServerError.into())
    }

    /// Deletes a topic and its records.
    pub(crate) fn delete(&mut self, name: &str) -> Result<(), Refusal> {
        let topic = self
            .by_name
            .remove(name)
            .ok_or(ResponseError::UnknownTopicOrPartition)?;
        self.names.remove(&topic.id);
        tracing::info!(topic = name, "topic deleted");
        // The catalogue first: directories that it does not list are only garbage.
        self.save()?;
        for partition in 0..topic.partitions.len() {
            let Some(logs) = &self.ground.logs else { break };
            fs::remove_dir_all(logs.join(format!("{name}-{partition}"))).map_err(Refusal::storage)?;
        }
        Ok(())
    }

    /// Gives a topic more partitions, so that it has `count`.
    pub(crate) fn grow(&mut self, name: &str, count: i32, now_ms: i64) -> Result<(), Refusal> {
        self.check_growth(name, count)?;
        let count = usize::try_from(count).unwrap_or(0);
        let topic = self.by_name.get(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let new =
            (topic.partitions.len()..count).map(|partition| self.new_log(name, partition, &topic.settings, now_ms));
        let new = new.collect::<Result<Vec<_>>>().map_err(Refusal::storage)?;
        if let Some(topic) = self.by_name.get_mut(name) {
            topic.partitions.extend(new);
        }
        self.save()
    }

    /// Whether a topic can have `count` partitions.
    pub(crate) fn check_growth(&self, name: &str, count: i32) -> Result<(), Refusal> {
        let topic = self.by_name.get(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        if count <= topic.partitions() {
            let message = format!("The topic {name} currently has {} partition(s)", topic.partitions());
            let message = format!("{message}; {count} would not be an increase.");
            return Err(Refusal::new(ResponseError::InvalidPartitions, message));
        }
        check_partitions(count)
    }

    /// Whether a topic's configs could be replaced.
    pub(crate) fn check_configs(&self, name: &str, configs: BTreeMap<String, String>) -> Result<Settings, Refusal> {
        self.by_name.get(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        self.settings(configs)
    }

    /// Replaces a topic's configs.
    pub(crate) fn configure(&mut self, name: &str, configs: BTreeMap<String, String>) -> Result<(), Refusal> {
        let settings = Rc::new(self.check_configs(name, configs)?);
        if let Some(topic) = self.by_name.get_mut(name) {
            topic.logs().for_each(|mut log| log.alter(Rc::clone(&settings)));
            topic.settings = settings;
        }
        self.save()
    }
}

fn check_partitions(count: i32) -> Result<(), Refusal> {
    if (1..=PARTITIONS_MAX).contains(&count) {
        return Ok(());
    }
    let message = format!("Number of partitions must be from 1 to {PARTITIONS_MAX}, not {count}.");
    Err(Refusal::new(ResponseError::InvalidPartitions, message))
}

/// Kafka's rule for topic names.
fn check_name(name: &str) -> Result<(), Refusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name == "." || name == ".." || name.len() > 249 || !name.chars().all(legal) {
        let message = format!("Topic name \"{name}\" is illegal: 1 to 249 of a-z, A-Z, 0-9, '.', '_', '-'.");
        return Err(Refusal::new(ResponseError::InvalidTopicException, message));
    }
    Ok(())
}
