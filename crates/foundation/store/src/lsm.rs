use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable};

use crate::disk::{Level, Room};
use crate::engine::Engine;
use crate::folder::sync_folder;
use crate::sequencer::Sequenced;
use crate::{Error, Folder, Kv, Range, Row, Snapshot, Space, Write, disk, journal};

/// Block cache, bytes: part of the idle memory, so small.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Writes held in memory before they become a table, bytes.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;
/// Journal on the disk, bytes; the engine takes no less.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
/// Table files kept open.
const OPEN_FILES: usize = 64;
/// How long a clean stop waits for the last table or reader, ms. After that the next start replays the journal.
const CLOSE_WAIT_MS: u32 = 5_000;

/// Opens, or makes, the embedded store in `folder` (`Folder::kv`).
///
/// One process at a time: [`crate::Folder`] holds the lock.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read or written, [`Error::Corrupt`] if it holds something else.
pub fn open(folder: &Path) -> Result<Arc<dyn Kv>, Error> {
    Ok(Arc::new(Sequenced::start(Lsm::open(folder, None)?)?))
}

/// [`open`] for the rows of a data folder, within what the folder may take of the disk ([`Folder::limit`]).
///
/// # Errors
/// As [`open`].
pub fn open_in(folder: &Folder) -> Result<Arc<dyn Kv>, Error> {
    Ok(Arc::new(Sequenced::start(Lsm::open(&folder.kv(), Some(folder.room()))?)?))
}

/// fjall, with every space in one of its keyspaces, told apart by the first byte of the key.
///
/// One keyspace instead of seven: a new folder opens in 6 ms instead of 24 (each is a tree with its own files to sync),
/// one memtable bounds the memory, and no rarely written space can hold back the journal.
pub(crate) struct Lsm {
    /// None once closed. Views hold a share; the last one to go closes the files.
    open: RwLock<Option<Arc<Tables>>>,
    /// None where nobody has set a limit.
    room: Option<Arc<Room>>,
}

struct Tables {
    rows: Keyspace,
    db: Database,
    path: PathBuf,
}

impl Lsm {
    fn open(path: &Path, room: Option<Arc<Room>>) -> Result<Self, Error> {
        let path = &std::path::absolute(path).map_err(|cause| Error::io("find", path, &cause))?;
        journal::clear_unfinished(path)?;
        journal::mend(path)?;
        let failed = |error: fjall::Error| describe("open the rows in", path, &error);
        let db = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_cached_files(Some(OPEN_FILES))
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            // One worker: with more, the engine spins while a merge is under way.
            .worker_threads(1)
            .open()
            .map_err(failed)?;
        let rows = db
            .keyspace("rows", || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES))
            .map_err(failed)?;
        sync_names(path)?;
        Ok(Self { open: RwLock::new(Some(Arc::new(Tables { rows, db, path: path.into() }))), room })
    }

    fn tables(&self) -> Result<Arc<Tables>, Error> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::Closed)
    }

    fn view_now(&self) -> Result<View, Error> {
        let tables = self.tables()?;
        // The published state: the engine moves it forward after the sync of a whole group. Its reads outside a
        // snapshot would show the first half of a group that is being applied.
        Ok(View { at: tables.db.snapshot(), tables })
    }
}

impl Engine for Lsm {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.view_now()?.get(space, key)
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        self.view_now()?.range(space, range, limit, reverse)
    }

    fn view(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(self.view_now()?))
    }

    fn commit(&self, writes: Vec<Write>) -> Result<(), Error> {
        let tables = self.tables()?;
        // The engine appends to its journal, syncs it, and only then applies and publishes the batch.
        let batch = OwnedWriteBatch::with_capacity(tables.db.clone(), writes.len());
        let mut batch = batch.durability(Some(PersistMode::SyncData));
        let mut key = Vec::new();
        for write in writes {
            key.clear();
            key.push(write.space.tag());
            key.extend_from_slice(&write.key);
            match write.value {
                Some(value) => batch.insert(&tables.rows, &key[..], &value[..]),
                None => batch.remove(&tables.rows, &key[..]),
            }
        }
        batch.commit().map_err(|error| describe("write the rows in", &tables.path, &error))
    }

    fn level(&self, more_bytes: u64) -> Result<Level, Error> {
        self.room.as_ref().map_or(Ok(Level::Plenty), |room| room.level(more_bytes))
    }

    fn free_bytes(&self) -> Result<u64, Error> {
        disk::free_bytes(&self.tables()?.path)
    }

    fn close(&self) -> Result<(), Error> {
        let Some(mut tables) = self.open.write().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let path = tables.path.clone();
        let failed = |error: fjall::Error| describe("write out the rows in", &path, &error);
        tables.rows.rotate_memtable().map_err(failed)?;
        let mut written_out = false;
        for _ in 0..CLOSE_WAIT_MS {
            written_out = tables.rows.sealed_memtable_count() == 0;
            match Arc::try_unwrap(tables) {
                Ok(last) if written_out => {
                    // Ends the worker, which also removes the journals that the tables have made superfluous.
                    drop(last);
                    return journal::empty(&path);
                }
                Ok(last) => tables = Arc::new(last),
                Err(shared) => tables = shared,
            }
            // Fails when the worker has: then nothing will be written out any more.
            tables.db.persist(PersistMode::Buffer).map_err(failed)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        let why = if written_out { "a reader held on to a snapshot" } else { "the last table was not written in time" };
        Err(Error::Io { what: "cannot empty the journal".into(), cause: why.into() })
    }
}

/// Makes the folders of the store durable before anything is acknowledged in them. The engine does so for the files, but
/// not for the folders that it makes: a power loss could take a folder with all that is in it.
fn sync_names(path: &Path) -> Result<(), Error> {
    let tables = path.join("keyspaces");
    let entries = fs::read_dir(&tables).map_err(|cause| Error::io("read", &tables, &cause))?;
    for entry in entries {
        sync_folder(&entry.map_err(|cause| Error::io("read", &tables, &cause))?.path())?;
    }
    sync_folder(&tables)?;
    sync_folder(path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Published rows as of one moment.
struct View {
    // Declared first, dropped first: the snapshot must go before its database.
    at: fjall::Snapshot,
    tables: Arc<Tables>,
}

impl Snapshot for View {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let found = self.at.get(&self.tables.rows, tagged(space, key));
        let found = found.map_err(|error| describe("read the rows in", &self.tables.path, &error))?;
        // Copied: the engine's slice would keep its whole block in memory for as long as the caller holds it.
        Ok(found.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut found = self.at.range(&self.tables.rows, bounds(space, range));
        let mut rows = Vec::new();
        while rows.len() < limit {
            let Some(guard) = (if reverse { found.next_back() } else { found.next() }) else { break };
            let (key, value) =
                guard.into_inner().map_err(|error| describe("read the rows in", &self.tables.path, &error))?;
            rows.push((Bytes::copy_from_slice(&key[1..]), Bytes::copy_from_slice(&value)));
        }
        Ok(rows)
    }
}

fn tagged(space: Space, key: &[u8]) -> Vec<u8> {
    let mut tagged = Vec::with_capacity(1 + key.len());
    tagged.push(space.tag());
    tagged.extend_from_slice(key);
    tagged
}

fn bounds(space: Space, range: Range) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let start = match range.start {
        Bound::Included(key) => Bound::Included(tagged(space, &key)),
        Bound::Excluded(key) => Bound::Excluded(tagged(space, &key)),
        Bound::Unbounded => Bound::Included(vec![space.tag()]),
    };
    let end = match range.end {
        Bound::Included(key) => Bound::Included(tagged(space, &key)),
        Bound::Excluded(key) => Bound::Excluded(tagged(space, &key)),
        Bound::Unbounded => Bound::Excluded(vec![space.tag() + 1]),
    };
    (start, end)
}

fn describe(what: &str, path: &Path, error: &fjall::Error) -> Error {
    match error {
        fjall::Error::Io(cause) => Error::io(what, path, cause),
        other => {
            Error::Io { what: format!("cannot {what} {}", path.display()).into(), cause: other.to_string().into() }
        }
    }
}
