//! The room through its operations and its hosts, over the store in memory, with a function that tells what it was asked.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]
#![allow(clippy::needless_update, reason = "some inputs have one member only, and `input!` is for all")]

mod access;
mod apis;
mod authorizers;
mod cors;
mod deployments;
mod events;
mod grades;
mod integrations;
mod limits;
mod logs;
mod mapping;
mod openapi;
mod proxy;
mod rest;
mod routes;
mod routing;
mod stages;
mod tags;
mod tokens;
mod world;
