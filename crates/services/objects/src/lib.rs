//! S3: buckets, their objects in all their versions, and what happens when one comes or goes.
//!
//! What: the operations of Amazon S3 that [`register`] lists, over the store's rows and blobs. Bytes stream both ways, are encrypted
//! on the disk, and are there before the answer. Why: one room knows what an object is, so that a function's code, a web page
//! and a tool's artefact all come from the same place. Never: opens no socket, holds no object whole that is larger than
//! [`limits::INLINE_BYTES`], calls no other service but through the door.

mod access;
mod aws;
mod cause;
mod content;
mod engine;
mod faults;
mod grades;
mod lifecycle;
pub mod limits;
mod notify;
mod rules;
mod settled;
mod sharing;
mod state;
mod types;
mod website;
mod write;

pub use aws::register;
pub use engine::{Objects, Options, Service};
pub use grades::GRADES;
pub use website::Websites;
