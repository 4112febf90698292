//! Who calls, and what they may do: access keys, STS, and IAM's roles, users and policies.
//!
//! What: answers the door's [`door::Keys`] and [`door::Policies`], and the operations of STS and IAM that [`register`]
//! lists. Why: every signature, every function's credentials and every decision about rights comes from one place.
//! Never: opens a socket, checks a signature, or logs a secret.

mod about;
mod aws;
mod decide;
mod engine;
mod explain;
mod faults;
mod grades;
mod holder;
mod managed;
mod policies;
pub mod rules;
mod sessions;
mod state;
pub mod types;

pub use aws::register;
pub use engine::{Error, Identity, Options};
pub use grades::GRADES;
