//! The room through its operations and ports, over the store in memory.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod accounts;
mod enforce;
mod evaluation;
mod grades;
mod groups;
mod instance_profiles;
mod keys;
mod managed;
mod oidc;
mod paging;
mod policies;
mod renames;
mod rights;
mod roles;
mod service_roles;
mod simulate;
mod sts;
mod tagging;
mod users;
mod world;
