//! The bytes of objects: how they come in, lie on the disk, go out and are given back.
//!
//! Small ones lie in a row, larger ones in a blob of the store, both encrypted (`seal`). The same bytes in two objects lie in one
//! blob: a keyed fingerprint of them finds it. A blob goes when no content uses it any more (`sweep`).

mod intake;
mod outflow;
mod seal;
mod sweep;

pub(crate) use intake::{Received, Wanted};
pub(crate) use outflow::{Outgoing, Readers, Span, parts_of};
pub(crate) use seal::{CustomerSecret, Seal};
pub(crate) use sweep::{give_back, run as sweep};
