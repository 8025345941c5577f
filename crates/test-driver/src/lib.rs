//! Runs a topology without Kafka: record by record, on the real tasks, with a clock that only the test moves.
//!
//! ```
//! use kstreams_test_driver::{TopologyTestDriver, record};
//! use kstreams_topology::processor::{Context, Processor};
//! use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
//! use kstreams_topology::{BoxError, Consumed, Produced, Record, Topology};
//!
//! struct Sum(StoreHandle<KeyValueStore<String, i64>>);
//!
//! impl Processor for Sum {
//!     type KIn = String;
//!     type VIn = i64;
//!     type KOut = String;
//!     type VOut = i64;
//!
//!     fn stores(&self) -> Vec<StoreId> {
//!         vec![self.0.id()]
//!     }
//!
//!     fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, i64>) -> Result<(), BoxError> {
//!         let sum = cx.store(self.0).get(&record.key)?.unwrap_or(0) + record.value;
//!         cx.store(self.0).put(&record.key, &sum)?;
//!         Ok(cx.forward(record.with_value(sum))?)
//!     }
//! }
//!
//! # fn main() -> Result<(), BoxError> {
//! let mut topology = Topology::new();
//! let sums = topology.add_store(Stores::in_memory("sums").key_value::<String, i64>())?;
//! topology
//!     .add_source("source", "in", Consumed::<String, i64>::default())?
//!     .add_processor("sum", move || Sum(sums), &["source"])?
//!     .add_sink("sink", "out", Produced::<String, i64>::default(), &["sum"])?;
//!
//! let mut driver = TopologyTestDriver::builder(topology).start_at(0).build()?;
//! let input = driver.input::<String, i64>("in");
//! let output = driver.output::<String, i64>("out");
//! driver.pipe(&input, record("k", 40).at(5))?;
//! driver.pipe(&input, record("k", 2).at(7))?;
//! assert_eq!(driver.read_all(&output)?, [record("k", 40).at(5), record("k", 42).at(7)]);
//! assert_eq!(driver.store(sums)?.get(&"k".to_owned())?, Some(42));
//! # Ok(())
//! # }
//! ```
//!
//! It runs one task over all subtopologies; every topic has one partition, unless the [`Builder`] is told of more. What a
//! topology sends to a topic that it also reads, such as a repartition topic, is fed back at once. After each record, timers on stream time that are due are
//! called and the task commits, so that caches are flushed.

//!
//! | Java | here |
//! |---|---|
//! | `pipeInput(…)`, `pipeRecordList`, `pipeKeyValueList` | [`pipe`](TopologyTestDriver::pipe), [`pipe_all`](TopologyTestDriver::pipe_all) |
//! | `advanceTime`, start and auto-advance of an input topic | [`InputTopic::advance_time`], [`InputTopic::start_at`], [`InputTopic::auto_advance`] |
//! | `advanceWallClockTime` | [`advance_wall_clock`](TopologyTestDriver::advance_wall_clock) |
//! | `readRecord`, `readKeyValue`, `readValue` | [`read`](TopologyTestDriver::read), [`read_key_value`](TopologyTestDriver::read_key_value), [`read_value`](TopologyTestDriver::read_value) |
//! | `readRecordsToList`, `readKeyValuesToList`, `readValuesToList`, `readKeyValuesToMap` | [`read_all`](TopologyTestDriver::read_all), [`read_key_values`](TopologyTestDriver::read_key_values), [`read_values`](TopologyTestDriver::read_values), [`read_map`](TopologyTestDriver::read_map) |
//! | `getQueueSize`, `isEmpty` | [`queue_len`](TopologyTestDriver::queue_len), [`is_empty`](TopologyTestDriver::is_empty) |
//! | `getKeyValueStore`, `getWindowStore`, … | [`store`](TopologyTestDriver::store), [`store_named`](TopologyTestDriver::store_named): the handle says the kind |
//! | `getAllStateStores`, `producedTopicNames`, `metrics` | [`store_names`](TopologyTestDriver::store_names), [`produced_topic_names`](TopologyTestDriver::produced_topic_names), [`counters`](TopologyTestDriver::counters) |
//! | `MockProcessorContext` | [`MockProcessorContext`] |
//! | – | [`restart`](TopologyTestDriver::restart), [`Builder::partitions`] |

pub mod builder;
pub mod driver;
pub mod error;
mod input;
mod log;
pub mod mock;
mod output;
mod read;
pub mod record;
mod tasks;

pub use builder::Builder;
pub use driver::TopologyTestDriver;
pub use error::{Error, Result};
pub use input::InputTopic;
pub use mock::{CapturedForward, MockProcessorContext};
pub use output::{OutputTopic, ProducedRecord};
pub use record::{TestRecord, record};
