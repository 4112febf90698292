//! REST APIs: Amazon API Gateway v1.
//!
//! What: the operations that [`register`] lists, and [`RestApis`] as the [`door::Site`] of every API's host: it answers REST
//! APIs itself and hands the others to [`HttpApis`](crate::HttpApis), since both share one space of ids and hosts. Never: a
//! method answers with what a deployment froze, and not with what was changed since.

mod access;
mod aws;
mod engine;
mod faults;
mod grades;
mod limits;
mod rules;
mod serve;
mod shown;
mod state;
mod types;

pub use aws::register;
pub use engine::RestApis;
pub use grades::GRADES;
