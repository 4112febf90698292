//! The carrier as a sandbox sees it: over a network of paper everywhere, over namespaces where this runs as root.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop where its ground gives way, and says so")]

mod names;
mod spaces;
mod tcp;
mod world;
