//! What user closures may return: a plain value, or a `Result` of one.
//!
//! Every operator takes both kinds of closure through one method. The second type parameter of these traits only tells
//! the compiler which kind it met; it is inferred and never written.

use kstreams_topology::{BoxError, Data, Nullable};

/// The closure returns the value itself.
#[derive(Debug)]
pub struct Plain(());

/// The closure returns a `Result`.
#[derive(Debug)]
pub struct Fallible<M = Plain>(M);

/// The closure returns something to iterate over that is not a collection.
#[derive(Debug)]
pub struct Lazy(());

/// `T`, or a `Result` of `T`. An error goes to the processing exception handler, with the node's name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of this closure",
    label = "the closure returns `{Self}`",
    note = "it returns `{T}`, or a `Result` of it",
    note = "types that go into streams and tables are `Data`: `impl Data for YourType {{}}`"
)]
pub trait Outcome<T, M> {
    /// The value, or the user's error.
    fn outcome(self) -> Result<T, BoxError>;
}

impl<T: Nullable> Outcome<T, Plain> for T {
    fn outcome(self) -> Result<T, BoxError> {
        Ok(self)
    }
}

impl<T, E: Into<BoxError>> Outcome<T, Fallible> for Result<T, E> {
    fn outcome(self) -> Result<T, BoxError> {
        self.map_err(Into::into)
    }
}

/// A key and a value, or a `Result` of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of this closure",
    label = "the closure returns `{Self}`",
    note = "it returns a key and a value, `({K}, {V})`, or a `Result` of them",
    note = "types that go into streams and tables are `Data`: `impl Data for YourType {{}}`"
)]
pub trait PairOutcome<K, V, M> {
    /// The pair, or the user's error.
    fn outcome(self) -> Result<(K, V), BoxError>;
}

impl<K: Nullable, V: Nullable> PairOutcome<K, V, Plain> for (K, V) {
    fn outcome(self) -> Result<(K, V), BoxError> {
        Ok(self)
    }
}

impl<K, V, E: Into<BoxError>> PairOutcome<K, V, Fallible> for Result<(K, V), E> {
    fn outcome(self) -> Result<(K, V), BoxError> {
        self.map_err(Into::into)
    }
}

/// The key of a row that a closure chooses: the key, an `Option` of it, or a `Result` of one of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of this closure",
    label = "the closure returns `{Self}`",
    note = "it returns a key `{K}`, an `Option` of one, or a `Result` of these"
)]
pub trait Chosen<K, M> {
    /// The key, if there is one, or the user's error.
    fn chosen(self) -> Result<Option<K>, BoxError>;
}

impl<K: Data, N: Nullable<Inner = K>> Chosen<K, Plain> for N {
    fn chosen(self) -> Result<Option<K>, BoxError> {
        Ok(self.into_option())
    }
}

impl<K, M, C: Chosen<K, M>, E: Into<BoxError>> Chosen<K, Fallible<M>> for Result<C, E> {
    fn chosen(self) -> Result<Option<K>, BoxError> {
        self.map_err(Into::into)?.chosen()
    }
}

/// Any number of items: a collection, an option, a lazy iterator, or a `Result` of one of these.
///
/// `IntoIterator` alone will not do, because a `Result` is an iterator too: an error would pass for an empty list.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of this closure",
    label = "the closure returns `{Self}`",
    note = "it returns any number of items: a `Vec`, an array, an `Option`, an iterator, or a `Result` of one of these"
)]
pub trait Items<T, M> {
    /// The items.
    type Iter: Iterator<Item = T>;

    /// The items, or the user's error.
    fn items(self) -> Result<Self::Iter, BoxError>;
}

impl<T, I: Iterator<Item = T>> Items<T, Lazy> for I {
    type Iter = I;

    fn items(self) -> Result<I, BoxError> {
        Ok(self)
    }
}

macro_rules! collection {
    ($($t:ty, [$($p:tt)*]);* $(;)?) => { $(
        impl<T $($p)*> Items<T, Plain> for $t {
            type Iter = <$t as IntoIterator>::IntoIter;

            fn items(self) -> Result<Self::Iter, BoxError> {
                Ok(self.into_iter())
            }
        }
    )* };
}

collection!(
    Vec<T>, [];
    Option<T>, [];
    [T; N], [, const N: usize];
    std::collections::VecDeque<T>, [];
    std::collections::BTreeSet<T>, [];
);

impl<T, M, I: Items<T, M>, E: Into<BoxError>> Items<T, Fallible<M>> for Result<I, E> {
    type Iter = I::Iter;

    fn items(self) -> Result<Self::Iter, BoxError> {
        self.map_err(Into::into)?.items()
    }
}
