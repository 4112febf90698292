//! Now: takes a function version and one event, finds or makes an execution environment, and answers what came of it.
//!
//! What: admission, concurrency, placement, warm reuse, deadlines, keep-alive, measuring, and the START, END and REPORT
//! lines. Why: one room decides what runs where and when, so that limits are exact and every phase is measured. Never:
//! knows no AWS error code and no HTTP, touches no disk, never looks into a payload.
//!
//! The way of one invocation reads in `run.rs`: `admit` → `place` (warm, or launch and INIT, in `place.rs`) → `deliver` →
//! `settle`.

#![deny(missing_docs)]

mod ahead;
mod compile;
mod crowd;
mod debug;
mod due;
mod engine;
mod environment;
mod freeze;
mod host;
mod keep;
mod lines;
mod log;
mod options;
mod outcome;
mod permits;
mod place;
mod pool;
mod provision;
mod report;
mod run;
mod scaling;
mod snapstart;
mod spec;
mod stream;
mod tally;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
mod web;

pub use compile::Compiled;
pub use engine::{Handle, Invoker, Invoking, Live, Overview, Service, VersionInUse};
pub use options::Options;
pub use outcome::{Done, FailureKind, Finished, Refusal, ThrottleReason};
pub use provision::{INIT_FAILURE, Provisioned, init_limit};
pub use runtime::{Piece, web as program};
pub use sandbox::{Ahead, Image, Isolation, Mount};
pub use snapstart::{InitFailure, Snapshotted};
pub use stream::Flowing;
pub use tally::{Counted, Spread};
pub use target::{Bytecode, Credentials, Granted, Invocation, Target, TargetKey, Web};
pub use web::{Answered, WebBody, WebBroken, WebCall, WebWire};
