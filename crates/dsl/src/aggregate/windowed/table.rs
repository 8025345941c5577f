//! The stores of windowed tables: what time windows and sessions have in common, and where they differ.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_store::{Forward, Kind, SessionLayout, StoreSpec, TimeOrder, WindowLayout};
use kstreams_topology::graph::NodeContext;
use kstreams_topology::serde::{SessionWindowedSerde, TimeWindowedSerde};
use kstreams_topology::stores::{
    SessionFront, SessionStore, StoreBuilder, StoreKind, TimestampedWindowStore, ValueAndTimestamp, WindowFront,
};
use kstreams_topology::{Data, Error, Windowed};

use super::closing::{Closed, Closing, Sweep};
use crate::aggregate::{Naming, Stored};
use crate::error::{Error as BuildError, Result as BuildResult};
use crate::option::{Materialized, Serdes, SharedSerde, resolve};
use crate::plan::{Draft, Lowering, NodeId, Site};
use crate::table::{CachedKind, Forwarder, GetRow, RowSource, StoredRows, TableNode, TablePlan};
use crate::window::{EmitStrategy, FixedWindows, SessionWindows, SlidingWindows};

/// A kind of store that keeps aggregates of windows.
pub(crate) trait WindowedKind<K: Data, A: Data>: CachedKind<Key = Windowed<K>, Value = A> {
    /// The aggregate of a window.
    fn row(view: &mut Self::View<'_>, key: &Windowed<K>) -> Result<Option<ValueAndTimestamp<A>>, Error>;

    /// Appends the windows that lie between two times.
    fn closed(view: &mut Self::View<'_>, closed: Closed, into: &mut Vec<ClosedRow<K, A>>) -> Result<(), Error>;
}

/// A window that is closed, with its aggregate.
pub(crate) type ClosedRow<K, A> = (Windowed<K>, ValueAndTimestamp<A>);

impl<K: Data, A: Data> WindowedKind<K, A> for TimestampedWindowStore<K, A> {
    fn row(view: &mut Self::View<'_>, key: &Windowed<K>) -> Result<Option<ValueAndTimestamp<A>>, Error> {
        view.fetch(&key.key, key.window.start)
    }

    fn closed(view: &mut Self::View<'_>, closed: Closed, into: &mut Vec<ClosedRow<K, A>>) -> Result<(), Error> {
        let rows = if closed.java_quirks {
            view.closed_visible(closed.from, closed.to)?
        } else {
            view.closed(closed.from, closed.to)?
        };
        for row in rows {
            into.push(row?);
        }
        view.forget(closed.to.saturating_add(1));
        Ok(())
    }
}

impl<K: Data, A: Data> WindowedKind<K, A> for SessionStore<K, A> {
    fn row(view: &mut Self::View<'_>, key: &Windowed<K>) -> Result<Option<ValueAndTimestamp<A>>, Error> {
        let Windowed { key, window } = key;
        let value = view.fetch_session(key, window.start, window.end)?;
        Ok(value.map(|value| ValueAndTimestamp::new(value, window.end)))
    }

    fn closed(view: &mut Self::View<'_>, closed: Closed, into: &mut Vec<ClosedRow<K, A>>) -> Result<(), Error> {
        let rows = if closed.java_quirks {
            view.find_ended_visible(closed.from, closed.to)?
        } else {
            view.find_ended(closed.from, closed.to)?
        };
        for row in rows {
            let (key, value) = row?;
            let timestamp = key.window.end;
            into.push((key, ValueAndTimestamp::new(value, timestamp)));
        }
        view.forget(closed.to.saturating_add(1));
        Ok(())
    }
}

impl<K: Data, A: Data, S: WindowedKind<K, A>> GetRow<Windowed<K>, A> for Forwarder<S> {
    fn get(&mut self, cx: &mut NodeContext<'_>, key: &Windowed<K>) -> Result<Option<ValueAndTimestamp<A>>, Error> {
        S::row(&mut self.view(cx), key)
    }

    fn get_as_of(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &Windowed<K>,
        _: i64,
    ) -> Result<Option<ValueAndTimestamp<A>>, Error> {
        self.get(cx, key)
    }
}

/// What a kind of windows means for the store.
pub(crate) trait WindowSpec: Copy + Send + Sync + 'static {
    /// The kind of store.
    type Store<K: Data, A: Data>: WindowedKind<K, A>;

    /// What is wrong with the windows.
    fn fault(&self) -> Option<String>;

    /// How long a window counts after it began, or a session after it ended.
    fn counted_ms(&self) -> i64;

    /// When windows close; `None` if they never do.
    fn sweep(&self) -> Option<Sweep>;

    /// Whether the store may be cached if aggregates are only read from it once.
    fn cached_for(&self, emit: EmitStrategy) -> bool {
        emit == EmitStrategy::OnWindowUpdate
    }

    fn layout(&self, retention_ms: i64, order: TimeOrder) -> Kind;

    fn front<K: Data, A: Data>(
        &self,
        topic: &str,
        key: SharedSerde<K>,
        value: SharedSerde<A>,
    ) -> <Self::Store<K, A> as StoreKind>::Front;

    /// The serde of the table's keys.
    fn serde<K: Data>(&self, key: SharedSerde<K>) -> SharedSerde<Windowed<K>>;
}

macro_rules! time_windows {
    ($size:ident) => {
        type Store<K: Data, A: Data> = TimestampedWindowStore<K, A>;

        fn layout(&self, retention_ms: i64, order: TimeOrder) -> Kind {
            Kind::Window(WindowLayout {
                timestamped: true,
                order,
                ..WindowLayout::new(retention_ms, self.$size())
            })
        }

        fn front<K: Data, A: Data>(
            &self,
            topic: &str,
            key: SharedSerde<K>,
            value: SharedSerde<A>,
        ) -> WindowFront<K, A> {
            WindowFront::new(topic, key, value, self.$size())
        }

        fn serde<K: Data>(&self, key: SharedSerde<K>) -> SharedSerde<Windowed<K>> {
            Arc::new(TimeWindowedSerde::shared(key, self.$size()))
        }
    };
}

impl WindowSpec for FixedWindows {
    time_windows!(size_ms);

    fn fault(&self) -> Option<String> {
        self.fault()
    }

    fn counted_ms(&self) -> i64 {
        self.size_ms().saturating_add(self.grace_ms())
    }

    fn sweep(&self) -> Option<Sweep> {
        match self {
            Self::Time(windows) => Some(Sweep {
                late_ms: windows.grace_ms,
                span_ms: windows.size_ms,
                grid_ms: windows.advance_ms,
            }),
            Self::Unlimited(_) => None,
        }
    }

    fn cached_for(&self, _: EmitStrategy) -> bool {
        true
    }
}

impl WindowSpec for SlidingWindows {
    time_windows!(size_ms);

    fn fault(&self) -> Option<String> {
        None
    }

    fn counted_ms(&self) -> i64 {
        self.difference_ms.saturating_mul(2).saturating_add(self.grace_ms)
    }

    fn sweep(&self) -> Option<Sweep> {
        Some(Sweep {
            late_ms: self.grace_ms,
            span_ms: self.difference_ms.saturating_add(1),
            grid_ms: 1,
        })
    }
}

impl WindowSpec for SessionWindows {
    type Store<K: Data, A: Data> = SessionStore<K, A>;

    fn fault(&self) -> Option<String> {
        self.fault()
    }

    fn counted_ms(&self) -> i64 {
        self.gap_ms.saturating_add(self.grace_ms)
    }

    fn sweep(&self) -> Option<Sweep> {
        Some(Sweep {
            late_ms: self.counted_ms(),
            span_ms: 1,
            grid_ms: 1,
        })
    }

    fn layout(&self, retention_ms: i64, order: TimeOrder) -> Kind {
        Kind::Session(SessionLayout {
            order,
            ..SessionLayout::new(retention_ms)
        })
    }

    fn front<K: Data, A: Data>(&self, topic: &str, key: SharedSerde<K>, value: SharedSerde<A>) -> SessionFront<K, A> {
        SessionFront::new(topic, key, value)
    }

    fn serde<K: Data>(&self, key: SharedSerde<K>) -> SharedSerde<Windowed<K>> {
        Arc::new(SessionWindowedSerde::shared(key))
    }
}

/// A windowed aggregation's windows, and when it tells what it found.
#[derive(Clone, Copy)]
pub(crate) struct Windowing<W> {
    pub(crate) windows: W,
    pub(crate) emit: EmitStrategy,
}

/// The store of a windowed table, with all options known.
pub(crate) struct WindowTable<K: Data, A: Data, W> {
    pub(crate) name: String,
    windowing: Windowing<W>,
    options: Materialized<Windowed<K>, A>,
    key: SharedSerde<K>,
    retention_ms: i64,
    sends_old: Rc<Cell<bool>>,
    rows: Rc<StoredRows<Windowed<K>, A>>,
}

impl<K: Data, A: Data, W: WindowSpec> WindowTable<K, A, W> {
    /// Draws the store's name and settles its options. `above` has the serdes of the grouped stream.
    pub(crate) fn draft(
        draft: &mut Draft,
        table: &TableNode<Windowed<K>, A>,
        (windowing, naming): (Windowing<W>, Naming),
        above: Serdes<K, A>,
    ) -> BuildResult<Self> {
        let (given, name) = naming.store(draft, table)?;
        let needed_ms = windowing.windows.counted_ms();
        let retention_ms = given.retention_ms.unwrap_or(needed_ms);
        if let Some(fault) = windowing.windows.fault() {
            return Err(BuildError::InvalidWindows { node: name, fault });
        }
        if retention_ms < needed_ms {
            return Err(BuildError::RetentionTooShort {
                store: name,
                retention_ms,
                needed_ms,
            });
        }
        let key = resolve(above.key, &name, "key")?;
        let above = Serdes {
            key: Some(windowing.windows.serde(key.clone())),
            value: above.value,
        };
        Ok(Self {
            options: table.settle(given, &above),
            name,
            windowing,
            key,
            retention_ms,
            sends_old: Rc::default(),
            rows: StoredRows::new(),
        })
    }

    /// How long after its end a window takes no more records.
    pub(crate) fn window_grace_ms(&self) -> Option<i64> {
        Some(self.windowing.windows.sweep().map_or(0, |sweep| sweep.late_ms))
    }

    /// What the table comes to, with this node as the one whose children get its changes.
    pub(crate) fn planned(&self, node: NodeId, name: String) -> TablePlan<Windowed<K>, A> {
        TablePlan {
            node,
            name,
            old_values: Rc::new(Stored(self.sends_old.clone())),
            rows: self.rows.clone(),
            versioned: false,
        }
    }

    /// Adds the store to the topology.
    pub(crate) fn lower(&self, lowering: &mut Lowering, site: &Site) -> BuildResult<Forwarder<W::Store<K, A>>> {
        let Windowing { windows, emit } = self.windowing;
        let order = match emit {
            EmitStrategy::OnWindowUpdate => TimeOrder::KeyFirst,
            EmitStrategy::OnWindowClose => TimeOrder::TimeFirst,
        };
        let spec = self.options.spec(self.name.clone(), lowering.default_engine());
        let spec = StoreSpec {
            kind: windows.layout(self.retention_ms, order),
            caching: spec.caching && windows.cached_for(emit),
            ..spec
        };
        let value = resolve(self.options.value.clone(), &site.name, "value")?;
        let key = self.key.clone();
        let builder = StoreBuilder::<W::Store<K, A>>::new(spec, move |topic| {
            windows.front::<K, A>(topic, key.clone(), value.clone())
        });
        let sends = match (emit, self.sends_old.get()) {
            (EmitStrategy::OnWindowClose, _) => Forward::Nothing,
            (EmitStrategy::OnWindowUpdate, true) => Forward::NewAndOld,
            (EmitStrategy::OnWindowUpdate, false) => Forward::New,
        };
        let store = Forwarder::new(builder.handle(), sends).with_java_quirks(lowering.java_quirks());
        lowering.store(builder.into_definition())?;
        let rows = store.clone();
        self.rows
            .set(RowSource::new(vec![self.name.clone()], move || Box::new(rows.clone())));
        Ok(store)
    }

    /// What sees to it that closed windows are emitted, if they are.
    pub(crate) fn closing(&self, lowering: &Lowering, site: &Site) -> BuildResult<Option<Closing>> {
        if self.windowing.emit == EmitStrategy::OnWindowUpdate {
            return Ok(None);
        }
        let sweep = self.windowing.windows.sweep().ok_or_else(|| BuildError::NeverClosed {
            node: site.name.clone(),
        })?;
        Ok(Some(Closing::new(sweep, self.name.clone(), lowering.java_quirks())))
    }
}
