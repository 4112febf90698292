//! Pure decisions: no store, no clock, no random numbers of their own.

pub mod address;
pub mod condition;
pub mod context;
pub mod credential;
mod date;
pub mod document;
pub mod evaluate;
pub mod pattern;
pub mod principal;
pub mod words;
