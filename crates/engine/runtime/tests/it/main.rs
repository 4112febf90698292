//! The bootstraps and real runtime clients against a session, as plain child processes on this host.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test panics to fail, and a measurement prints")]

mod bytecode;
mod environment;
mod node;
mod official;
mod python;
mod speed;
mod streams;
