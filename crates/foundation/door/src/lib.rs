//! The one door: every call, from a client or from another room, passes here.
//!
//! What: authorises, validates, traces, meters and routes a [`Call`] to the room that handles its operation. Why: what
//! must hold for every call is said once. Never: no service rule, no socket, no protocol of its own.

#![deny(missing_docs)]

mod body;
mod call;
mod grade;
mod ports;
mod router;
mod site;

pub use body::Body;
pub use call::{Answer, Call, Context, Input, Reply, Via};
pub use grade::{Grade, Graded};
pub use ports::{Credential, Decision, Dispatch, Keys, Policies, ResourcePolicies};
pub use router::{Handle, Router, RouterBuilder};
pub use site::{Site, SiteRequest, SiteResponse};
