//! The walls: where a function's processes live, and what they cannot reach.
//!
//! What: builds execution environments out of namespaces, cgroups, seccomp, Landlock and overlay mounts, by way of
//! one privileged single-threaded helper process; measures and ends them. Why: isolation without Docker is what the
//! platform is for. Never: knows no AWS, no HTTP and no event; speaks to what runs inside only through descriptors.
//! This is the only room that may hold `unsafe` or name `libc`/`rustix`.

#![deny(missing_docs)]

mod cgroup;
mod channel;
mod dial;
mod helper;
mod inside;
mod interpreters;
mod linux;
mod message;
mod microvm;
mod survey;
mod sys;
mod walls;
mod weak;

pub use dial::Dial;
pub use helper::main_if_helper;
pub use interpreters::{Family, Found, find_interpreters, probe_interpreter};
pub use linux::{Linux, Options};
pub use microvm::survey_microvm;
pub use sys::{end_on_broken_pipe, free_bytes, original_destination, unmap_own_file};
pub use walls::{
    Ahead, BYTECODE, Control, Environment, Error, Exit, ExitCause, Image, Isolation, Limits, Mode, Mount, SNAPSHOT,
    Spec, Survey, Usage, Wall, WallState, Walls,
};
