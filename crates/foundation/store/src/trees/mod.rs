//! Unpacked zips: one read-only folder for each digest, made once, shared by every sandbox that runs it.

mod error;
mod plan;
mod unzip;

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::error::ZipError;
use self::unzip::unzip;
use crate::blocking::blocking;
use crate::folder::{sync_folder, write_new};
use crate::{Blobs, Digest, Error, Folder};

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
/// A tree appears whole and synced, or not at all. Clones share the folder.
#[derive(Debug, Clone)]
pub struct Trees {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    trees: PathBuf,
    tmp: PathBuf,
}

/// What stands beside a tree.
#[derive(Debug, Serialize, Deserialize)]
struct Count {
    size_bytes: u64,
    files: u64,
}

const COUNT_FILE: &str = "count.json";
const ROOT: &str = "root";

impl Trees {
    /// The trees of a data folder, which must stay open for as long as they are used.
    #[must_use]
    pub fn at(folder: &Folder) -> Self {
        Self { places: Arc::new(Places { trees: folder.trees(), tmp: folder.tmp() }) }
    }

    /// Unpacks a zip, unless its tree is there already.
    ///
    /// # Errors
    /// [`Error::Zip`] says which entry was refused and why; [`Error::Full`], [`Error::Io`]. Nothing half-made stays.
    pub async fn unpack_zip(&self, zip: Bytes, limits: Limits) -> Result<Tree, Error> {
        let places = Arc::clone(&self.places);
        blocking(move || {
            let digest = Digest::of(&zip);
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

    /// The tree of a zip, none if it is not unpacked.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`].
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

    /// The digests of all trees, sorted.
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
        let home = self.home(digest);
        let file = home.join(COUNT_FILE);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::io("read", &file, &cause)),
        };
        let Count { size_bytes, files } =
            serde_json::from_slice(&text).map_err(|_| Error::Corrupt(file.display().to_string()))?;
        Ok(Some(Tree { path: home.join(ROOT), digest, size_bytes, files }))
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
        let count = Count { size_bytes: unpacked.size_bytes, files: unpacked.files };
        let text = serde_json::to_vec(&count).expect("two numbers have a JSON form");
        write_new(&scratch.path().join(COUNT_FILE), &text)?;
        sync_folder(scratch.path())?;
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
        sync_folder(&self.trees)?;
        Ok(Tree { path: home.join(ROOT), digest, size_bytes: count.size_bytes, files: count.files })
    }

    fn remove(&self, digest: Digest) -> Result<bool, Error> {
        let home = self.home(digest);
        let gone = tempfile::Builder::new().prefix("gone-").tempdir_in(&self.tmp);
        let gone = gone.map_err(|cause| Error::io("make a folder in", &self.tmp, &cause))?;
        // First out of sight, whole, then piece by piece.
        match fs::rename(&home, gone.path().join("tree")) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(cause) => return Err(Error::io("remove", &home, &cause)),
        }
        sync_folder(&self.trees)?;
        gone.close().map_err(|cause| Error::io("remove", &home, &cause))?;
        Ok(true)
    }

    fn list(&self) -> Result<Vec<Digest>, Error> {
        let failed = |cause: io::Error| Error::io("read", &self.trees, &cause);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.trees).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            found.extend(name.to_str().and_then(|name| name.parse::<Digest>().ok()));
        }
        found.sort_unstable();
        Ok(found)
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
