//! The room through its operations, over the store in memory and a clock that stands still.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]
#![allow(clippy::needless_update, reason = "one macro makes inputs with few members and with many")]
#![allow(clippy::type_complexity, reason = "what a page shows is a tuple, read where it is made")]

mod access;
mod acl;
mod attributes;
mod configuration;
mod cors;
mod grades;
mod lifecycle;
mod locks;
mod members;
mod notifications;
mod objects;
mod policy;
mod tagging;
mod uploads;
mod versions;
mod world;
