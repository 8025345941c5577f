//! A stream is split: each record goes to the first branch whose predicate holds.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{BoxError, Error, Nullable, Record};

use super::{KStream, StreamNode, StreamPlan};
use crate::error::Result;
use crate::outcome::Outcome;
use crate::plan::{Draft, Effect, Kind, Late, Plan, Planned};
use crate::step::step;

const PREFIX: &str = "KSTREAM-BRANCH-";

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Begins to split the stream. A record goes to the first branch whose predicate holds; to none, if none does and
    /// there is no [`Split::otherwise`].
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let split = builder.stream::<String, i64>("in").split();
    /// split.branch(|_, amount| *amount < 0).to("negative");
    /// split.branch(|_, amount| *amount > 99).to("large");
    /// split.otherwise().to("others");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// let negative = driver.output::<String, i64>("negative");
    /// let others = driver.output::<String, i64>("others");
    /// driver.pipe(&input, ("a", -1))?;
    /// driver.pipe(&input, ("b", 5))?;
    /// assert_eq!(driver.read_key_values(&negative)?, [("a".into(), -1)]);
    /// assert_eq!(driver.read_key_values(&others)?, [("b".into(), 5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(&self) -> Split<K, V> {
        let splitter = Rc::new(Splitter {
            name: Late::new("name"),
            predicates: RefCell::new(Vec::new()),
            closed: Cell::new(false),
            planned: Planned::new(),
        });
        let (parent, node) = (self.node.clone(), splitter.clone());
        self.plan.record(move |draft| {
            let planned = plan_splitter(draft, &parent, &node)?;
            node.planned.set(planned);
            Ok(())
        });
        Split {
            plan: self.plan.clone(),
            splitter,
            source: self.node.clone(),
        }
    }
}

/// A stream that is being split.
pub struct Split<K: Nullable, V: Nullable> {
    plan: Plan,
    splitter: Rc<Splitter<K, V>>,
    source: Rc<StreamNode<K, V>>,
}

type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> std::result::Result<bool, BoxError> + Send + Sync>;

struct Splitter<K, V> {
    name: Late<String>,
    predicates: RefCell<Vec<Predicate<K, V>>>,
    /// There is a branch for all that is left.
    closed: Cell<bool>,
    planned: Planned<StreamPlan>,
}

impl<K: Nullable, V: Nullable> Split<K, V> {
    /// Names the split. A branch's full name begins with it.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.splitter.name.set(name.into());
        self
    }

    /// The records for which this predicate holds, and none of the earlier ones did. Its name is the split's, followed by
    /// its own or, without one, by the number of the branch.
    pub fn branch<R, M>(&self, predicate: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> KStream<K, V>
    where
        R: Outcome<bool, M>,
    {
        let predicate: Predicate<K, V> = Arc::new(move |key, value| predicate(key, value).outcome());
        self.add(Some(predicate))
    }

    /// The records that no branch took. Without a name of its own this branch is number 0.
    pub fn otherwise(self) -> KStream<K, V> {
        self.add(None)
    }

    fn add(&self, predicate: Option<Predicate<K, V>>) -> KStream<K, V> {
        let (splitter, source) = (self.splitter.clone(), self.source.clone());
        super::stream_of(&self.plan, move |draft, branch| {
            let split = splitter.planned.get(PREFIX)?;
            let number = match predicate {
                Some(predicate) => {
                    splitter.predicates.borrow_mut().push(predicate);
                    splitter.predicates.borrow().len()
                }
                None => {
                    splitter.closed.set(true);
                    0
                }
            };
            let suffix = branch.name.take(&split.name)?.unwrap_or_else(|| number.to_string());
            let name = crate::plan::valid(format!("{}{suffix}", split.name))?;
            draft.names.draw(&name);
            branch.inherit(&source.serdes.borrow());
            let node = draft.processor(&name, Effect::None, step(|cx, record: Record<K, V>| cx.forward(record)));
            draft.attach(split.node, node);
            Ok(StreamPlan {
                node,
                name,
                key_changed: split.key_changed,
            })
        })
    }
}

fn plan_splitter<K: Nullable, V: Nullable>(
    draft: &mut Draft,
    parent: &StreamNode<K, V>,
    splitter: &Rc<Splitter<K, V>>,
) -> Result<StreamPlan> {
    let parent = parent.planned.get(PREFIX)?;
    let name = draft.names.or_draw(splitter.name.take(PREFIX)?, PREFIX)?;
    let splitter = splitter.clone();
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let predicates: Arc<[Predicate<K, V>]> = splitter.predicates.take().into();
        let closed = splitter.closed.get();
        let factory = Arc::new(move || -> Box<dyn Node> {
            Box::new(SplitNode {
                predicates: predicates.clone(),
                closed,
            })
        });
        lowering.processor(site, factory, &[])
    });
    draft.attach(parent.node, node);
    Ok(StreamPlan {
        node,
        name,
        key_changed: parent.key_changed,
    })
}

/// Children stand in the order of the branches, the one for all that is left behind them.
struct SplitNode<K, V> {
    predicates: Arc<[Predicate<K, V>]>,
    closed: bool,
}

impl<K: Nullable, V: Nullable> Node for SplitNode<K, V> {
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let record = input.take::<K, V>();
        for (at, predicate) in self.predicates.iter().enumerate() {
            if predicate(&record.key, &record.value).map_err(Error::User)? {
                return cx.forward_to_nth(at, record);
            }
        }
        if self.closed {
            return cx.forward_to_nth(self.predicates.len(), record);
        }
        Ok(())
    }
}
