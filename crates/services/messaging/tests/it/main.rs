//! SQS through its operations.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod access;
mod batches;
mod fifo;
mod grades;
mod lists;
mod messages;
mod moves;
mod queues;
mod receiving;
mod redrive;
mod restart;
mod world;
