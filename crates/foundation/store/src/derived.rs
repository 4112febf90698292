use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::blocking::blocking;
use crate::disk::Room;
use crate::folder::sync_folder;
use crate::{Error, Folder, disk};

/// Files that are made of what else is kept, under names that the caller chooses: letters, digits, `.` and `-`. Two kinds have a
/// folder each: snapshots of functions after INIT, and bytecode of their code.
///
/// They can be made again, so that a backup leaves them out. Readable for everybody who can get at them, which is nobody but
/// their sandboxes: the data folder is closed. Clones share the folder.
#[derive(Debug, Clone)]
pub struct Derived {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    folder: PathBuf,
    tmp: PathBuf,
    room: Arc<Room>,
}

/// A file that is written and has no name yet. Dropped without [`Written::keep`] it goes.
#[derive(Debug)]
pub struct Written {
    file: tempfile::NamedTempFile,
    places: Arc<Places>,
}

impl Derived {
    /// The snapshots of a data folder, which must stay open for as long as they are used.
    #[must_use]
    pub fn snapshots(folder: &Folder) -> Self {
        Self::in_folder(folder, folder.snapshots())
    }

    /// The bytecode of a data folder, likewise.
    #[must_use]
    pub fn bytecode(folder: &Folder) -> Self {
        Self::in_folder(folder, folder.bytecode())
    }

    fn in_folder(data: &Folder, folder: PathBuf) -> Self {
        Self { places: Arc::new(Places { folder, tmp: data.tmp(), room: data.room() }) }
    }

    /// Writes the pieces that come until there are no more. Whether they are all of it is for the caller to know.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]; nothing half-written stays behind.
    pub async fn write(&self, mut pieces: mpsc::Receiver<Bytes>) -> Result<Written, Error> {
        let places = Arc::clone(&self.places);
        blocking(move || {
            let failed = |cause: io::Error| Error::io("write a new file in", &places.tmp, &cause);
            let mut file = tempfile::NamedTempFile::new_in(&places.tmp).map_err(failed)?;
            while let Some(piece) = pieces.blocking_recv() {
                disk::check_room(&places.tmp, piece.len() as u64)?;
                places.room.check(piece.len() as u64)?;
                file.write_all(&piece).map_err(failed)?;
            }
            file.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
            file.as_file().sync_all().map_err(failed)?;
            drop(pieces);
            Ok(Written { file, places })
        })
        .await
    }

    /// Where a file is; none when there is none of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.places.folder.join(name);
        path.is_file().then_some(path)
    }

    /// The same, of a file that is there with nothing in it: not even a path.
    #[must_use]
    pub fn find_full(&self, name: &str) -> Option<Option<PathBuf>> {
        let path = self.places.folder.join(name);
        let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some((found.len() > 0).then_some(path))
    }

    /// Removes a file, if it is there. What is mapped from it stays mapped.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.places.folder.join(name);
        blocking(move || match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, &cause)),
            _ => Ok(()),
        })
        .await
    }

    /// The names of all files.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let folder = self.places.folder.clone();
        blocking(move || {
            let failed = |cause: io::Error| Error::io("list", &folder, &cause);
            let mut names = Vec::new();
            for entry in fs::read_dir(&folder).map_err(failed)? {
                names.extend(entry.map_err(failed)?.file_name().into_string());
            }
            Ok(names)
        })
        .await
    }
}

impl Written {
    /// Where it is until it has a name.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives it a name, in place of what had it before.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn keep(self, name: &str) -> Result<(), Error> {
        let path = self.places.folder.join(name);
        blocking(move || {
            self.file.persist(&path).map_err(|failed| Error::io("write", &path, &failed.error))?;
            sync_folder(&self.places.folder)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Use;

    #[tokio::test]
    async fn a_file_has_its_name_only_when_it_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(&parent.path().join("data"), Use::Test).unwrap();
        let snapshots = Derived::snapshots(&folder);
        let write = |text: &'static str| {
            let (sender, receiver) = mpsc::channel(4);
            sender.try_send(Bytes::from_static(text.as_bytes())).unwrap();
            snapshots.write(receiver)
        };
        let dropped = write("one").await.unwrap();
        assert_eq!(fs::read(dropped.path()).unwrap(), b"one");
        drop(dropped);
        assert_eq!((snapshots.find("a"), snapshots.list().await.unwrap().len()), (None, 0));
        write("one").await.unwrap().keep("a").await.unwrap();
        write("two").await.unwrap().keep("a").await.unwrap();
        let path = snapshots.find("a").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.tmp()).unwrap().count(), 0);
        snapshots.remove("a").await.unwrap();
        snapshots.remove("a").await.unwrap();
        assert_eq!(snapshots.list().await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_file_without_bytes_is_told_from_none() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(&parent.path().join("data"), Use::Test).unwrap();
        let bytecode = Derived::bytecode(&folder);
        let write = |bytes: &'static [u8]| {
            let (sender, receiver) = mpsc::channel(1);
            sender.try_send(Bytes::from_static(bytes)).unwrap();
            bytecode.write(receiver)
        };
        write(b"").await.unwrap().keep("empty").await.unwrap();
        write(b"full").await.unwrap().keep("full").await.unwrap();
        assert_eq!((bytecode.find_full("none"), bytecode.find_full("empty")), (None, Some(None)));
        assert_eq!(bytecode.find_full("full"), Some(bytecode.find("full")));
        assert_eq!(Derived::snapshots(&folder).list().await.unwrap().len(), 0);
    }
}
