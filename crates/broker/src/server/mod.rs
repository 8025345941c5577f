//! The broker's thread: accepts connections and carries out what its owner asks.

mod connection;
mod rope;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc as blocking;
use std::thread::{self, JoinHandle};

use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tracing::{debug, info, warn};

pub(crate) use rope::Rope;

use crate::config::BrokerConfig;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::trouble::Trouble;

/// A running broker. Dropping it stops it.
#[derive(Debug)]
pub struct Broker {
    addr: SocketAddr,
    commands: mpsc::UnboundedSender<Command>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What an owner asks of the broker's thread. Each waits for its answer, so the queue is as short as owners are few.
enum Command {
    CreateTopic {
        name: String,
        partitions: i32,
        configs: BTreeMap<String, String>,
        answer: blocking::Sender<Result<()>>,
    },
    HasTopic {
        name: String,
        answer: blocking::Sender<bool>,
    },
    Trouble {
        trouble: Trouble,
        answer: blocking::Sender<Result<()>>,
    },
    Stop,
}

impl Broker {
    /// Starts a broker on a thread of its own. It listens when this returns.
    pub fn start(config: BrokerConfig) -> Result<Self> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let (started, start) = blocking::channel();
        let thread = thread::Builder::new()
            .name("kstreams-broker".to_owned())
            .spawn(move || run(config, inbox, &started))
            .map_err(|source| Error::Thread { source })?;
        match start.recv() {
            Ok(addr) => Ok(Self {
                addr,
                commands,
                thread: Some(thread),
            }),
            Err(_) => Err(join(thread).err().unwrap_or(Error::Stopped)),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What a client on this machine puts into `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        let ip = match self.addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            ip => ip,
        };
        SocketAddr::new(ip, self.addr.port()).to_string()
    }

    /// Creates a topic, with configs by Kafka's keys. It is an error if the topic exists.
    pub fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
        let (answer, answered) = blocking::channel();
        let configs = configs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let command = Command::CreateTopic {
            name: name.to_owned(),
            partitions,
            configs: configs.collect(),
            answer,
        };
        self.commands.send(command).map_err(|_| Error::Stopped)?;
        answered.recv().map_err(|_| Error::Stopped)?
    }

    /// Whether there is a topic of this name.
    pub fn has_topic(&self, name: &str) -> Result<bool> {
        let (answer, answered) = blocking::channel();
        let name = name.to_owned();
        self.commands
            .send(Command::HasTopic { name, answer })
            .map_err(|_| Error::Stopped)?;
        answered.recv().map_err(|_| Error::Stopped)
    }

    /// Lets something go wrong from now on, for tests of whoever has to get through it.
    pub fn make_trouble(&self, trouble: Trouble) -> Result<()> {
        let (answer, answered) = blocking::channel();
        self.commands
            .send(Command::Trouble { trouble, answer })
            .map_err(|_| Error::Stopped)?;
        answered.recv().map_err(|_| Error::Stopped)?
    }

    /// Closes every connection, brings the data directory to the disk, and waits until the thread has ended.
    pub fn stop(mut self) -> Result<()> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // A thread that has ended by itself no longer listens; its result says why.
        let _ = self.commands.send(Command::Stop);
        join(thread)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            warn!(error = &error as &dyn std::error::Error, "broker did not stop cleanly");
        }
    }
}

fn join(thread: JoinHandle<Result<()>>) -> Result<()> {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The body of the broker's thread.
fn run(
    config: BrokerConfig,
    inbox: mpsc::UnboundedReceiver<Command>,
    started: &blocking::Sender<SocketAddr>,
) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Thread { source })?;
    let listen = |source| Error::Listen {
        addr: config.listen,
        source,
    };
    let node = Rc::new(Node::open(config.clone())?);
    let local = LocalSet::new();
    let served = local.block_on(&runtime, async {
        // tokio sets SO_REUSEADDR, so that a restart gets the same port at once.
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        info!(%addr, data = ?config.data, "broker listens");
        // The owner may have gone already; then the inbox is closed and tells so.
        let _ = started.send(addr);
        serve(&node, listener, inbox).await;
        Ok(())
    });
    drop(local);
    served?;
    node.close()
}

/// Accepts connections and obeys the owner until told to stop.
async fn serve(node: &Rc<Node>, listener: TcpListener, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let mut connections = JoinSet::new();
    let mut chores = JoinSet::new();
    chores.spawn_local(Rc::clone(node).keep_house());
    chores.spawn_local(Rc::clone(node).keep_groups());
    chores.spawn_local(Rc::clone(node).keep_transactions());
    chores.spawn_local(Rc::clone(node).keep_compacted());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn_local(connection::serve(Rc::clone(node), stream, peer));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others must close first.
                    warn!(%error, "could not accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    warn!(%error, "a connection's task failed");
                }
            }
            command = inbox.recv() => match command {
                Some(Command::Stop) | None => break,
                Some(command) => obey(node, command),
            },
        }
    }
    debug!("broker stops");
    connections.shutdown().await;
    chores.shutdown().await;
}

/// Does what the owner asks. An owner that no longer waits needs no answer.
fn obey(node: &Node, command: Command) {
    match command {
        Command::CreateTopic {
            name,
            partitions,
            configs,
            answer,
        } => {
            let _ = answer.send(node.create_topic(&name, partitions, configs));
        }
        Command::HasTopic { name, answer } => {
            let _ = answer.send(node.topics.borrow().find(&name).is_some());
        }
        Command::Trouble { trouble, answer } => {
            let _ = answer.send(node.troubles.borrow_mut().add(trouble));
        }
        Command::Stop => {}
    }
}
