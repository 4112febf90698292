use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::blocking::blocking;
use crate::digest::Hasher;
use crate::disk::Room;
use crate::folder::sync_folder;
use crate::{Digest, Error, Folder, disk};

/// Largest blob that [`Blobs::read`] takes into memory, bytes: the largest package a function may have.
const READ_BYTES: u64 = base::limits::UNZIPPED_BYTES;

/// Bytes after which a stream of unknown length asks again whether the disk has room.
const CHECK_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes named by their digest, one file each. What was put is on the disk before the answer, and never changes.
///
/// File calls run on the runtime's blocking threads. Clones share the folder.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    blobs: PathBuf,
    tmp: PathBuf,
    /// Shared by everybody who uses the folder.
    removing: Arc<Mutex<()>>,
    room: Arc<Room>,
}

impl Blobs {
    /// The blobs of a data folder. The folder must stay open for as long as they are used.
    #[must_use]
    pub fn at(folder: &Folder) -> Self {
        Self {
            folder: Arc::new(Places {
                blobs: folder.blobs(),
                tmp: folder.tmp(),
                removing: folder.removing(),
                room: folder.room(),
            }),
        }
    }

    /// Stores `bytes`; costs nothing more than a look if they are there already.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]; nothing half-written stays behind.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        let folder = Arc::clone(&self.folder);
        blocking(move || {
            let digest = Digest::of(&bytes);
            if !folder.keep(&digest)? {
                let mut file = folder.begin(bytes.len() as u64)?;
                file.write_all(&bytes).map_err(|cause| folder.failed("write", &cause))?;
                folder.finish(file, &digest)?;
            }
            Ok(digest)
        })
        .await
    }

    /// Stores what `reader` gives until its end, at most `limit_bytes`; answers the digest and the size in bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond the limit, [`Error::Full`], [`Error::Io`]; nothing half-written stays behind.
    pub async fn put_reader(
        &self,
        mut reader: impl Read + Send + 'static,
        limit_bytes: u64,
    ) -> Result<(Digest, u64), Error> {
        let blobs = self.clone();
        blocking(move || blobs.put_now(&mut reader, limit_bytes)).await
    }

    /// [`Blobs::put_reader`] for who is on a thread that may wait.
    pub(crate) fn put_now(&self, reader: &mut dyn Read, limit_bytes: u64) -> Result<(Digest, u64), Error> {
        let mut writing = self.begin_now()?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let read = reader.read(&mut buffer).map_err(|cause| self.folder.failed("fill", &cause))?;
            if read == 0 {
                break;
            }
            let size_bytes = writing.size_bytes + read as u64;
            if size_bytes > limit_bytes {
                return Err(Error::TooLarge { what: "blob", size_bytes, limit_bytes });
            }
            writing.write(&buffer[..read])?;
        }
        let size_bytes = writing.size_bytes;
        Ok((writing.finish()?, size_bytes))
    }

    /// Begins a blob that is written piece by piece. Its pieces are written on the caller's thread, so call this and what
    /// it gives where waiting for the disk holds up nobody.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`].
    pub fn begin_now(&self) -> Result<Writing, Error> {
        Ok(Writing {
            file: self.folder.begin(0)?,
            folder: Arc::clone(&self.folder),
            hasher: Hasher::new(),
            size_bytes: 0,
        })
    }

    /// Takes hold of all blobs at the moment of `now`, so that none is removed meanwhile: they are linked into a folder that
    /// goes when it is dropped. Costs no room on the disk.
    ///
    /// # Errors
    /// What `now` answers; [`Error::Io`].
    pub(crate) fn pin<T>(&self, now: impl FnOnce() -> Result<T, Error>) -> Result<(T, Pinned), Error> {
        let places = &self.folder;
        let made = tempfile::Builder::new().prefix("backup-").tempdir_in(&places.tmp);
        let folder = made.map_err(|cause| places.failed("begin", &cause))?;
        let _removing = places.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = now()?;
        let found = places.list()?;
        for (digest, _) in &found {
            let path = places.path(digest);
            let linked = fs::hard_link(&path, folder.path().join(digest.to_string()));
            linked.map_err(|cause| Error::io("take hold of", &path, &cause))?;
        }
        Ok((moment, Pinned { folder, found }))
    }

    /// The bytes of a blob, checked against their name; none if there is no such blob.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the disk changed them, [`Error::TooLarge`] over 250 MiB (use [`Blobs::file`]), [`Error::Io`].
    pub async fn read(&self, digest: &Digest) -> Result<Option<Bytes>, Error> {
        let (folder, digest) = (Arc::clone(&self.folder), *digest);
        blocking(move || {
            let Some((file, size_bytes)) = folder.open(&digest)? else { return Ok(None) };
            if size_bytes > READ_BYTES {
                return Err(Error::TooLarge { what: "blob", size_bytes, limit_bytes: READ_BYTES });
            }
            let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
            let path = folder.path(&digest);
            file.take(READ_BYTES).read_to_end(&mut bytes).map_err(|cause| Error::io("read", &path, &cause))?;
            if Digest::of(&bytes) != digest {
                return Err(Error::Corrupt(path.display().to_string()));
            }
            Ok(Some(bytes.into()))
        })
        .await
    }

    /// [`Blobs::file`] for who is on a thread that may wait.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn file_now(&self, digest: &Digest) -> Result<Option<(File, u64)>, Error> {
        self.folder.open(digest)
    }

    /// A blob's file, open for reading, with its size in bytes; none if there is no such blob.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn file(&self, digest: &Digest) -> Result<Option<(File, u64)>, Error> {
        let (folder, digest) = (Arc::clone(&self.folder), *digest);
        blocking(move || folder.open(&digest)).await
    }

    /// The size of a blob in bytes; none if there is no such blob.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(self.file(digest).await?.map(|(_, size_bytes)| size_bytes))
    }

    /// True if the blob is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn exists(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.size(digest).await?.is_some())
    }

    /// Removes a blob; false if there was none. Whoever has its file open reads on. That nothing refers to it any more,
    /// and that nobody is putting the same bytes again meanwhile, is for the caller to know.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn remove(&self, digest: &Digest) -> Result<bool, Error> {
        let (folder, digest) = (Arc::clone(&self.folder), *digest);
        blocking(move || {
            let path = folder.path(&digest);
            let _removing = folder.removing.lock().unwrap_or_else(PoisonError::into_inner);
            match fs::remove_file(&path) {
                Ok(()) => Ok(true),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(cause) => Err(Error::io("remove", &path, &cause)),
            }
        })
        .await
    }

    /// Every blob with its size in bytes, in the order of their digests.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn list(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let folder = Arc::clone(&self.folder);
        blocking(move || folder.list()).await
    }
}

/// A blob that is being written. Dropped before [`Writing::finish`], it leaves nothing behind.
pub struct Writing {
    file: tempfile::NamedTempFile,
    folder: Arc<Places>,
    hasher: Hasher,
    size_bytes: u64,
}

impl Writing {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]; the blob is then of no use.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let before = self.size_bytes;
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes / CHECK_BYTES > before / CHECK_BYTES {
            let wanted = CHECK_BYTES.max(bytes.len() as u64);
            disk::check_room(&self.folder.tmp, wanted)?;
            self.folder.room.check(wanted)?;
        }
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|cause| self.folder.failed("write", &cause))
    }

    /// Bytes written so far.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Makes it durable under its name; answers that.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]; nothing half-written stays behind.
    pub fn finish(self) -> Result<Digest, Error> {
        self.sync()?.name()
    }

    /// Makes its bytes durable. It has no name yet, so that what shall be known of it can be written first.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`].
    pub fn sync(self) -> Result<Unnamed, Error> {
        self.file.as_file().sync_all().map_err(|cause| self.folder.failed("sync", &cause))?;
        Ok(Unnamed { file: self.file, folder: self.folder, digest: self.hasher.finish() })
    }
}

/// A blob that is on the disk but has no name. Dropped before [`Unnamed::name`], it leaves nothing behind.
pub struct Unnamed {
    file: tempfile::NamedTempFile,
    folder: Arc<Places>,
    digest: Digest,
}

impl Unnamed {
    /// What it will be called.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its bytes.
    pub(crate) fn open(&self) -> Result<File, Error> {
        self.file.reopen().map_err(|cause| self.folder.failed("read", &cause))
    }

    /// Gives it its name; durable when this answers.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]; nothing stays behind.
    pub fn name(self) -> Result<Digest, Error> {
        if !self.folder.keep(&self.digest)? {
            self.folder.persist(self.file, &self.digest)?;
        }
        Ok(self.digest)
    }
}

/// Blobs that stay although they are removed.
pub(crate) struct Pinned {
    folder: tempfile::TempDir,
    /// Which, with their sizes in bytes, sorted.
    pub(crate) found: Vec<(Digest, u64)>,
}

impl Pinned {
    /// One of them, open for reading.
    pub(crate) fn open(&self, digest: &Digest) -> Result<File, Error> {
        let path = self.folder.path().join(digest.to_string());
        File::open(&path).map_err(|cause| Error::io("open", &path, &cause))
    }
}

impl Places {
    /// `blobs/ab/cdef…`: 256 folders keep each of them short.
    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.blobs.join(&name[..2]).join(&name[2..])
    }

    fn failed(&self, what: &str, cause: &io::Error) -> Error {
        Error::io(&format!("{what} a new file in"), &self.tmp, cause)
    }

    fn begin(&self, size_bytes: u64) -> Result<tempfile::NamedTempFile, Error> {
        disk::check_room(&self.tmp, size_bytes)?;
        self.room.check(size_bytes)?;
        tempfile::NamedTempFile::new_in(&self.tmp).map_err(|cause| self.failed("make", &cause))
    }

    /// Puts a written file in its place: the content is on the disk before the name is, and the name before the answer.
    fn finish(&self, file: tempfile::NamedTempFile, digest: &Digest) -> Result<(), Error> {
        file.as_file().sync_all().map_err(|cause| self.failed("sync", &cause))?;
        self.persist(file, digest)
    }

    /// Names a file whose content is on the disk.
    fn persist(&self, file: tempfile::NamedTempFile, digest: &Digest) -> Result<(), Error> {
        let path = self.path(digest);
        let shelf = path.parent().expect("a blob's path has a folder");
        match fs::create_dir(shelf) {
            Ok(()) => sync_folder(&self.blobs)?,
            // Made by another put, perhaps only now: its name must be on the disk before ours counts.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => sync_folder(&self.blobs)?,
            Err(cause) => return Err(Error::io("make", shelf, &cause)),
        }
        file.persist(&path).map_err(|failed| Error::io("write", &path, &failed.error))?;
        sync_folder(shelf).inspect_err(|_| {
            // A later sync of the folder would succeed and mean nothing: the next put must begin anew. If the name cannot
            // be taken back, the disk takes nothing any more, and says so then.
            let _ = fs::remove_file(&path);
        })
    }

    /// True if the blob is there and will stay there. The sync is for the case that another put of the same bytes has
    /// just named it and not yet synced the name.
    fn keep(&self, digest: &Digest) -> Result<bool, Error> {
        let path = self.path(digest);
        if !path.exists() {
            return Ok(false);
        }
        sync_folder(&self.blobs)?;
        sync_folder(path.parent().expect("a blob's path has a folder"))?;
        Ok(true)
    }

    fn open(&self, digest: &Digest) -> Result<Option<(File, u64)>, Error> {
        let path = self.path(digest);
        let opened = File::open(&path).and_then(|file| {
            let size_bytes = file.metadata()?.len();
            Ok((file, size_bytes))
        });
        match opened {
            Ok(found) => Ok(Some(found)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io("open", &path, &cause)),
        }
    }

    fn list(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let mut found = Vec::new();
        for shelf in entries(&self.blobs)? {
            for path in entries(&shelf)? {
                let name =
                    [&shelf, &path].map(|part| part.file_name().and_then(|name| name.to_str()).unwrap_or_default());
                let Ok(digest) = name.concat().parse() else { continue };
                match path.metadata() {
                    Ok(data) => found.push((digest, data.len())),
                    // Removed since the folder was read.
                    Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                    Err(cause) => return Err(Error::io("read", &path, &cause)),
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    read.map_err(|cause| Error::io("read", folder, &cause))
}
