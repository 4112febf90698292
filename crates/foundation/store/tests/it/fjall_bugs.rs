//! What has been reported against the engine, acted out against the version that is pinned. Look here before moving the pin.
//!
//! | report | what happened | here |
//! |---|---|---|
//! | fjall #112 | writes to a rarely written keyspace lost when the journal was evicted under a busy one | [`a_rarely_written_space_outlives_the_journals_of_a_busy_one`], ours and the engine's |
//! | fjall #230, open | inserts lost with more than one worker | we run one worker: [`no_insert_is_lost_over_many_flushes_and_merges`] |
//! | fjall #241 | `clear()` undone by the next start | we delete rows instead: [`what_was_given_up_stays_given_up`], ours and the engine's |
//! | fjall #304, #308, #296 | a failed journal write acknowledged, or followed by groups behind a torn one | `disk::a_journal_that_cannot_be_written_ends_the_store` |
//! | fjall #257, open | writes halted for good when a start finds four sealed memtables | each is a full journal of 64 MB, and one keyspace with one worker never has two: [`a_start_with_full_journals_takes_writes`] |
//! | fjall #329 | a table on the disk before the journal of what is in it | every group is synced before it is applied |
//! | fjall #317 | a journal made by a start had a name that the next start did not read | [`a_store_without_its_journal_keeps_what_is_written_next`] |
//! | fjall #309, #265, lsm-tree #286, #310 | optimistic transactions, ingestion, separated values, FIFO merging | we use none of them |

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use store::{Batch, Kv, Range, Rows, Space};

async fn put(kv: &dyn Kv, rows: Vec<(Space, Bytes, Bytes)>) {
    let write = move |_: &Rows| {
        let mut batch = Batch::new();
        for (space, key, value) in &rows {
            batch.put(*space, key.clone(), value.clone());
        }
        Ok(batch)
    };
    kv.transact(vec![], Box::new(write)).await.unwrap();
}

/// Bytes that do not shrink.
fn noise(seed: u64, bytes: usize) -> Bytes {
    let mut random = crate::workload::Random(seed);
    (0..bytes / 8).flat_map(|_| random.below(u64::MAX).to_le_bytes()).collect::<Vec<u8>>().into()
}

fn count(kv: &dyn Kv, space: Space) -> usize {
    let mut range = Range::all();
    let mut count = 0;
    loop {
        let rows = kv.range(space, range.clone(), 1000, false).unwrap();
        let Some((last, _)) = rows.last() else { return count };
        range = range.after(last.clone());
        count += rows.len();
    }
}

/// More than two journals' worth of writes, of which every tenth is small and to another space.
const GROUPS: u64 = 150;
const GROUP_BYTES: usize = 1_000_000;

async fn fill(path: &Path) -> Arc<dyn Kv> {
    let kv = store::open(path).unwrap();
    for group in 0..GROUPS {
        let mut rows = vec![(Space::Log, format!("{group:06}").into(), noise(group, GROUP_BYTES))];
        if group % 10 == 0 {
            rows.push((Space::Control, format!("{group:06}").into(), Bytes::from_static(b"rare")));
        }
        put(kv.as_ref(), rows).await;
    }
    kv
}

#[tokio::test]
async fn a_rarely_written_space_outlives_the_journals_of_a_busy_one() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ours");
    drop(fill(&path).await);
    let kv = store::open(&path).unwrap();
    assert_eq!((count(kv.as_ref(), Space::Log), count(kv.as_ref(), Space::Control)), (150, 15));
    drop(kv);

    let path = place.path().join("engine");
    let open = || {
        let db = Database::builder(&path).max_journaling_size(64 * 1024 * 1024).worker_threads(1).open().unwrap();
        let small = || KeyspaceCreateOptions::default().max_memtable_size(4 * 1024 * 1024);
        let (busy, rare) = (db.keyspace("busy", small).unwrap(), db.keyspace("rare", small).unwrap());
        (db, busy, rare)
    };
    let (db, busy, rare) = open();
    for group in 0..GROUPS {
        let mut batch = db.batch();
        batch.insert(&busy, format!("{group:06}"), &noise(group, GROUP_BYTES)[..]);
        if group % 10 == 0 {
            batch.insert(&rare, format!("{group:06}"), "rare");
        }
        batch.commit().unwrap();
    }
    db.persist(PersistMode::SyncAll).unwrap();
    drop((busy, rare, db));
    let (_db, busy, rare) = open();
    assert_eq!((busy.iter().count(), rare.iter().count()), (150, 15));
}

#[tokio::test]
async fn no_insert_is_lost_over_many_flushes_and_merges() {
    const ROWS: u64 = 250_000;
    const GROUP: u64 = 2_500;
    let place = tempfile::tempdir().unwrap();
    let kv = store::open(&place.path().join("kv")).unwrap();
    // In no order, so that tables overlap: each number once, by a step that has no factor in common with their count.
    for group in 0..ROWS / GROUP {
        let row = |number: u64| {
            let key = (number * 7919 % ROWS).to_be_bytes();
            (Space::Queue, Bytes::copy_from_slice(&key), vec![number as u8; 256].into())
        };
        put(kv.as_ref(), (group * GROUP..(group + 1) * GROUP).map(row).collect()).await;
    }
    assert_eq!(count(kv.as_ref(), Space::Queue) as u64, ROWS);
    drop(kv);
    let kv = store::open(&place.path().join("kv")).unwrap();
    assert_eq!(count(kv.as_ref(), Space::Queue) as u64, ROWS);
}

#[tokio::test]
async fn what_was_given_up_stays_given_up() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ours");
    let kv = store::open(&path).unwrap();
    put(kv.as_ref(), (0..1000).map(|row| (Space::Queue, format!("g/{row}").into(), Bytes::new())).collect()).await;
    let give_up = |_: &Rows| {
        let mut batch = Batch::new();
        batch.drop_generation(Space::Queue, "g/");
        Ok(batch)
    };
    kv.transact(vec![], Box::new(give_up)).await.unwrap();
    for number in 0..6 {
        put(kv.as_ref(), vec![(Space::Control, format!("{number}").into(), Bytes::new())]).await;
    }
    drop(kv);
    let kv = store::open(&path).unwrap();
    assert_eq!((count(kv.as_ref(), Space::Queue), count(kv.as_ref(), Space::Control)), (0, 6));

    let path = place.path().join("engine");
    for round in 0..2 {
        let db = Database::builder(&path).worker_threads(1).open().unwrap();
        let rows = db.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
        assert_eq!(rows.iter().count(), 0, "round {round}");
        for row in 0..1000_u32 {
            rows.insert(row.to_be_bytes(), "value").unwrap();
        }
        db.persist(PersistMode::SyncAll).unwrap();
        rows.clear().unwrap();
        db.persist(PersistMode::SyncAll).unwrap();
    }
}

#[tokio::test]
async fn a_start_with_full_journals_takes_writes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("kv");
    let _runs = fill(&path).await;
    // The store runs on, so what it has is copied, journals and all: a clean stop would empty them.
    let kv = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        let kv = store::open(&image(&path)).unwrap();
        for group in 0..40 {
            put(kv.as_ref(), vec![(Space::Log, format!("more/{group:06}").into(), noise(group, GROUP_BYTES))]).await;
        }
        kv
    });
    let kv = kv.await.expect("writes are halted for good");
    assert_eq!(count(kv.as_ref(), Space::Log), 150 + 40);
}

/// A copy of a store, taken once it has come to rest.
fn image(path: &Path) -> std::path::PathBuf {
    let to = path.with_extension("image");
    let mut last = None;
    while last != Some(files(path).len()) {
        last = Some(files(path).len());
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    for file in files(path) {
        let target = to.join(file.strip_prefix(path).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    to
}

fn files(path: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn a_store_without_its_journal_keeps_what_is_written_next() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("kv");
    let kv = store::open(&path).unwrap();
    put(kv.as_ref(), vec![(Space::Control, "a".into(), Bytes::from_static(b"old"))]).await;
    kv.close().await.unwrap();
    drop(kv);
    for file in files(&path) {
        if file.extension().is_some_and(|extension| extension == "jnl") {
            fs::remove_file(file).unwrap();
        }
    }
    let kv = store::open(&path).unwrap();
    put(kv.as_ref(), vec![(Space::Control, "a".into(), Bytes::from_static(b"new"))]).await;
    drop(kv);
    let kv = store::open(&path).unwrap();
    assert_eq!(kv.get(Space::Control, b"a"), Ok(Some(Bytes::from_static(b"new"))));
}
