//! Tables joined with tables of other keys: a row of the left table tells the key of its row in the right one.
//!
//! The tables need not have equally many partitions, and a row's match may be on another instance. So rows and matches talk
//! through two topics (KIP-213): a row of the left table *subscribes* to its foreign key, through the registration topic;
//! the right side keeps the subscriptions and *answers* through the response topic, at once and whenever its row changes.
//!
//! | file | what |
//! |---|---|
//! | `send` | the left side: changes of rows become subscriptions |
//! | `answer` | the right side: keeps subscriptions, answers them |
//! | `resolve` | the left side again: answers become rows of the result |
//! | `message`, `hash` | what they tell each other, in Java's bytes |
//! | `plan`, `right` | names, and how it is written to a topology |

use std::sync::Arc;

use kstreams_topology::graph::Partitions;
use kstreams_topology::{Data, Nullable};

use super::KTable;
use crate::outcome::{Chosen, Outcome};

mod answer;
mod hash;
mod message;
mod plan;
mod resolve;
mod right;
mod send;
#[cfg(test)]
mod vectors;

use plan::{ForeignJoin, plan};
use resolve::Joiner;
use send::{ForeignKey, Rows};

/// The right table of a [foreign-key join](KTable::join_foreign_key), with partitioners if those of the tables' topics are
/// not the default. A reference to the table alone will do for most.
pub struct TableJoined<K: Data, KO: Data, VO: Data> {
    other: KTable<KO, VO>,
    partitioner: Option<KeyPartitioner<K>>,
    other_partitioner: Option<KeyPartitioner<KO>>,
}

/// Chooses the partition of a key, called with the topic, the key, and the number of partitions.
type KeyPartitioner<K> = Arc<dyn Fn(&str, &K, i32) -> Partitions + Send + Sync>;

impl<K: Data, KO: Data, VO: Data> TableJoined<K, KO, VO> {
    /// The right table.
    pub fn with(other: &KTable<KO, VO>) -> Self {
        Self {
            other: other.clone(),
            partitioner: None,
            other_partitioner: None,
        }
    }

    /// How keys of the left table are partitioned: answers go there. By default they go to the partition from which the row
    /// asked.
    pub fn partitioner(mut self, choose: impl Fn(&str, &K, i32) -> Partitions + Send + Sync + 'static) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }

    /// How keys of the right table are partitioned. By default the key's hash decides.
    pub fn other_partitioner(mut self, choose: impl Fn(&str, &KO, i32) -> Partitions + Send + Sync + 'static) -> Self {
        self.other_partitioner = Some(Arc::new(choose));
        self
    }
}

impl<K: Data, KO: Data, VO: Data> From<&KTable<KO, VO>> for TableJoined<K, KO, VO> {
    fn from(other: &KTable<KO, VO>) -> Self {
        Self::with(other)
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    /// Joins each row with the row of another table whose key the first closure chooses. The result has this table's keys,
    /// and a row for each of this table's rows that has a match. A change of either table changes the result, a change of
    /// the other one that of many rows. Rows for which the closure chooses no key have no match.
    ///
    /// [`named`](KTable::named) on the result names the nodes, the two topics, and the store that the join keeps.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let book_author = builder.table::<String, String>("book-author");
    /// let authors = builder.table::<String, String>("authors");
    /// let books = book_author.join_foreign_key(
    ///     &authors,
    ///     |_, author: &String| author.clone(),
    ///     |_, name: String| format!("by {name}"),
    /// );
    /// books.to_stream().to("books");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let book_author = driver.input::<String, String>("book-author");
    /// let authors = driver.input::<String, String>("authors");
    /// let books = driver.output::<String, String>("books");
    /// driver.pipe(&book_author, ("Emma", "austen"))?;
    /// driver.pipe(&book_author, ("Persuasion", "austen"))?;
    /// driver.pipe(&authors, ("austen", "Jane Austen"))?;
    /// let by = "by Jane Austen".to_owned();
    /// assert_eq!(driver.read_key_values(&books)?, [("Emma".into(), by.clone()), ("Persuasion".into(), by)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_foreign_key<KO, VO, N, S, C, R, M>(
        &self,
        other: impl Into<TableJoined<K, KO, VO>>,
        foreign_key: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        join: impl Fn(V, VO) -> R + Send + Sync + 'static,
    ) -> KTable<K, N::Inner>
    where
        KO: Data,
        VO: Data,
        N: Nullable,
        S: Chosen<KO, C>,
        R: Outcome<N, M>,
    {
        let joiner: Joiner<V, VO, N::Inner> = Arc::new(move |left, right| match right {
            Some(right) => join(left, right).outcome().map(N::into_option),
            None => Ok(None),
        });
        let foreign_key: ForeignKey<K, V, KO> = Arc::new(move |key, value| foreign_key(key, value).chosen());
        self.foreign_join(other.into(), Rows::Matched, foreign_key, joiner)
    }

    /// Like [`join_foreign_key`](Self::join_foreign_key), but with a row for each of this table's rows; those without a match
    /// are joined with `None`.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let book_author = builder.table::<String, String>("book-author");
    /// let authors = builder.table::<String, String>("authors");
    /// let books = book_author.left_join_foreign_key(
    ///     &authors,
    ///     |_, author: &String| author.clone(),
    ///     |_, name: Option<String>| format!("by {}", name.unwrap_or("someone".into())),
    /// );
    /// books.to_stream().to("books");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let book_author = driver.input::<String, String>("book-author");
    /// let books = driver.output::<String, String>("books");
    /// driver.pipe(&book_author, ("Emma", "austen"))?;
    /// assert_eq!(driver.read_key_values(&books)?, [("Emma".into(), "by someone".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_join_foreign_key<KO, VO, N, S, C, R, M>(
        &self,
        other: impl Into<TableJoined<K, KO, VO>>,
        foreign_key: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        join: impl Fn(V, Option<VO>) -> R + Send + Sync + 'static,
    ) -> KTable<K, N::Inner>
    where
        KO: Data,
        VO: Data,
        N: Nullable,
        S: Chosen<KO, C>,
        R: Outcome<N, M>,
    {
        let joiner: Joiner<V, VO, N::Inner> =
            Arc::new(move |left, right| join(left, right).outcome().map(N::into_option));
        let foreign_key: ForeignKey<K, V, KO> = Arc::new(move |key, value| foreign_key(key, value).chosen());
        self.foreign_join(other.into(), Rows::AllLeft, foreign_key, joiner)
    }

    fn foreign_join<KO: Data, VO: Data, V2: Data>(
        &self,
        other: TableJoined<K, KO, VO>,
        rows: Rows,
        foreign_key: ForeignKey<K, V, KO>,
        joiner: Joiner<V, VO, V2>,
    ) -> KTable<K, V2> {
        let join = ForeignJoin {
            this: self.node.clone(),
            other,
            rows,
            foreign_key,
            joiner,
        };
        KTable::record(&self.plan, move |draft, table| plan(draft, table, join))
    }
}
