//! Sandboxes as they are lived in: real programs behind real walls, as whoever runs the tests, and as root once more as
//! an ordinary user.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests: a panic is the report, and the time is the real one"
)]

mod common;
mod cpu;
mod death;
mod dial;
mod egress;
mod freeze;
mod hosts;
mod life;
mod limits;
mod microvm;
mod probe;
mod scratch;
mod soak;
mod spares;
