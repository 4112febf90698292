//! The one door: every call, from a client or from another room, passes here.
//!
//! What: authorises, validates, traces, meters and routes a [`Call`] to the room that handles its operation. Why: what
//! must hold for every call is said once. Never: no service rule, no socket, no protocol of its own.

#![deny(missing_docs)]

mod about;
mod audit;
mod body;
mod call;
mod counters;
mod dropped;
mod facts;
mod gate;
mod grade;
mod origin;
pub mod outbox;
pub mod pattern;
mod ports;
pub mod proxy;
mod router;
mod site;
mod throttle;

pub use about::{About, AuthContext, ConditionKeys, Need, Subject};
pub use audit::{AUDIT_GROUP, Audit};
pub use body::{Body, Pieces};
pub use call::{Answer, Call, Context, Input, Reply, Via};
pub use dropped::Dropped;
pub use gate::{Gate, Mode, Visit};
pub use grade::{Grade, Graded};
pub use origin::Origin;
pub use ports::{Ask, Buckets, Credential, CrossOrigin, Decision, Denial, Dispatch, Keys, Policies, Temporary};
pub use router::{Handle, Router, RouterBuilder};
pub use site::{Duplex, Site, SiteRequest, SiteResponse, Takeover};
pub use throttle::Throttle;
