//! The invoker over walls of paper: everything but the sandbox is real.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in the shared world too")]

mod compile;
mod concurrency;
mod failures;
mod freeze;
mod lifecycle;
mod logs;
mod overhead;
mod overview;
mod provision;
mod snapstart;
mod streams;
mod web;
mod world;
