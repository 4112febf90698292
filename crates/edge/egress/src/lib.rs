//! The server's end of everything that leaves a sandbox: TCP connections and name queries.
//!
//! What: for each sandbox, takes the connections and queries that arrive at its [`base::Uplink`], decides by rule whether
//! the address may be reached, dials from the host, and copies bytes both ways. Why: a sandbox has no link of its own, so
//! what it reaches is decided in one place, alike for root and rootless, without touching the host's firewall.
//! Never: no redirect rules and no namespaces (`sandbox`), no files (`lambent` hands in their text), no bytes interpreted
//! but the head and the question of name queries. A host's loopback, its own addresses and metadata services are out of
//! reach by every rule.

mod carrier;
mod copy;
mod dns;
mod names;
mod network;
mod rules;

pub use carrier::{Carrier, Limits, Options};
pub use names::HostNames;
pub use network::{HostNetwork, Network};
pub use rules::{Denial, allowed};
