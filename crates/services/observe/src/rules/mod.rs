//! Pure decisions: no store, no clock.

pub mod chunk;
pub mod pattern;
pub mod put;
pub mod token;
