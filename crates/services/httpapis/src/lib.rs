//! API Gateway's HTTP and REST APIs: who answers which path of a host, and how a request becomes a call.
//!
//! What: the operations of Amazon API Gateway v2 that [`register`] lists, for APIs of the protocol HTTP, and [`HttpApis`] as a
//! [`door::Site`] that answers their hosts; [`rest`] has API Gateway v1 and answers both kinds. Why: one room knows routes, stages
//! and deployments, so that a page, a phone or curl reaches a function by a plain URL. Never: opens no socket, runs no code itself, calls another service but through the door.

mod access;
mod aws;
mod engine;
mod faults;
mod grades;
pub mod limits;
pub mod outbound;
mod remembered;
pub mod rest;
mod rules;
mod serve;
mod shown;
mod state;
mod types;

pub use aws::register;
pub use engine::{HttpApis, Options};
pub use grades::GRADES;
