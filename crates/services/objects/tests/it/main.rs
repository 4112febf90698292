//! The room through its operations, over the store in memory and a clock that stands still.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod access;
mod acl;
mod attributes;
mod configuration;
mod grades;
mod cors;
mod lifecycle;
mod locks;
mod notifications;
mod grades;
mod members;
mod objects;
mod policy;
mod tagging;
mod uploads;
mod versions;
mod world;
