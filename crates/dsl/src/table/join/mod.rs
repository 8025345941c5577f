//! Tables joined with tables of the same keys.

use std::sync::Arc;

use kstreams_topology::{BoxError, Data, Nullable};

use super::KTable;
use crate::outcome::Outcome;

mod node;
mod plan;
mod rows;

use plan::{Join, plan};

/// Makes a row of the result out of the rows of both sides; `None` for no row.
type Joiner<V, VO, V2> = Arc<dyn Fn(Option<V>, Option<VO>) -> Result<Option<V2>, BoxError> + Send + Sync>;

/// Without which rows there is no row of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Required {
    this: bool,
    other: bool,
}

impl Required {
    /// The same, as the other side sees it.
    fn reversed(self) -> Self {
        Self {
            this: self.other,
            other: self.this,
        }
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    /// Joins the rows that have the same key in both tables: the result has a row for each key that both have. A change of
    /// either table changes the result; `None` deletes a row. The result's rows are as old as the younger of the two. Both
    /// tables have to have as many partitions.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// let cities = builder.table::<String, String>("cities");
    /// names.join(&cities, |name: String, city: String| format!("{name} of {city}")).to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let names = driver.input::<String, String>("names");
    /// let cities = driver.input::<String, Option<String>>("cities");
    /// let output = driver.output::<String, Option<String>>("out");
    /// driver.pipe(&names, ("1", "Ann"))?;
    /// driver.pipe(&cities, ("1", Some("Oslo".to_owned())))?;
    /// driver.pipe(&cities, ("1", None))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("1".into(), Some("Ann of Oslo".into())), ("1".into(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join<VO, N, R, M>(
        &self,
        other: &KTable<K, VO>,
        join: impl Fn(V, VO) -> R + Send + Sync + 'static,
    ) -> KTable<K, N::Inner>
    where
        VO: Data,
        N: Nullable,
        R: Outcome<N, M>,
    {
        let joiner: Joiner<V, VO, N::Inner> = Arc::new(move |this, other| match this.zip(other) {
            Some((this, other)) => join(this, other).outcome().map(N::into_option),
            None => Ok(None),
        });
        self.join_table(
            other,
            Required {
                this: true,
                other: true,
            },
            joiner,
        )
    }

    /// Like [`join`](Self::join), but with a row for each key of this table; where the other one has none, the closure gets
    /// `None`.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<String, String>("names");
    /// let cities = builder.table::<String, String>("cities");
    /// let join = |name: String, city: Option<String>| format!("{name} of {}", city.unwrap_or("nowhere".into()));
    /// names.left_join(&cities, join).to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let names = driver.input::<String, String>("names");
    /// let cities = driver.input::<String, String>("cities");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&names, ("1", "Ann"))?;
    /// driver.pipe(&cities, ("1", "Oslo"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("1".into(), "Ann of nowhere".into()), ("1".into(), "Ann of Oslo".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_join<VO, N, R, M>(
        &self,
        other: &KTable<K, VO>,
        join: impl Fn(V, Option<VO>) -> R + Send + Sync + 'static,
    ) -> KTable<K, N::Inner>
    where
        VO: Data,
        N: Nullable,
        R: Outcome<N, M>,
    {
        let joiner: Joiner<V, VO, N::Inner> = Arc::new(move |this, other| match this {
            Some(this) => join(this, other).outcome().map(N::into_option),
            None => Ok(None),
        });
        self.join_table(
            other,
            Required {
                this: true,
                other: false,
            },
            joiner,
        )
    }

    /// Like [`join`](Self::join), but with a row for each key that one of the tables has; the closure gets `None` where
    /// there is no row.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let bought = builder.table::<String, i64>("bought");
    /// let sold = builder.table::<String, i64>("sold");
    /// let stock = |bought: Option<i64>, sold: Option<i64>| bought.unwrap_or(0) - sold.unwrap_or(0);
    /// bought.outer_join(&sold, stock).to_stream().to("stock");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let bought = driver.input::<String, i64>("bought");
    /// let sold = driver.input::<String, i64>("sold");
    /// let stock = driver.output::<String, i64>("stock");
    /// driver.pipe(&sold, ("pens", 2))?;
    /// driver.pipe(&bought, ("pens", 10))?;
    /// assert_eq!(driver.read_key_values(&stock)?, [("pens".into(), -2), ("pens".into(), 8)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outer_join<VO, N, R, M>(
        &self,
        other: &KTable<K, VO>,
        join: impl Fn(Option<V>, Option<VO>) -> R + Send + Sync + 'static,
    ) -> KTable<K, N::Inner>
    where
        VO: Data,
        N: Nullable,
        R: Outcome<N, M>,
    {
        let joiner: Joiner<V, VO, N::Inner> =
            Arc::new(move |this, other| join(this, other).outcome().map(N::into_option));
        self.join_table(
            other,
            Required {
                this: false,
                other: false,
            },
            joiner,
        )
    }

    fn join_table<VO: Data, V2: Data>(
        &self,
        other: &KTable<K, VO>,
        required: Required,
        joiner: Joiner<V, VO, V2>,
    ) -> KTable<K, V2> {
        let join = Join {
            this: self.node.clone(),
            other: other.node.clone(),
            required,
            joiner,
        };
        KTable::record(&self.plan, move |draft, table| plan(draft, table, join))
    }
}
