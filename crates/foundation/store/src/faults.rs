//! The sequencer over an engine whose disk fails on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use base::Fault;
use bytes::Bytes;

use crate::disk::Level;
use crate::engine::Engine;
use crate::sequencer::Sequenced;
use crate::{Batch, Error, Key, Kv, Range, Row, Rows, Snapshot, Space, Write};

type Table = BTreeMap<(Space, Bytes), Bytes>;

/// A disk that can be told to fail, to fill up, to panic, or to hold every sync until it is let go.
#[derive(Clone)]
struct Disk {
    table: Arc<Mutex<Table>>,
    switches: Arc<Switches>,
}

struct Switches {
    fails: AtomicBool,
    panics: AtomicBool,
    /// The room is full, though the disk is not.
    full: AtomicBool,
    free_bytes: AtomicU64,
    syncs: AtomicUsize,
    largest_group: AtomicUsize,
    /// Told when a sync begins, and waited for before it ends.
    gate: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
}

impl Disk {
    fn new() -> Self {
        let switches = Switches {
            fails: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            full: AtomicBool::new(false),
            free_bytes: AtomicU64::new(u64::MAX),
            syncs: AtomicUsize::new(0),
            largest_group: AtomicUsize::new(0),
            gate: Mutex::new(None),
        };
        Self { table: Arc::default(), switches: Arc::new(switches) }
    }

    fn start(&self) -> Arc<dyn Kv> {
        Arc::new(Sequenced::start(self.clone()).unwrap())
    }

    /// From now on each sync says that it began, and ends when it is let go.
    fn hold(&self) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (began, begins) = mpsc::channel();
        let (let_go, waits) = mpsc::channel();
        *self.switches.gate.lock().unwrap() = Some((began, waits));
        (begins, let_go)
    }

    fn syncs(&self) -> usize {
        self.switches.syncs.load(Ordering::SeqCst)
    }
}

struct Then(Table);

impl Snapshot for Then {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.0.get(&(space, Bytes::copy_from_slice(key))).cloned())
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        use std::ops::RangeBounds;
        let bounds = (range.start, range.end);
        let found = self.0.iter().filter(|((of, key), _)| *of == space && bounds.contains(key));
        let mut rows: Vec<Row> = found.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        if reverse {
            rows.reverse();
        }
        rows.truncate(limit);
        Ok(rows)
    }
}

impl Engine for Disk {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.view()?.get(space, key)
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        self.view()?.range(space, range, limit, reverse)
    }

    fn view(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(Then(self.table.lock().unwrap().clone())))
    }

    fn commit(&self, writes: Vec<Write>) -> Result<(), Error> {
        self.switches.syncs.fetch_add(1, Ordering::SeqCst);
        self.switches.largest_group.fetch_max(writes.len(), Ordering::SeqCst);
        if let Some((began, waits)) = &*self.switches.gate.lock().unwrap() {
            began.send(()).unwrap();
            waits.recv().unwrap();
        }
        assert!(!self.switches.panics.load(Ordering::SeqCst), "told to");
        if self.switches.fails.load(Ordering::SeqCst) {
            return Err(Error::Io { what: "cannot sync".into(), cause: "told to".into() });
        }
        let mut table = self.table.lock().unwrap();
        for Write { space, key, value } in writes {
            match value {
                Some(value) => table.insert((space, key), value),
                None => table.remove(&(space, key)),
            };
        }
        Ok(())
    }

    fn level(&self, _: u64) -> Result<Level, Error> {
        Ok(if self.switches.full.load(Ordering::SeqCst) { Level::Full } else { Level::Plenty })
    }

    fn free_bytes(&self) -> Result<u64, Error> {
        Ok(self.switches.free_bytes.load(Ordering::SeqCst))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn put(key: &'static str) -> crate::Transaction {
    Box::new(move |_: &Rows| {
        let mut batch = Batch::new();
        batch.put(Space::Control, key, "value");
        Ok(batch)
    })
}

/// Creates a row, or refuses if it is there.
fn create(key: &'static str) -> (Vec<Key>, crate::Transaction) {
    let decide = move |rows: &Rows| {
        if rows.get(Space::Control, key.as_bytes()).is_some() {
            return Err(Fault::new("ResourceConflictException", 409, "exists"));
        }
        let mut batch = Batch::new();
        batch.put(Space::Control, key, "value");
        Ok(batch)
    };
    (vec![Key::new(Space::Control, key)], Box::new(decide))
}

fn spawn(kv: &Arc<dyn Kv>, keys: Vec<Key>, f: crate::Transaction) -> tokio::task::JoinHandle<Result<(), Error>> {
    let kv = Arc::clone(kv);
    tokio::spawn(async move { kv.transact(keys, f).await })
}

/// Lets spawned tasks run until they wait.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_failed_sync_poisons_the_store_and_is_never_retried() {
    let disk = Disk::new();
    let kv = disk.start();
    let failed = kv.failed();
    kv.transact(vec![], put("before")).await.unwrap();
    disk.switches.fails.store(true, Ordering::SeqCst);
    assert!(matches!(kv.transact(vec![], put("lost")).await, Err(Error::Poisoned(_))));
    disk.switches.fails.store(false, Ordering::SeqCst);
    assert!(matches!(failed.await, Error::Poisoned(_)));
    assert!(matches!(kv.failed().await, Error::Poisoned(_)));
    assert!(matches!(kv.get(Space::Control, b"before"), Err(Error::Poisoned(_))));
    assert!(matches!(kv.range(Space::Control, Range::all(), 1, false), Err(Error::Poisoned(_))));
    assert!(matches!(kv.snapshot().err(), Some(Error::Poisoned(_))));
    assert!(matches!(kv.transact(vec![], put("after")).await, Err(Error::Poisoned(_))));
    assert_eq!(disk.syncs(), 2);
}

#[tokio::test]
async fn a_poisoned_engine_is_never_dropped_because_it_would_sync() {
    let disk = Disk::new();
    drop(disk.start());
    assert_eq!(Arc::strong_count(&disk.table), 1, "a sound one is");
    let kv = disk.start();
    disk.switches.fails.store(true, Ordering::SeqCst);
    assert!(matches!(kv.transact(vec![], put("a")).await, Err(Error::Poisoned(_))));
    drop(kv);
    assert_eq!(Arc::strong_count(&disk.table), 2);
}

#[tokio::test]
async fn an_engine_that_panics_leaves_nobody_waiting() {
    let disk = Disk::new();
    let kv = disk.start();
    disk.switches.panics.store(true, Ordering::SeqCst);
    assert!(matches!(kv.transact(vec![], put("a")).await, Err(Error::Poisoned(_))));
    assert!(matches!(kv.failed().await, Error::Poisoned(_)));
}

#[tokio::test]
async fn reads_see_only_what_is_synced() {
    let disk = Disk::new();
    let kv = disk.start();
    let (begins, let_go) = disk.hold();
    let written = spawn(&kv, vec![], put("a"));
    settle().await;
    begins.recv().unwrap();
    assert_eq!(kv.get(Space::Control, b"a"), Ok(None));
    assert_eq!(kv.snapshot().unwrap().get(Space::Control, b"a"), Ok(None));
    assert!(!written.is_finished(), "nothing is acknowledged before its sync");
    let_go.send(()).unwrap();
    written.await.unwrap().unwrap();
    assert_eq!(kv.get(Space::Control, b"a"), Ok(Some(Bytes::from_static(b"value"))));
}

#[tokio::test]
async fn what_waits_is_one_group_with_one_sync_in_order() {
    let disk = Disk::new();
    let kv = disk.start();
    let (begins, let_go) = disk.hold();
    let first = spawn(&kv, vec![], put("first"));
    settle().await;
    begins.recv().unwrap();
    let count = || -> crate::Transaction {
        Box::new(|rows: &Rows| {
            let n: u64 = rows.json(Space::Control, b"n")?.unwrap_or(0);
            let mut batch = Batch::new();
            batch.put_json(Space::Control, "n", &(n + 1))?;
            Ok(batch)
        })
    };
    let waiting: Vec<_> = (0..50).map(|_| spawn(&kv, vec![Key::new(Space::Control, "n")], count())).collect();
    settle().await;
    let_go.send(()).unwrap();
    begins.recv().unwrap();
    let_go.send(()).unwrap();
    first.await.unwrap().unwrap();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(crate::get_json::<u64>(kv.as_ref(), Space::Control, b"n"), Ok(Some(50)));
    assert_eq!(disk.syncs(), 2);
}

#[tokio::test]
async fn a_refusal_that_rests_on_an_unsynced_row_waits_for_its_sync() {
    let disk = Disk::new();
    let kv = disk.start();
    let (begins, let_go) = disk.hold();
    let first = spawn(&kv, vec![], put("first"));
    settle().await;
    begins.recv().unwrap();
    let (keys, f) = create("a");
    let created = spawn(&kv, keys, f);
    let (keys, f) = create("a");
    let refused = spawn(&kv, keys, f);
    settle().await;
    let_go.send(()).unwrap();
    first.await.unwrap().unwrap();
    begins.recv().unwrap();
    disk.switches.fails.store(true, Ordering::SeqCst);
    let_go.send(()).unwrap();
    assert!(matches!(created.await.unwrap(), Err(Error::Poisoned(_))));
    // "It exists" would be wrong: after the restart it may not.
    assert!(matches!(refused.await.unwrap(), Err(Error::Poisoned(_))));
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let disk = Disk::new();
    let kv = disk.start();
    disk.switches.free_bytes.store(1024, Ordering::SeqCst);
    assert_eq!(kv.transact(vec![], put("a")).await, Err(Error::Full));
    assert_eq!(kv.get(Space::Control, b"a"), Ok(None));
    disk.switches.free_bytes.store(u64::MAX, Ordering::SeqCst);
    kv.transact(vec![], put("a")).await.unwrap();
    assert_eq!(disk.syncs(), 1);
}

#[tokio::test]
async fn a_full_room_takes_in_nothing_new_but_lets_deletions_through() {
    let disk = Disk::new();
    let kv = disk.start();
    kv.transact(vec![], put("a")).await.unwrap();
    disk.switches.full.store(true, Ordering::SeqCst);
    assert_eq!(kv.transact(vec![], put("b")).await, Err(Error::Full));
    assert!(kv.get(Space::Control, b"a").unwrap().is_some(), "reads go on");
    let delete = |bytes: usize| -> crate::Transaction {
        Box::new(move |_: &Rows| {
            let mut batch = Batch::new();
            batch.delete(Space::Control, "a").put(Space::Outbox, "gone", vec![0; bytes]);
            Ok(batch)
        })
    };
    assert_eq!(kv.transact(vec![], delete(100_000)).await, Err(Error::Full));
    kv.transact(vec![], delete(100)).await.unwrap();
    assert_eq!(kv.get(Space::Control, b"a"), Ok(None));
    disk.switches.full.store(false, Ordering::SeqCst);
    kv.transact(vec![], put("b")).await.unwrap();
}

#[tokio::test]
async fn a_generation_is_swept_in_steps_also_after_a_restart() {
    const ROWS: usize = 1000;
    let disk = Disk::new();
    {
        let mut table = disk.table.lock().unwrap();
        for row in 0..ROWS {
            table.insert((Space::Queue, format!("g1/{row:05}").into()), Bytes::from_static(b"x"));
        }
        table.insert((Space::Queue, "g2/a".into()), Bytes::from_static(b"y"));
        table.insert((Space::Log, "g1/a".into()), Bytes::from_static(b"z"));
    }
    let kv = disk.start();
    let (begins, let_go) = disk.hold();
    let drop_it = |_: &Rows| {
        let mut batch = Batch::new();
        batch.drop_generation(Space::Queue, "g1/");
        Ok(batch)
    };
    let dropped = spawn(&kv, vec![], Box::new(drop_it));
    settle().await;
    // The drop itself is answered after its own small group, long before the rows are gone.
    begins.recv().unwrap();
    let_go.send(()).unwrap();
    dropped.await.unwrap().unwrap();
    begins.recv().unwrap();
    assert_eq!(kv.range(Space::Queue, Range::prefix("g1/"), ROWS, false).unwrap().len(), ROWS);
    // The process dies in the middle of the sweep.
    disk.switches.fails.store(true, Ordering::SeqCst);
    let_go.send(()).unwrap();
    kv.failed().await;
    drop(kv);

    disk.switches.fails.store(false, Ordering::SeqCst);
    let (begins, let_go) = disk.hold();
    let kv = disk.start();
    for _ in 0..4 {
        begins.recv().unwrap();
        let_go.send(()).unwrap();
    }
    kv.close().await.unwrap();
    let left: Vec<_> = disk.table.lock().unwrap().keys().cloned().collect();
    assert_eq!(left, vec![(Space::Queue, Bytes::from("g2/a")), (Space::Log, Bytes::from("g1/a"))]);
    assert!(disk.switches.largest_group.load(Ordering::SeqCst) <= 257, "a step is bounded");
}

#[tokio::test]
async fn a_sweep_rests_while_the_disk_is_full() {
    let disk = Disk::new();
    disk.table.lock().unwrap().insert((Space::Queue, "g/a".into()), Bytes::new());
    disk.table.lock().unwrap().insert((Space::Meta, "sweep/qg/".into()), Bytes::new());
    disk.switches.free_bytes.store(0, Ordering::SeqCst);
    let kv = disk.start();
    assert_eq!(kv.transact(vec![], put("a")).await, Err(Error::Full));
    disk.switches.free_bytes.store(u64::MAX, Ordering::SeqCst);
    kv.transact(vec![], put("a")).await.unwrap();
    kv.transact(vec![], put("b")).await.unwrap();
    assert_eq!(kv.get(Space::Queue, b"g/a"), Ok(None));
}

#[tokio::test]
async fn a_panicking_transaction_harms_nobody_else() {
    let kv = Disk::new().start();
    let panics: crate::Transaction = Box::new(|_| panic!("told to"));
    assert_eq!(kv.transact(vec![], panics).await, Err(Error::Panicked));
    kv.transact(vec![], put("a")).await.unwrap();
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let kv = Disk::new().start();
    kv.close().await.unwrap();
    assert_eq!(kv.get(Space::Control, b"a"), Err(Error::Closed));
    assert_eq!(kv.transact(vec![], put("a")).await, Err(Error::Closed));
    kv.close().await.unwrap();
}

#[tokio::test]
async fn one_caller_gone_does_not_undo_its_transaction() {
    let disk = Disk::new();
    let kv = disk.start();
    let (begins, let_go) = disk.hold();
    let gone = spawn(&kv, vec![], put("a"));
    settle().await;
    begins.recv().unwrap();
    gone.abort();
    let_go.send(()).unwrap();
    kv.close().await.unwrap();
    assert_eq!(disk.table.lock().unwrap().len(), 1);
}
