//! The room through its operations, over the store in memory and a clock that stands still.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod access;
mod events;
mod filter;
mod gather;
mod grades;
mod groups;
mod live;
mod metrics;
mod put;
mod retention;
mod sink;
mod streams;
mod subscriptions;
mod usage;
mod world;
