//! A steady stream of lines is stored a few times a second, not as fast as the disk can sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base::BoxFuture;
use bytes::Bytes;
use store::{Error, Key, Kv, Range, Row, Snapshot, Space, Transaction};

use crate::world::World;

/// A store whose writes take as long as a disk's, and are counted.
pub(crate) struct Slow {
    rows: Arc<dyn Kv>,
    writes: AtomicUsize,
    /// Whether the disk is full.
    pub(crate) full: AtomicBool,
}

impl Slow {
    pub(crate) fn new() -> Self {
        Self { rows: store::memory(), writes: AtomicUsize::new(0), full: AtomicBool::new(false) }
    }
}

impl Kv for Slow {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.rows.get(space, key)
    }
    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        self.rows.range(space, range, limit, reverse)
    }
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        self.rows.snapshot()
    }
    fn transact(&self, keys: Vec<Key>, f: Transaction) -> BoxFuture<'_, Result<(), Error>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.full.load(Ordering::Relaxed) {
                return Err(Error::Full);
            }
            self.rows.transact(keys, f).await
        })
    }
    fn follow(&self, space: Space, prefix: Bytes, told: store::Told) {
        self.rows.follow(space, prefix, told);
    }
    fn failed(&self) -> BoxFuture<'static, Error> {
        self.rows.failed()
    }
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.rows.close()
    }
}

#[tokio::test(start_paused = true)]
async fn the_writer_gathers_while_lines_keep_coming() {
    let slow = Arc::new(Slow::new());
    let world = World::over(slow.clone());
    for n in 0..2000 {
        world.write("s", &[(n, "line")]);
        // Tokio's paused clock: this takes no time.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.observe.drain().await;
    let writes = slow.writes.load(Ordering::Relaxed);
    assert!(writes <= 30, "{writes} writes in two seconds");
}
