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
mod news;
mod ports;
mod principal;
mod random;
mod turn;
mod virtual_clocks;

pub use arn::{Arn, ArnError};
pub use bell::{Bell, LocalBell};
pub use clock::{Clocks, SystemClocks, Timestamp};
pub use fault::{Blame, Fault};
pub use ids::{Account, EnvironmentId, Region, RequestId, TraceHeader};
pub use news::News;
pub use ports::{
    Concurrency, Egress, EventNews, Invoked, KeptReady, LogLine, LogSink, Meter, Outward, Phases, ProvisionedUse,
    Receipt, SandboxNet, StartKind, Uplink,
};
pub use principal::Principal;
pub use random::{Rng, SystemRng};
pub use turn::Turn;
pub use virtual_clocks::{Course, NotACourse, Stuck, VirtualClocks};

/// A boxed, sendable future: what the object-safe ports return.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
