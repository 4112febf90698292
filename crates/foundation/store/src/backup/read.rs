use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use tokio::runtime::Handle;

use super::rows::{self, LARGEST_PART_BYTES};
use super::{Contents, FORM, FORM_ENTRY, MANIFEST_ENTRY, Manifest};
use crate::digest::Hasher;
use crate::folder::{make_folders, sync_folder};
use crate::migrate::FORMAT;
use crate::{Batch, Blobs, Digest, Error, Folder, Kv, Use, Write};

/// The largest manifest: some hundred bytes a blob, for millions of them.
const MANIFEST_BYTES: u64 = 1024 * 1024 * 1024;

/// Reads a backup to its end and checks every digest in it. It blocks.
///
/// # Errors
/// [`Error::Backup`] says what is wrong with it, [`Error::Newer`] that a newer version wrote it; [`Error::Io`].
pub fn verify(from: impl Read) -> Result<Contents, Error> {
    Ok(read(from, &mut Nowhere)?.contents())
}

/// Restores a backup into the folder at `data`, which must be empty or not exist. Nothing stands there before everything
/// is read, checked and on the disk. It blocks, within a tokio runtime.
///
/// # Errors
/// [`Error::NotEmpty`]; as [`verify`]; [`Error::Full`], [`Error::Io`].
pub fn restore(from: impl Read, data: &Path) -> Result<Contents, Error> {
    let data = std::path::absolute(data).map_err(|cause| Error::io("find", data, &cause))?;
    let parent = data.parent().ok_or_else(|| Error::NotEmpty(data.display().to_string()))?;
    refuse_full(&data)?;
    make_folders(parent)?;
    // Beside the target, so that it can be renamed into place; removed with everything in it on every way out but that.
    let made = tempfile::Builder::new().prefix(".lambent-restore-").tempdir_in(parent);
    let place = made.map_err(|cause| Error::io("make a folder in", parent, &cause))?;
    let path = place.path().join("data");
    let mut into = Into::open(&path)?;
    let read = read(from, &mut into);
    let closed = Handle::current().block_on(into.kv.close());
    drop(into);
    let manifest = read?;
    closed?;
    if manifest.test {
        // The mark of a folder made for tests comes with its making, so a sound one is made anew around the rows.
        Folder::mark_for_tests(&path)?;
    }
    refuse_full(&data)?;
    fs::rename(&path, &data).map_err(|cause| Error::io("write", &data, &cause))?;
    sync_folder(parent)?;
    Ok(manifest.contents())
}

fn refuse_full(data: &Path) -> Result<(), Error> {
    match fs::read_dir(data) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::NotEmpty(data.display().to_string())),
        },
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Error::io("read", data, &cause)),
    }
}

/// What becomes of what is read.
trait Sink {
    fn rows(&mut self, rows: Vec<Write>) -> Result<(), Error>;
    /// The bytes of a blob; answers their digest and number.
    fn blob(&mut self, bytes: &mut dyn Read, size_bytes: u64) -> Result<(Digest, u64), Error>;
}

struct Nowhere;

impl Sink for Nowhere {
    fn rows(&mut self, _: Vec<Write>) -> Result<(), Error> {
        Ok(())
    }

    fn blob(&mut self, bytes: &mut dyn Read, _: u64) -> Result<(Digest, u64), Error> {
        let (mut hasher, mut size_bytes, mut buffer) = (Hasher::new(), 0, vec![0; 128 * 1024]);
        loop {
            let read = bytes.read(&mut buffer).map_err(|cause| broken(&cause))?;
            if read == 0 {
                return Ok((hasher.finish(), size_bytes));
            }
            hasher.update(&buffer[..read]);
            size_bytes += read as u64;
        }
    }
}

/// A new data folder.
struct Into {
    kv: Arc<dyn Kv>,
    blobs: Blobs,
    // Holds the lock, so it goes last.
    _folder: Folder,
}

impl Into {
    fn open(path: &Path) -> Result<Self, Error> {
        let folder = Folder::open(path, Use::Keep)?;
        Ok(Self { kv: crate::open(&folder.kv())?, blobs: Blobs::at(&folder), _folder: folder })
    }
}

impl Sink for Into {
    fn rows(&mut self, rows: Vec<Write>) -> Result<(), Error> {
        let write = move |_: &crate::Rows| {
            let mut batch = Batch::new();
            for row in &rows {
                batch.put(row.space, row.key.clone(), row.value.clone().unwrap_or_default());
            }
            Ok(batch)
        };
        Handle::current().block_on(self.kv.transact(vec![], Box::new(write)))
    }

    fn blob(&mut self, bytes: &mut dyn Read, size_bytes: u64) -> Result<(Digest, u64), Error> {
        let mut bytes = Broken { bytes, how: None };
        let put = self.blobs.put_now(&mut bytes, size_bytes);
        match bytes.how {
            Some(how) => Err(how),
            None => put,
        }
    }
}

/// Tells what the backup cannot give from what the disk cannot take.
struct Broken<'a> {
    bytes: &'a mut dyn Read,
    how: Option<Error>,
}

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer).inspect_err(|cause| self.how = Some(broken(cause)))
    }
}

/// Walks through a backup once, and compares what was in it with what its end says.
fn read(from: impl Read, sink: &mut dyn Sink) -> Result<Manifest, Error> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(from));
    let mut found = Found::default();
    for entry in archive.entries().map_err(|cause| broken(&cause))? {
        let mut entry = match entry {
            Err(_) if !found.form => return Err(Error::Backup("the file is something else".into())),
            entry => entry.map_err(|cause| broken(&cause))?,
        };
        let path = entry.path().map_err(|cause| broken(&cause))?.to_string_lossy().into_owned();
        if found.manifest.is_some() {
            return Err(Error::Backup(format!("{path} stands behind its end")));
        }
        if !found.form {
            if path != FORM_ENTRY {
                return Err(Error::Backup("the file is something else".into()));
            }
            let form = whole(&mut entry, 16)?;
            if form != FORM.as_bytes() {
                return Err(Error::Backup("a newer version wrote it; use that version to restore it".into()));
            }
            found.form = true;
        } else if path == MANIFEST_ENTRY {
            let text = whole(&mut entry, MANIFEST_BYTES)?;
            let manifest = serde_json::from_slice(&text).map_err(|_| Error::Backup("its end does not read".into()))?;
            found.manifest = Some(manifest);
        } else if path.starts_with("rows/") {
            let part = whole(&mut entry, LARGEST_PART_BYTES)?;
            found.parts.push(Digest::of(&part).to_string());
            let rows = rows::read(part)?;
            found.rows += rows.len() as u64;
            sink.rows(rows)?;
        } else if let Some(name) = path.strip_prefix("blobs/") {
            let size_bytes = entry.size();
            let (digest, size_bytes) = sink.blob(&mut entry, size_bytes)?;
            if digest.to_string() != name {
                return Err(Error::Backup(format!("the blob {name} is damaged")));
            }
            found.blobs.push((digest.to_string(), size_bytes));
        } else {
            return Err(Error::Backup(format!("it has {path} in it, which no backup has")));
        }
    }
    // The end of the archive is not the end of the file: there the compression has a checksum of everything.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|cause| broken(&cause))?;
    found.compare()
}

/// What was read so far.
#[derive(Default)]
struct Found {
    form: bool,
    rows: u64,
    parts: Vec<String>,
    blobs: Vec<(String, u64)>,
    manifest: Option<Manifest>,
}

impl Found {
    fn compare(self) -> Result<Manifest, Error> {
        let manifest = self.manifest.ok_or_else(|| Error::Backup("its end is missing".into()))?;
        if manifest.format > FORMAT {
            return Err(Error::Newer { path: "in the backup".into(), found: manifest.format, ours: FORMAT });
        }
        if manifest.format < FORMAT {
            return Err(Error::Backup(format!("its rows have the older format {}", manifest.format)));
        }
        if (self.rows, &self.parts, &self.blobs) != (manifest.rows, &manifest.parts, &manifest.blobs) {
            return Err(Error::Backup("what is in it is not what its end says".into()));
        }
        Ok(manifest)
    }
}

fn whole(entry: &mut impl Read, limit_bytes: u64) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    entry.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(|cause| broken(&cause))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::Backup("a part of it is too large".into()));
    }
    Ok(bytes.into())
}

fn broken(cause: &io::Error) -> Error {
    Error::Backup(format!("it does not read to its end: {cause}"))
}
