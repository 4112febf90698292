//! The codecs seen from outside: vectors, faults, routing, constraints, signatures and hostile bytes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it skips")]

mod chunks;
mod documents;
mod dynamic;
mod events;
mod faults;
mod hostile;
mod malformed;
mod model;
mod protocols;
mod resources;
mod routing;
mod sample;
mod signatures;
mod validation;
mod vectors;

/// How many cases a property runs: `usual`, and a hundred times as many where `LAMBENT_SOAK` asks for a long run.
pub(crate) fn cases(usual: u32) -> proptest::test_runner::Config {
    let factor = std::env::var("LAMBENT_SOAK").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    proptest::test_runner::Config {
        cases: usual.saturating_mul(factor),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}
