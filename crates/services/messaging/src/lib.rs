//! Messages between programs: Amazon SQS in [`queues`].
//!
//! What: queues, their messages, who may send and receive. Why: one room knows what waits to be received, so that a consumer hears of a
//! message the moment there is one and an acknowledged message is never lost. Never: opens no socket, calls another service but
//! through the door, scans what has been deleted, looks whether there is work.

pub mod queues;
