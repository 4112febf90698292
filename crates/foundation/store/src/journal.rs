//! The engine's journal, looked through before the engine reads it.
//!
//! Left to itself the engine refuses to start when it was killed while making its files, or when a power loss kept the
//! end of an unsynced group and lost its middle, and silently cuts the journal off where synced bytes were damaged later. The first two must not stop the platform, the
//! last must not go unnoticed. The format is that of fjall 3.1, which is why its version is pinned.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::Error;

/// Cuts an unfinished group off the end of the newest journal, which was never acknowledged, and writes the last whole one
/// once more.
///
/// A group is written only after the one before it was synced, so at most the last one can be unfinished: bytes that do
/// not read, with a whole group behind them, are damage. And only the last one may be in the kernel's memory alone, after a
/// sync that failed: it can be read, but no later sync would write it, and the groups that follow would stand behind a hole.
///
/// # Errors
/// [`Error::Corrupt`] if acknowledged groups are damaged; the journal is left as it is. [`Error::Io`].
pub(crate) fn mend(folder: &Path) -> Result<(), Error> {
    let journals = journals(folder)?;
    for (position, path) in journals.iter().enumerate() {
        let bytes = fs::read(path).map_err(|cause| Error::io("read", path, &cause))?;
        // Journals are made longer than what is in them; no group ends in zeros.
        let written = without_zeros(&bytes).len();
        let bytes = &bytes[..written];
        let (last, whole) = whole_groups(bytes);
        let newest = position + 1 == journals.len();
        if newest && last < whole {
            let rewritten = OpenOptions::new().write(true).open(path).and_then(|file| {
                file.write_all_at(&bytes[last..whole], last as u64)?;
                file.sync_all()
            });
            rewritten.map_err(|cause| Error::io("sync", path, &cause))?;
        }
        if whole == written {
            continue;
        }
        if !newest || a_group_follows(&bytes[whole..]) {
            return Err(Error::Corrupt(format!("the journal {} at byte {whole}", path.display())));
        }
        let lost_bytes = written - whole;
        tracing::warn!(path = %path.display(), lost_bytes, "cut an unfinished, never acknowledged write off the journal");
        let cut = OpenOptions::new().write(true).open(path).and_then(|file| {
            file.set_len(whole as u64)?;
            file.sync_all()
        });
        cut.map_err(|cause| Error::io("cut", path, &cause))?;
    }
    Ok(())
}

/// Empties the journal after everything in it stands in tables and the engine is closed, so that the next start has
/// nothing to read. It is emptied and not removed: the engine numbers writes on from its tables only if it finds one.
pub(crate) fn empty(folder: &Path) -> Result<(), Error> {
    // More than one means that the engine still wants the older ones; the next start will use them up.
    if let [journal] = &journals(folder)?[..] {
        let emptied = OpenOptions::new().write(true).open(journal).and_then(|file| {
            file.set_len(0)?;
            file.sync_all()
        });
        emptied.map_err(|cause| Error::io("empty", journal, &cause))?;
    }
    Ok(())
}

/// Removes what is left of a store whose making was interrupted, which the engine can neither open nor make again.
///
/// The engine writes its version last, before anything else can be written: without it there is nothing to lose, and if
/// there is something after all, the folder is left as it is.
///
/// # Errors
/// [`Error::Corrupt`] if the version is missing and rows are there. [`Error::Io`].
pub(crate) fn clear_unfinished(folder: &Path) -> Result<(), Error> {
    let made =
        fs::read(folder.join("version")).is_ok_and(|version| version.len() > MAGIC.len() && version.starts_with(MAGIC));
    if made || !folder.exists() {
        return Ok(());
    }
    let mut rows = fs::read_dir(folder.join("keyspaces")).is_ok_and(|mut tables| tables.next().is_some());
    for journal in journals(folder)? {
        let bytes = fs::read(&journal).map_err(|cause| Error::io("read", &journal, &cause))?;
        rows |= !without_zeros(&bytes).is_empty();
    }
    if rows {
        return Err(Error::Corrupt(format!("the version of the rows in {}", folder.display())));
    }
    fs::remove_dir_all(folder).map_err(|cause| Error::io("remove", folder, &cause))
}

/// The journals, oldest first; none if there is no store yet.
fn journals(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |cause: io::Error| Error::io("read", folder, &cause);
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The bytes without the zeros at their end. Page by page: a comparison of pages is fast in every build.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    const ZEROS: [u8; 4096] = [0; 4096];
    let pages = bytes.rchunks(ZEROS.len()).take_while(|page| **page == ZEROS[..page.len()]).count();
    let bytes = &bytes[..bytes.len().saturating_sub(pages * ZEROS.len())];
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Where the last of the whole groups that `journal` begins with stands: its first byte, and the byte behind it.
fn whole_groups(journal: &[u8]) -> (usize, usize) {
    let (mut last, mut end) = (0, 0);
    while let Some(bytes) = group(&journal[end..]) {
        last = end;
        end += bytes;
    }
    (last, end)
}

/// True if a whole group begins anywhere behind the first byte.
fn a_group_follows(rest: &[u8]) -> bool {
    (1..rest.len()).any(|at| rest[at] == START && group(&rest[at..]).is_some())
}

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// What the engine's version begins with; one byte follows.
const MAGIC: &[u8] = b"FJL";
/// What a group's last bytes are.
const TRAILER: &[u8] = b"FJL\x03";

/// The length of the group that `bytes` begin with, none if it is not whole: a start with the number of entries, the
/// entries, and an end with their checksum.
fn group(bytes: &[u8]) -> Option<usize> {
    let mut at = Cursor { bytes, at: 0 };
    (at.number(1)? == u64::from(START)).then_some(())?;
    let entries = at.number(4)?;
    let _sequence = at.number(8)?;
    let first = at.at;
    for _ in 0..entries {
        at.entry()?;
    }
    let last = at.at;
    (at.number(1)? == u64::from(END)).then_some(())?;
    let checksum = at.number(8)?;
    (at.skip(TRAILER.len())? == TRAILER && xxh3_64(&bytes[first..last]) == checksum).then_some(at.at)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn skip(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let skipped = self.bytes.get(self.at..self.at.checked_add(bytes)?)?;
        self.at += bytes;
        Some(skipped)
    }

    /// A number of `bytes` bytes, little-endian.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.skip(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn entry(&mut self) -> Option<()> {
        match u8::try_from(self.number(1)?).ok()? {
            ITEM => {
                let (_kind, _compression, _keyspace) = (self.number(1)?, self.number(1)?, self.number(8)?);
                let key_bytes = self.number(2)?;
                let _unpacked_bytes = self.number(4)?;
                let value_bytes = self.number(4)?;
                self.skip(usize::try_from(key_bytes + value_bytes).ok()?)?;
            }
            CLEAR => {
                self.number(8)?;
            }
            _ => return None,
        }
        Some(())
    }
}
