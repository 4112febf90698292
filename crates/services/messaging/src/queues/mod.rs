//! Amazon SQS: standard and FIFO queues.
//!
//! A queue's messages are rows in the order of their numbers; what is handed out, delayed or moved has a second, small row with
//! its state. In memory is an index of what may be received next: the nearest messages, and all those with a state. Every change
//! of a message is one transaction, durable before it is answered.

mod access;
mod aws;
mod engine;
mod faults;
mod grades;
mod index;
mod moves;
mod queue;
mod receive;
mod redrive;
mod rules;
mod seen;
mod send;
mod settle;
mod state;
mod timers;
mod types;

pub use aws::register;
pub use engine::{Options, Queues};
pub use grades::GRADES;
pub use timers::Service;
