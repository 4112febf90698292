//! Lambda: functions, their code and settings, their invocations and URLs.
//!
//! What: the operations of AWS Lambda over the store and the invoker; asynchronous invocations that survive a crash;
//! function URLs. Why: one room knows what a function is, so that the invoker need not know AWS and the gateway need not
//! know functions. Never: opens no file or socket, starts no process, calls no other service but through the door.

mod access;
mod aws;
mod bytecode;
mod code;
mod debug;
mod destination;
mod engine;
mod events;
mod family;
mod faults;
mod find;
mod flow;
mod from_s3;
mod grades;
mod layer;
mod lineage;
mod name;
mod overview;
mod provisioning;
mod queue;
mod route;
mod rules;
mod sdk;
mod signing;
mod snapstart;
mod source;
mod state;
mod target;
mod ticket;
mod types;
mod url;
mod walls;
mod web;

pub use aws::register;
pub use engine::{Functions, Live, Options, Service};
pub use grades::GRADES;
pub use name::Address;
pub use overview::Top;
pub use types::{
    Alias, Code, Cors, EventInvoke, Function, Image, ImageConfig, LayerUse, Provisioned, Published, RuntimeManagement,
    Settings, Share, Snap, Statement, Url, UrlAuth, Version,
};

pub(crate) use engine::Request;
