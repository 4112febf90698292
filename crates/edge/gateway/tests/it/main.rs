//! The gateway over real loopback sockets, with a fake platform behind it.

#![allow(clippy::unwrap_used, reason = "a test may stop where its ground gives way")]

mod auth;
mod buckets;
mod framing;
mod http2;
mod limits;
mod origins;
mod packed;
mod pages;
mod protocols;
mod raw;
mod sandboxes;
mod tls;
mod world;
