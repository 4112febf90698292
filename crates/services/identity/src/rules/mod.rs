//! Pure decisions: no store, no clock, no random numbers of their own.

pub mod credential;
pub mod document;
pub mod evaluate;
pub mod trust;
