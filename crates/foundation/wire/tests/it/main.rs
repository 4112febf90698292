//! The codecs seen from outside: vectors, faults, routing, constraints, signatures and hostile bytes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it skips")]

mod dynamic;
mod faults;
mod hostile;
mod model;
mod protocols;
mod routing;
mod sample;
mod signatures;
mod validation;
mod vectors;
