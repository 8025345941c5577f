//! Operators as nodes of the executable graph: most are one closure over typed records.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{Error, Record};

/// Makes a node for each task.
pub(crate) type Factory = Arc<dyn Fn() -> Box<dyn Node> + Send + Sync>;

/// A node that is one closure.
struct Step<K, V, F> {
    run: Arc<F>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, F> Node for Step<K, V, F>
where
    K: Send + 'static,
    V: Send + 'static,
    F: Fn(&mut NodeContext<'_>, Record<K, V>) -> Result<(), Error> + Send + Sync,
{
    #[inline]
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        (self.run)(cx, input.take::<K, V>())
    }
}

/// The nodes of an operator that is this closure.
pub(crate) fn step<K, V, F>(run: F) -> Factory
where
    K: Send + 'static,
    V: Send + 'static,
    F: Fn(&mut NodeContext<'_>, Record<K, V>) -> Result<(), Error> + Send + Sync + 'static,
{
    let run = Arc::new(run);
    Arc::new(move || {
        Box::new(Step {
            run: run.clone(),
            types: PhantomData,
        })
    })
}
