//! What is spoken inside the walls: the Runtime API, the bootstraps and the catalogue of runtimes.
//!
//! What: one conversation per execution environment between the platform and a runtime client (ours or AWS's official
//! ones, unmodified), the bootstraps we ship, and which interpreter serves which runtime identifier. Why: a Lambda zip
//! must run here as it runs there. Never: no syscalls, no files, no processes; it is handed listeners and bytes.

#![deny(missing_docs)]

mod abi;
mod bootstrap;
mod catalogue;
mod environment;
mod session;
pub mod web;

pub use abi::{Foreign, foreign_module};
pub use bootstrap::{BOOTSTRAP_FOLDER, bootstraps};
pub use catalogue::{
    ALLOW_OLDER_OPTION, Ahead, Bootstraps, Choice, Family, Interpreter, InvalidEntrypoint, Launch, Missing, Policy,
    Runtime, choose, compiler, launch,
};
pub use environment::{FunctionEnv, environment, reserved, reserved_refusal};
pub use session::{
    BrokenOff, Credentials, Event, Gone, InitOutcome, Limits, Outcome, Piece, Session, Sink, Snapshot, SnapshotWanted,
};
