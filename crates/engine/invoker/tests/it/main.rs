//! The invoker over walls of paper: everything but the sandbox is real.

mod concurrency;
mod failures;
mod lifecycle;
mod logs;
mod overhead;
mod world;
