//! The room through its operations and ports, over the store in memory.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod enforce;
mod evaluation;
mod grades;
mod keys;
mod managed;
mod paging;
mod policies;
mod rights;
mod roles;
mod simulate;
mod sts;
mod users;
mod world;
