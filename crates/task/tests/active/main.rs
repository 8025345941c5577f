//! What a task promises to whoever drives it.

mod commit;
mod life;
mod order;
mod support;
