//! One client of a cluster: an I/O thread, and the handles that live on it.

use std::sync::Arc;

use crate::admin::Admin;
use crate::cluster::Cluster;
use crate::config::ClientConfig;
use crate::consume::{Consumer, ConsumerConfig};
use crate::error::{Error, Result};
use crate::network::{Io, IoThread};
use crate::produce::{Producer, ProducerConfig};

/// A client of one Kafka cluster. Cloning shares it; the I/O thread ends with the last clone and the last handle.
#[derive(Clone, Debug)]
pub struct Client {
    thread: Arc<IoThread>,
    cluster: Cluster,
}

impl Client {
    /// Starts the I/O thread. No broker has to be up: whoever needs one waits for it, and the log says so.
    pub fn start(config: ClientConfig) -> Result<Self> {
        let thread = IoThread::start().map_err(|error| Error::Start(Arc::new(error)))?;
        let cluster = Cluster::start(config, thread.io());
        Ok(Self {
            thread: Arc::new(thread),
            cluster,
        })
    }

    /// A consumer, to be owned by one thread.
    pub fn consumer(&self, config: ConsumerConfig) -> Consumer {
        Consumer::new(self.clone(), config)
    }

    /// A producer, to be owned by one thread.
    pub fn producer(&self, config: ProducerConfig) -> Producer {
        Producer::new(self.clone(), config)
    }

    /// Questions about topics, offsets and groups, and changes to them.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// The async side: requests to brokers.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The I/O thread.
    pub fn io(&self) -> &Io {
        self.thread.io()
    }

    /// What the client was started with.
    pub fn config(&self) -> &ClientConfig {
        self.cluster.config()
    }
}
