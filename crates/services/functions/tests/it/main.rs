//! The room through its operations and its site, over rows in memory, a real data folder and paper walls.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in the shared world too")]

mod access;
mod aliases;
mod bytecode;
mod code;
mod control;
mod coverage;
mod dead_letters;
mod destinations;
mod events;
mod from_s3;
mod images;
mod invoke;
mod layers;
mod management;
mod mappings;
mod overview;
mod policies;
mod provisioned;
mod queue;
mod readers;
mod refusals;
mod settings;
mod signing;
mod snapstart;
mod streams;
mod urls;
mod versions;
mod world;
