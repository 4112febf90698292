//! The words every room shares, and the small ports through which rooms meet.
//!
//! What: ids, ARNs, faults, the three clocks, random numbers, limits, and the ports a lower room calls
//! without knowing who answers ([`LogSink`], [`Meter`], [`SandboxNet`], [`Outward`], [`Bell`]).
//! Why: a room below the services must be able to report upward without depending on them.
//! Never: no I/O, no AWS protocol, no service rule. This is the only room that reads clocks or random numbers.

#![deny(missing_docs)]

mod arn;
mod bell;
mod clock;
mod fault;
mod ids;
pub mod limits;
mod ports;
mod principal;
mod random;

pub use arn::{Arn, ArnError};
pub use bell::{Bell, LocalBell};
pub use clock::{Clocks, SystemClocks, Timestamp, VirtualClocks};
pub use fault::{Blame, Fault};
pub use ids::{Account, EnvironmentId, Region, RequestId, TraceHeader};
pub use ports::{
    Concurrency, Egress, EventNews, Invoked, LogLine, LogSink, Meter, Outward, Phases, Receipt, SandboxNet, StartKind,
    Uplink,
};
pub use principal::Principal;
pub use random::{Rng, SystemRng};

/// A boxed, sendable future: what the object-safe ports return.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
