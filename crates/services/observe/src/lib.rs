//! What the platform saw: logs, metrics, and what was used.
//!
//! What: takes function output ([`base::LogSink`]) and usage ([`base::Meter`]) off the invocation's path, keeps them and the
//! metrics they give, and answers the operations of CloudWatch and CloudWatch Logs that [`register`] lists. Why: a read right after an invocation must find its
//! lines, and no invocation may ever wait for a log. Never: polls, blocks a writer, or loses a line without saying so.

mod access;
mod aws;
mod engine;
mod faults;
mod grades;
mod ingest;
mod metrics;
mod reader;
mod retention;
pub mod rules;
mod site;
mod state;
mod subscribe;
pub mod types;
mod usage;

pub use aws::register;
pub use engine::{Observe, Options, Service};
pub use grades::GRADES;
pub use site::Usage;
