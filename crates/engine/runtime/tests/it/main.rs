//! The bootstraps and real runtime clients against a session, as plain child processes on this host.

mod environment;
mod python;
