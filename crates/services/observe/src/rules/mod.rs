//! Pure decisions: no store, no clock.

pub mod chunk;
pub mod handed;
pub(crate) mod math;
pub(crate) mod metric;
pub mod pattern;
pub mod put;
pub mod token;
