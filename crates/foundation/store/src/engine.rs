use bytes::Bytes;

use crate::disk::Level;
use crate::{Error, Range, Row, Snapshot, Space, Write};

/// What the sequencer needs of an embedded engine. It is called from one thread for writes and from any for reads.
pub(crate) trait Engine: Send + Sync + 'static {
    /// A published row.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// Published rows.
    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error>;

    /// A view of what is published now.
    fn view(&self) -> Result<Box<dyn Snapshot>, Error>;

    /// Writes a group, each key at most once: one append, one sync, then, and only then, publishes it.
    ///
    /// Any error means that the state of the disk is unknown; the sequencer never calls again.
    fn commit(&self, writes: Vec<Write>) -> Result<(), Error>;

    /// Whether there is room for `more_bytes` of new rows; asked before anything that is no deletion is taken in.
    fn level(&self, more_bytes: u64) -> Result<Level, Error>;

    /// Bytes left on the disk.
    fn free_bytes(&self) -> Result<u64, Error>;

    /// Stops cleanly, so that the next start has nothing to replay.
    fn close(&self) -> Result<(), Error>;
}
