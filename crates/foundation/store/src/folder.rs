use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::disk::Room;
use crate::migrate::{FORMAT, MIGRATIONS, Migration, migrate};
use crate::{Digest, Error};

/// What a data folder is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Real data. A folder made for tests may be opened so too.
    Keep,
    /// Tests: clock, reset and fault controls may be enabled on it. Only a folder that was made so is opened so.
    Test,
}

/// The data folder, held by this process: its lock is released when this is dropped.
///
/// Mode 0700. `format` holds the format version, `lock` the holder's pid; `tmp/` and `run/` are emptied on open.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    made_for_tests: bool,
    /// Removes an ephemeral folder; dropped before the lock, so that nobody takes a folder that is going away for a
    /// leftover.
    ephemeral: Option<tempfile::TempDir>,
    /// Held while a blob is removed, and while a backup takes hold of those there are.
    removing: Arc<Mutex<()>>,
    /// What everybody who writes into the folder asks first.
    room: Arc<Room>,
    /// Held for as long as the folder is in use.
    _lock: File,
}

const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";
const TEST_MARK: &str = "test";
const EPHEMERAL_MARK: &str = "ephemeral";
const EPHEMERAL_PREFIX: &str = "lambent-";

impl Folder {
    /// Opens the data folder at `path`, making it if it does not exist (or is an empty folder).
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Newer`], [`Error::Foreign`], [`Error::NotForTests`], [`Error::Io`]. A folder refused
    /// is left as it was.
    pub fn open(path: &Path, purpose: Use) -> Result<Self, Error> {
        Self::open_as(path, purpose, FORMAT, MIGRATIONS)
    }

    /// A folder in the system's temporary directory, made for tests and removed when dropped. What earlier processes
    /// left when they were killed is removed first.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn ephemeral() -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        sweep_ephemeral(&parent);
        let made = tempfile::Builder::new().prefix(EPHEMERAL_PREFIX).tempdir_in(&parent);
        let directory = made.map_err(|cause| Error::io("make a folder in", &parent, &cause))?;
        let mut folder = Self::open(directory.path(), Use::Test)?;
        // Written after the lock was taken: a marked folder whose lock is free has no owner any more.
        write_new(&folder.path.join(EPHEMERAL_MARK), b"")?;
        folder.ephemeral = Some(directory);
        Ok(folder)
    }

    pub(crate) fn open_as(path: &Path, purpose: Use, ours: u32, migrations: &[Migration]) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(|cause| Error::io("find", path, &cause))?;
        let found = inspect(&path, purpose, ours)?;
        if found.is_none() {
            make_folders(&path)?;
        }
        let lock = lock(&path)?;
        // Another process may have made, migrated or filled it before we had the lock.
        let found = inspect(&path, purpose, ours)?;
        let private = fs::set_permissions(&path, Permissions::from_mode(0o700));
        private.map_err(|cause| Error::io("keep others out of", &path, &cause))?;
        match found {
            None => make(&path, purpose, ours)?,
            Some(found) if found < ours => {
                migrate(&path, found, ours, migrations, |version| write_format(&path, version))?;
            }
            Some(_) => {}
        }
        let made_for_tests = path.join(TEST_MARK).exists();
        let room = Arc::new(Room::of(&path));
        let folder = Self { path, made_for_tests, ephemeral: None, removing: Arc::default(), room, _lock: lock };
        let derived = [folder.snapshots(), folder.bytecode()];
        let parts = [folder.kv(), folder.blobs(), folder.trees(), folder.tmp(), folder.run()];
        for part in parts.into_iter().chain(derived) {
            match fs::create_dir(&part) {
                Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("make", &part, &cause));
                }
                _ => {}
            }
        }
        for scratch in [folder.tmp(), folder.run()] {
            clear(&scratch).map_err(|cause| Error::io("empty", &scratch, &cause))?;
        }
        if found.is_none() {
            sync_folder(&folder.path)?;
        }
        Ok(folder)
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the rows are.
    #[must_use]
    pub fn kv(&self) -> PathBuf {
        self.path.join("kv")
    }

    /// Where the blobs are.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// Where the unpacked trees are.
    #[must_use]
    pub fn trees(&self) -> PathBuf {
        self.path.join("trees")
    }

    /// Where the snapshots of functions are.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// Where the bytecode of functions' code is.
    #[must_use]
    pub fn bytecode(&self) -> PathBuf {
        self.path.join("bytecode")
    }

    /// For files under way; on the same file system as the rest, so that they can be renamed into place.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// For sockets and other things of this run only.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Lets the folder take at most `bytes` of the disk; without a call, all that the disk has. From 95 % on, writes are
    /// [`Error::Full`]; reads, and transactions that delete, go on.
    pub fn limit(&self, bytes: u64) {
        self.room.set_budget(bytes);
    }

    /// Changes each time a write finds the folder at 90 % of what it may take, or more: who keeps what can be spared shall
    /// then take the oldest away.
    #[must_use]
    pub fn lows(&self) -> watch::Receiver<u64> {
        self.room.lows()
    }

    pub(crate) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.room)
    }

    /// Marks the closed folder at `path` as made for tests.
    pub(crate) fn mark_for_tests(path: &Path) -> Result<(), Error> {
        write_new(&path.join(TEST_MARK), b"")?;
        sync_folder(path)
    }

    pub(crate) fn removing(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.removing)
    }

    /// True if the folder was made for tests: only then may clock, reset and fault controls be enabled.
    #[must_use]
    pub fn made_for_tests(&self) -> bool {
        self.made_for_tests
    }

    /// True if the folder is removed when this is dropped.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral.is_some()
    }
}

/// The format version of the folder at `path`, none if it is absent or empty; refuses what is not to be touched.
fn inspect(path: &Path, purpose: Use, ours: u32) -> Result<Option<u32>, Error> {
    let file = path.join(FORMAT_FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return inspect_new(path),
        Err(cause) => return Err(Error::io("read", &file, &cause)),
    };
    let found: u32 = text.trim().parse().map_err(|_| Error::Corrupt(file.display().to_string()))?;
    if found > ours {
        return Err(Error::Newer { path: path.display().to_string(), found, ours });
    }
    if purpose == Use::Test && !path.join(TEST_MARK).exists() {
        return Err(Error::NotForTests(path.display().to_string()));
    }
    Ok(Some(found))
}

/// A folder without a format file is ours to make only if there is nothing in it but what an interrupted making left.
fn inspect_new(path: &Path) -> Result<Option<u32>, Error> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::io("read", path, &cause)),
    };
    for entry in entries {
        let name = entry.map_err(|cause| Error::io("read", path, &cause))?.file_name();
        if name != LOCK_FILE && name != TEST_MARK && name != "format.new" {
            return Err(Error::Foreign(path.display().to_string()));
        }
    }
    Ok(None)
}

/// Makes a folder and those above it, each durable: the name of a folder stands in the one above.
pub(crate) fn make_folders(path: &Path) -> Result<(), Error> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| Error::io("make the data folder", path, &cause))?;
    // One that stands empty may be ours from a start that was cut off before it came to this.
    for above in missing.into_iter().chain([path]).filter_map(Path::parent) {
        match File::open(above).and_then(|folder| folder.sync_all()) {
            // Somebody else's folder, in which ours was made for us: not ours to sync.
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(|cause| Error::io("sync", above, &cause))?,
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, Error> {
    let file = path.join(LOCK_FILE);
    let failed = |cause: io::Error| Error::io("lock", &file, &cause);
    let mut lock =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&file).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            lock.read_to_string(&mut pid).map_err(failed)?;
            // Empty for the moment between the other's locking and writing.
            let pid = pid.trim().parse().ok();
            return Err(Error::InUse { path: path.display().to_string(), pid });
        }
    }
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(failed)?;
    writeln!(lock, "{}", std::process::id()).map_err(failed)?;
    Ok(lock)
}

/// The format file comes last: a making that was interrupted before it is simply done again.
fn make(path: &Path, purpose: Use, format: u32) -> Result<(), Error> {
    if purpose == Use::Test {
        write_new(&path.join(TEST_MARK), b"")?;
    }
    write_format(path, format)
}

fn write_format(path: &Path, version: u32) -> Result<(), Error> {
    let (new, file) = (path.join("format.new"), path.join(FORMAT_FILE));
    write_new(&new, format!("{version}\n").as_bytes())?;
    fs::rename(&new, &file).map_err(|cause| Error::io("write", &file, &cause))?;
    sync_folder(path)
}

/// Writes a small file, synced.
fn write_new(path: &Path, content: &[u8]) -> Result<(), Error> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(|cause| Error::io("write", path, &cause))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| Error::io("sync", path, &cause))
}

/// The digests that entries of a folder are named by, sorted.
pub(crate) fn digests_in(path: &Path) -> Result<Vec<Digest>, Error> {
    let failed = |cause: io::Error| Error::io("read", path, &cause);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse::<Digest>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes what is in a folder, and leaves the folder.
fn clear(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes ephemeral folders whose process is gone. Whatever cannot be removed is somebody else's, or is left to the
/// system.
fn sweep_ephemeral(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ours =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(EPHEMERAL_PREFIX));
        if !ours || !path.join(EPHEMERAL_MARK).is_file() {
            continue;
        }
        let Ok(lock) = File::open(path.join(LOCK_FILE)) else { continue };
        if lock.try_lock().is_ok() && fs::remove_dir_all(&path).is_err() {
            tracing::debug!(path = %path.display(), "a leftover ephemeral folder could not be removed");
        }
    }
}
