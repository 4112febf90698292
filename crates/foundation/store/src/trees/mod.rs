//! Unpacked zips: one read-only folder for each digest, made once, shared by every sandbox that runs it.

mod error;
mod plan;
mod unzip;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::error::ZipError;
use self::unzip::unzip;
use crate::blocking::blocking;
use crate::disk::Room;
use crate::folder::{digests_in, sync_folder};
use crate::{Blobs, Digest, Error, Folder, Unnamed};

/// How much a zip may unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of all files together.
    pub unzipped_bytes: u64,
    /// Most entries.
    pub entries: usize,
}

impl Default for Limits {
    /// AWS's limit for a deployment package, and ours for its entries.
    fn default() -> Self {
        Self { unzipped_bytes: base::limits::UNZIPPED_BYTES, entries: base::limits::ZIP_ENTRIES }
    }
}

/// An unpacked zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The folder, absolute. Its files are readable by all and must not be changed: others share them.
    pub path: PathBuf,
    /// The digest of the zip.
    pub digest: Digest,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// Number of files.
    pub files: u64,
}

/// The unpacked trees of a data folder: `trees/DIGEST/root`, and beside `root` what was counted while unpacking.
///
/// A tree appears whole or not at all. It is a copy of its zip, which is why unpacking does not sync: thousands of files
/// would take seconds. Until [`Trees::settle`] has synced a tree, it counts only as long as the kernel runs under which
/// it was made; after a power loss or a restart of the machine it is as if it were not there, and the zip is unpacked
/// again. Clones share the folder.
#[derive(Debug, Clone)]
pub struct Trees {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    trees: PathBuf,
    tmp: PathBuf,
    /// Held to take a tree away, so that it cannot be a fresh one that just took a stale one's place.
    removing: Mutex<()>,
    room: Arc<Room>,
}

/// What stands beside a tree.
#[derive(Debug, Serialize, Deserialize)]
struct Count {
    size_bytes: u64,
    files: u64,
    /// The kernel's boot id, as long as the tree is not synced.
    boot: Option<String>,
}

const COUNT_FILE: &str = "count.json";
const ROOT: &str = "root";

impl Trees {
    /// The trees of a data folder, which must stay open for as long as they are used.
    #[must_use]
    pub fn at(folder: &Folder) -> Self {
        Self {
            places: Arc::new(Places {
                trees: folder.trees(),
                tmp: folder.tmp(),
                removing: Mutex::default(),
                room: folder.room(),
            }),
        }
    }

    /// Unpacks a zip that is new, unless its tree is there already.
    ///
    /// # Errors
    /// [`Error::Zip`] says which entry was refused and why; [`Error::Full`], [`Error::Io`]. Nothing half-made stays.
    pub async fn unpack_zip(&self, zip: Bytes, limits: Limits) -> Result<Tree, Error> {
        let places = Arc::clone(&self.places);
        blocking(move || {
            let digest = Digest::of(&zip);
            // Only what is new: what a blob holds was taken in when there was room, and is needed now.
            places.room.check(zip.len() as u64)?;
            places.unpack(digest, Cursor::new(zip), &limits)
        })
        .await
    }

    /// Unpacks a zip that is a blob, unless its tree is there already; none if there is no such blob.
    ///
    /// # Errors
    /// As [`Trees::unpack_zip`].
    pub async fn unpack_blob(&self, blobs: &Blobs, digest: &Digest, limits: Limits) -> Result<Option<Tree>, Error> {
        let Some((file, _)) = blobs.file(digest).await? else { return Ok(None) };
        let (places, digest) = (Arc::clone(&self.places), *digest);
        blocking(move || places.unpack(digest, io::BufReader::new(file), &limits).map(Some)).await
    }

    /// Unpacks a zip that is on the disk but has no name yet, unless its tree is there already. Call it where waiting for
    /// the disk holds up nobody.
    ///
    /// # Errors
    /// As [`Trees::unpack_zip`].
    pub fn unpack_unnamed_now(&self, zip: &Unnamed, limits: &Limits) -> Result<Tree, Error> {
        self.places.unpack(zip.digest(), io::BufReader::new(zip.open()?), limits)
    }

    /// The tree of a zip, none if it is not unpacked, or no longer: then [`Trees::unpack_blob`] makes it again.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn get(&self, digest: &Digest) -> Result<Option<Tree>, Error> {
        let (places, digest) = (Arc::clone(&self.places), *digest);
        blocking(move || places.find(digest)).await
    }

    /// Removes a tree; false if there was none. That no sandbox uses it any more is for the caller to know: the files
    /// vanish from under whoever does.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn remove(&self, digest: &Digest) -> Result<bool, Error> {
        let (places, digest) = (Arc::clone(&self.places), *digest);
        blocking(move || places.remove(digest)).await
    }

    /// Syncs the trees that are not synced yet, so that they outlive a restart of the machine. For a clean stop, or an
    /// idle time: what was unpacked a minute ago the kernel has mostly written out by itself.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn settle(&self) -> Result<(), Error> {
        let places = Arc::clone(&self.places);
        blocking(move || places.settle()).await
    }

    /// The digests of all trees, sorted, those included that a restart of the machine has made unusable.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn list(&self) -> Result<Vec<Digest>, Error> {
        let places = Arc::clone(&self.places);
        blocking(move || places.list()).await
    }
}

impl Places {
    fn home(&self, digest: Digest) -> PathBuf {
        self.trees.join(digest.to_string())
    }

    fn find(&self, digest: Digest) -> Result<Option<Tree>, Error> {
        if let Some(found) = self.look(digest)? {
            return Ok(Some(found));
        }
        let _removing = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have taken the stale tree away and unpacked a fresh one before we had the lock.
        let found = self.look(digest)?;
        if found.is_none() {
            self.take_away(digest)?;
        }
        Ok(found)
    }

    /// The tree, if it can be relied upon.
    fn look(&self, digest: Digest) -> Result<Option<Tree>, Error> {
        let Some(count) = self.count(digest)? else { return Ok(None) };
        let sound = count.boot.is_none() || count.boot == boot_id();
        let Count { size_bytes, files, .. } = count;
        Ok(sound.then(|| Tree { path: self.home(digest).join(ROOT), digest, size_bytes, files }))
    }

    /// What stands beside a tree; none if there is no tree, or a power loss has left the file empty.
    fn count(&self, digest: Digest) -> Result<Option<Count>, Error> {
        let file = self.home(digest).join(COUNT_FILE);
        match fs::read(&file) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io("read", &file, &cause)),
        }
    }

    fn unpack(&self, digest: Digest, zip: impl Read + Seek, limits: &Limits) -> Result<Tree, Error> {
        if let Some(tree) = self.find(digest)? {
            return tree.within(limits);
        }
        // Removed with everything in it on every way out but the rename.
        let scratch = tempfile::Builder::new().prefix("tree-").tempdir_in(&self.tmp);
        let scratch = scratch.map_err(|cause| Error::io("make a folder in", &self.tmp, &cause))?;
        let root = scratch.path().join(ROOT);
        DirBuilder::new().mode(0o755).create(&root).map_err(|cause| Error::io("make", &root, &cause))?;
        for open in [scratch.path(), &root] {
            let opened = fs::set_permissions(open, Permissions::from_mode(0o755));
            opened.map_err(|cause| Error::io("set the mode of", open, &cause))?;
        }
        let unpacked = unzip(zip, &root, limits)?;
        let boot = boot_id();
        if boot.is_none() {
            // Without a name for this run of the kernel nothing could tell later whether the tree is whole.
            sync_tree(&root)?;
        }
        let count = Count { size_bytes: unpacked.size_bytes, files: unpacked.files, boot };
        self.write_count(scratch.path(), &count)?;
        let home = self.home(digest);
        match fs::rename(scratch.path(), &home) {
            Ok(()) => {
                // Renamed: there is nothing left to remove under the old name.
                let _ = scratch.keep();
            }
            // Another call unpacked the same zip meanwhile; both are alike, and theirs is in use already.
            Err(_) if home.join(COUNT_FILE).exists() => {}
            Err(cause) => return Err(Error::io("write", &home, &cause)),
        }
        Ok(Tree { path: home.join(ROOT), digest, size_bytes: count.size_bytes, files: count.files })
    }

    fn write_count(&self, home: &Path, count: &Count) -> Result<(), Error> {
        let text = serde_json::to_vec(count).expect("numbers and a text have a JSON form");
        let (new, file) = (home.join("count.new"), home.join(COUNT_FILE));
        let written = fs::write(&new, &text).and_then(|()| fs::rename(&new, &file));
        written.map_err(|cause| Error::io("write", &file, &cause))
    }

    fn settle(&self) -> Result<(), Error> {
        for digest in self.list()? {
            let home = self.home(digest);
            let Some(mut count) = self.count(digest)? else { continue };
            if count.boot.is_none() || count.boot != boot_id() {
                continue;
            }
            let _removing = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
            if !home.exists() {
                continue;
            }
            sync_tree(&home)?;
            count.boot = None;
            self.write_count(&home, &count)?;
            let file = home.join(COUNT_FILE);
            let synced = File::open(&file).and_then(|count| count.sync_all());
            synced.map_err(|cause| Error::io("sync", &file, &cause))?;
            sync_folder(&home)?;
        }
        sync_folder(&self.trees)
    }

    fn remove(&self, digest: Digest) -> Result<bool, Error> {
        let _removing = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_away(digest)
    }

    /// First out of sight, whole, then piece by piece.
    fn take_away(&self, digest: Digest) -> Result<bool, Error> {
        let home = self.home(digest);
        if !home.exists() {
            return Ok(false);
        }
        let gone = tempfile::Builder::new().prefix("gone-").tempdir_in(&self.tmp);
        let gone = gone.map_err(|cause| Error::io("make a folder in", &self.tmp, &cause))?;
        fs::rename(&home, gone.path().join("tree")).map_err(|cause| Error::io("remove", &home, &cause))?;
        sync_folder(&self.trees)?;
        gone.close().map_err(|cause| Error::io("remove", &home, &cause))?;
        Ok(true)
    }

    fn list(&self) -> Result<Vec<Digest>, Error> {
        digests_in(&self.trees)
    }
}

impl Tree {
    /// The same limits hold for a tree that was unpacked under wider ones.
    fn within(self, limits: &Limits) -> Result<Self, Error> {
        if self.size_bytes > limits.unzipped_bytes {
            return Err(ZipError::TooLarge { limit: limits.unzipped_bytes }.into());
        }
        Ok(self)
    }
}

/// Bytes that were unpacked into the folder of trees at `path`.
pub(crate) fn counted_bytes(path: &Path) -> Result<u64, Error> {
    if !path.exists() {
        return Ok(0);
    }
    let counts = digests_in(path)?.into_iter().filter_map(|digest| {
        let text = fs::read(path.join(digest.to_string()).join(COUNT_FILE)).ok()?;
        serde_json::from_slice::<Count>(&text).ok()
    });
    Ok(counts.map(|count| count.size_bytes).sum())
}

/// What names this run of the kernel; none where the kernel does not say.
fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

/// Makes a folder and everything in it durable: what is inside first.
fn sync_tree(path: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(path).map_err(|cause| Error::io("read", path, &cause))? {
        let entry = entry.map_err(|cause| Error::io("read", path, &cause))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(|cause| Error::io("read", path, &cause))?);
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(|cause| Error::io("sync", &path, &cause))?;
        }
    }
    sync_folder(path)
}
