//! The topics of the broker, by name and by id.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use uuid::Uuid;

use crate::error::Error;
use crate::settings::Settings;

/// Why a client's wish is refused: Kafka's code and a sentence for people.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseError,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

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
    pub(crate) partitions: i32,
}

/// All topics.
#[derive(Debug)]
pub(crate) struct Topics {
    by_name: BTreeMap<String, Topic>,
    names: BTreeMap<Uuid, String>,
    defaults: BTreeMap<String, String>,
}

impl Topics {
    /// No topics yet; `defaults` are the broker's topic configs.
    pub(crate) fn new(defaults: BTreeMap<String, String>) -> Self {
        Self {
            by_name: BTreeMap::new(),
            names: BTreeMap::new(),
            defaults,
        }
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

    /// Creates a topic.
    pub(crate) fn create(&mut self, new: NewTopic) -> Result<&Topic, Refusal> {
        let settings = self.check(&new)?;
        let topic = Topic {
            name: new.name.clone(),
            id: Uuid::new_v4(),
            settings: Rc::new(settings),
            partitions: new.partitions,
        };
        self.names.insert(topic.id, new.name.clone());
        Ok(self.by_name.entry(new.name).or_insert(topic))
    }

    /// Whether the topic could be created, and its settings.
    pub(crate) fn check(&self, new: &NewTopic) -> Result<Settings, Refusal> {
        check_name(&new.name)?;
        if self.by_name.contains_key(&new.name) {
            let message = format!("Topic '{}' already exists.", new.name);
            return Err(Refusal::new(ResponseError::TopicAlreadyExists, message));
        }
        if new.partitions < 1 {
            let message = "Number of partitions must be larger than 0.";
            return Err(Refusal::new(ResponseError::InvalidPartitions, message));
        }
        Settings::parse(new.configs.clone(), &self.defaults).map_err(|error| invalid_config(&error))
    }
}

fn invalid_config(error: &Error) -> Refusal {
    Refusal::new(ResponseError::InvalidConfig, error.to_string())
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
