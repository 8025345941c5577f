//! The arguments of operators that have more to say than a name and two serdes.

mod consumed;
mod materialized;
mod produced;
mod repartitioned;
mod serdes;
mod suppressed;

pub use consumed::Consumed;
pub use materialized::Materialized;
pub use produced::Produced;
pub use repartitioned::Repartitioned;
pub use suppressed::{Buffer, EmitEarly, ShutDown, Suppressed};

pub(crate) use serdes::{BothSerdes, Serdes, SharedSerde, resolve};
pub(crate) use suppressed::{Limits, Until};
