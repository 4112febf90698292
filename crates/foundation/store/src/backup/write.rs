use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::rows::{PART_BYTES, append};
use super::{Contents, FORM, FORM_ENTRY, MANIFEST_ENTRY, Manifest, names};
use crate::digest::Hasher;
use crate::folder::digests_in;
use crate::migrate::FORMAT;
use crate::{Blobs, Digest, Error, Folder, Kv, Range, Snapshot, Space};

/// Rows read at a time: they may be 8 MiB each.
const PAGE_ROWS: usize = 16;

/// Writes a backup of everything in the folder at one moment to `to`, while the store goes on.
///
/// It blocks: call it where that holds up nobody. Each blob is checked against its name on the way. `to` is not synced.
///
/// # Errors
/// [`Error::Corrupt`] if a blob is damaged, [`Error::Io`] if anything cannot be read or written.
pub fn backup(folder: &Folder, kv: &dyn Kv, blobs: &Blobs, to: impl Write) -> Result<Contents, Error> {
    // Rows and blobs of the same moment: a blob is put before the row that names it and removed after it.
    let (moment, pinned) = blobs.pin(|| kv.snapshot())?;
    let mut archive = tar::Builder::new(Packed::new(to));
    add(&mut archive, FORM_ENTRY, FORM.as_bytes())?;
    let mut parts = Parts { archive: &mut archive, part: Vec::new(), digests: Vec::new(), rows: 0 };
    for space in Space::ALL {
        parts.space(moment.as_ref(), space)?;
    }
    parts.close()?;
    let (rows, parts) = (parts.rows, parts.digests);
    // From here on the engine may let old values go.
    drop(moment);
    // Code is packed already: packing it again would only take time.
    archive.get_mut().level(Compression::none()).map_err(|cause| failed(&cause))?;
    for (digest, size_bytes) in &pinned.found {
        let mut file = Hashing { file: pinned.open(digest)?, hasher: Hasher::new() };
        let path = format!("blobs/{digest}");
        archive.append_data(&mut header(*size_bytes), &path, &mut file).map_err(|cause| failed(&cause))?;
        if file.hasher.finish() != *digest {
            return Err(Error::Corrupt(format!("the blob {digest}")));
        }
    }
    let manifest = Manifest {
        format: FORMAT,
        test: folder.made_for_tests(),
        rows,
        parts: names(&parts),
        blobs: pinned.found.iter().map(|(digest, size_bytes)| (digest.to_string(), *size_bytes)).collect(),
        trees: names(&digests_in(&folder.trees())?),
    };
    let text = serde_json::to_vec_pretty(&manifest).expect("texts and numbers have a JSON form");
    add(&mut archive, MANIFEST_ENTRY, &text)?;
    archive.into_inner().and_then(Packed::finish).map_err(|cause| failed(&cause))?;
    Ok(manifest.contents())
}

type Archive<W> = tar::Builder<Packed<W>>;

/// A gzip of several members, each packed at its own level; readers take them for one.
struct Packed<W: Write>(Option<GzEncoder<W>>);

impl<W: Write> Packed<W> {
    fn new(to: W) -> Self {
        Self(Some(GzEncoder::new(to, Compression::fast())))
    }

    fn member(&mut self) -> io::Result<&mut GzEncoder<W>> {
        // None only after a change of level that failed.
        self.0.as_mut().ok_or_else(|| io::Error::other("the file could not be written on"))
    }

    fn level(&mut self, level: Compression) -> io::Result<()> {
        if let Some(member) = self.0.take() {
            self.0 = Some(GzEncoder::new(member.finish()?, level));
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        self.0.map_or(Ok(()), |member| member.finish()?.flush())
    }
}

impl<W: Write> Write for Packed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.member()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.member()?.flush()
    }
}

/// The rows, collected into parts.
struct Parts<'a, W: Write> {
    archive: &'a mut Archive<W>,
    part: Vec<u8>,
    digests: Vec<Digest>,
    rows: u64,
}

impl<W: Write> Parts<'_, W> {
    fn space(&mut self, moment: &dyn Snapshot, space: Space) -> Result<(), Error> {
        let mut range = Range::all();
        loop {
            let rows = moment.range(space, range.clone(), PAGE_ROWS, false)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = range.after(last.clone());
            for (key, value) in rows {
                append(&mut self.part, space, &key, &value);
                self.rows += 1;
                if self.part.len() >= PART_BYTES {
                    self.close()?;
                }
            }
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        if !self.part.is_empty() {
            add(self.archive, &format!("rows/{:08}", self.digests.len()), &self.part)?;
            self.digests.push(Digest::of(&self.part));
            self.part.clear();
        }
        Ok(())
    }
}

/// A file that is hashed as it is read.
struct Hashing<R> {
    file: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

fn header(size_bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size_bytes);
    header.set_mode(0o600);
    header
}

fn add<W: Write>(archive: &mut Archive<W>, path: &str, bytes: &[u8]) -> Result<(), Error> {
    archive.append_data(&mut header(bytes.len() as u64), path, bytes).map_err(|cause| failed(&cause))
}

fn failed(cause: &io::Error) -> Error {
    if cause.kind() == io::ErrorKind::StorageFull {
        return Error::Full;
    }
    Error::Io { what: "cannot write the backup".into(), cause: cause.to_string().into() }
}
