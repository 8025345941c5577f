//! Tables out of streams, and streams out of tables.

use kstreams_topology::graph::Input;
use kstreams_topology::{Change, Data, Nullable, Record};

use super::source::{SourceTable, lower_source_table};
use super::{KTable, TablePlan};
use crate::option::Serdes;
use crate::outcome::Outcome;
use crate::plan::{Effect, Kind};
use crate::step::step;
use crate::stream::{KStream, Merging, RepartitionTopic, StreamPlan, repartition_node, stream_of};

impl<K: Data, V: Data> KTable<K, V> {
    /// The table's changes as a stream. Deletions are records without a value.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, String>("in").to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, Option<String>>("in");
    /// let output = driver.output::<String, Option<String>>("out");
    /// driver.pipe(&input, ("k", Some("apple".to_owned())))?;
    /// driver.pipe(&input, ("k", None))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), Some("apple".into())), ("k".into(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_stream(&self) -> KStream<K, Option<V>> {
        self.to_stream_as()
    }

    /// The table's changes as a stream with other keys. Options of the result go to the operator that chooses the keys.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let cities = builder.table::<String, String>("city-of-user");
    /// cities.to_stream_with_key(|_, city| city.clone()).to("by-city");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let cities = driver.input::<String, String>("city-of-user");
    /// let by_city = driver.output::<Option<String>, Option<String>>("by-city");
    /// driver.pipe(&cities, ("ann", "Oslo"))?;
    /// assert_eq!(driver.read_key_values(&by_city)?, [(Some("Oslo".into()), Some("Oslo".into()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_stream_with_key<K2, R, M>(
        &self,
        select: impl Fn(&K, &Option<V>) -> R + Send + Sync + 'static,
    ) -> KStream<K2, Option<V>>
    where
        K2: Nullable,
        R: Outcome<K2, M>,
    {
        self.to_stream().select_key(select)
    }

    /// The table's changes as a stream of other nullability, to be merged with others: `to_stream_as::<Option<K>, _>()` has
    /// the type of a stream whose keys may be null, and `to_stream_as::<K, V>()` leaves deletions out.
    pub fn to_stream_as<K2, V2>(&self) -> KStream<K2, V2>
    where
        K2: Nullable<Inner = K>,
        V2: Nullable<Inner = V>,
    {
        const PREFIX: &str = "KTABLE-TOSTREAM-";
        let run = step(|cx, record: Record<K, Change<V>>| {
            let Record {
                key,
                value,
                timestamp,
                headers,
            } = record;
            let (Some(key), Some(value)) = (K2::from_option(Some(key)), V2::from_option(value.new)) else {
                return Ok(());
            };
            cx.forward(Record {
                key,
                value,
                timestamp,
                headers,
            })
        });
        let parent = self.node.clone();
        stream_of(&self.plan, move |draft, stream| {
            let above = parent.planned.get(PREFIX)?;
            let name = draft.names.or_draw(stream.name.take(PREFIX)?, PREFIX)?;
            let serdes = parent.serdes.borrow();
            stream.inherit(&Serdes {
                key: serdes.key.clone(),
                value: serdes.value.clone(),
            });
            let node = draft.processor(&name, Effect::None, run);
            draft.attach(above.node, node);
            Ok(StreamPlan {
                node,
                name,
                key_changed: false,
            })
        })
    }
}

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// The stream as a table: each record sets the row of its key, a record without a value deletes it. Records without a
    /// key are dropped. If an operator above changed the keys, the stream goes through a repartition topic first.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.stream::<String, String>("in").to_table().materialized("latest");
    /// table.to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, Option<String>>("out");
    /// driver.pipe(&input, ("k", "apple"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), Some("apple".into()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_table(&self) -> KTable<K::Inner, V::Inner> {
        const PREFIX: &str = "KSTREAM-TOTABLE-";
        let parent = self.node.clone();
        KTable::record(&self.plan, move |draft, table| {
            let above = parent.planned.get(PREFIX)?.clone();
            let name = draft.names.or_draw(table.name.take(PREFIX)?, PREFIX)?;
            let given = table.given(&name)?.unwrap_or_default();
            let source = SourceTable::new(given.name.is_some());
            let store_name = draft.names.store(given.name.clone(), PREFIX)?;
            let serdes = parent.serdes.borrow();
            let options = table.settle(
                given,
                &Serdes {
                    key: serdes.key.clone(),
                    value: serdes.value.clone(),
                },
            );
            let versioned = options.is_versioned();
            let mut under = above.node;
            if above.key_changed {
                let (key, value) = table.serdes.borrow().resolve(&name)?;
                let topic = RepartitionTopic::<K, V> {
                    key,
                    value,
                    partitions: None,
                    partitioner: None,
                };
                let (repartition, _) = repartition_node(draft, &name, Merging::Allowed, topic.writer())?;
                draft.attach(above.node, repartition);
                under = repartition;
            }
            let lowered = source.clone();
            let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
                lower_source_table(lowering, site, &lowered, (take_row::<K, V>, options, store_name))
            });
            draft.attach(under, node);
            Ok(TablePlan {
                node,
                name,
                old_values: source.clone(),
                rows: source,
                versioned,
            })
        })
    }
}

/// A stream's record as a row.
pub(crate) fn take_row<K: Nullable, V: Nullable>(input: Input<'_>) -> Record<Option<K::Inner>, Option<V::Inner>> {
    let Record {
        key,
        value,
        timestamp,
        headers,
    } = input.take::<K, V>();
    Record {
        key: key.into_option(),
        value: value.into_option(),
        timestamp,
        headers,
    }
}
