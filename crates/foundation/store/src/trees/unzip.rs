//! Unpacks a planned zip into a fresh folder.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use zip::read::{ZipFile, ZipFileEntry};
use zip::result::ZipError as Unreadable;
use zip::{CompressionMethod, ExtraField, ZipArchive};

use super::error::shown;
use super::plan::{Claim, Kind, LINK_BYTES, Plan, check_link};
use super::{Limits, ZipError};
use crate::{Error, disk};

/// What came of unpacking.
pub(super) struct Unpacked {
    pub(super) size_bytes: u64,
    pub(super) files: u64,
}

/// Unpacks `zip` into the empty folder `root`.
pub(super) fn unzip<R: Read + Seek>(mut zip: R, root: &Path, limits: &Limits) -> Result<Unpacked, Error> {
    let entries = claimed_entries(&mut zip).map_err(|cause| not_a_zip(&cause))?;
    if entries > limits.entries as u64 {
        return Err(ZipError::TooManyEntries { entries, limit: limits.entries as u64 }.into());
    }
    let mut archive = ZipArchive::new(zip).map_err(|cause| not_a_zip(&cause))?;
    if archive.has_overlapping_files().map_err(|cause| not_a_zip(&cause))? {
        return Err(ZipError::Overlap.into());
    }
    if archive.has_duplicate_names() {
        return Err(ZipError::SameName.into());
    }
    let claims = claims(&archive)?;
    let plan = Plan::new(&claims, limits)?;
    disk::check_room(root, plan.size_bytes)?;
    let mut unpacker = Unpacker { root, left_bytes: limits.unzipped_bytes, limits, buffer: vec![0; 64 * 1024] };
    let mut files = 0;
    for (path, (kind, index)) in &plan.nodes {
        let claim = index.map(|index| (index, &claims[index]));
        match (kind, claim) {
            (Kind::File { executable }, Some((index, claim))) => {
                files += 1;
                unpacker.file(&mut archive, index, claim, path, *executable)?;
            }
            (Kind::Link, Some((index, claim))) => unpacker.link(&mut archive, index, claim, path)?,
            _ => unpacker.folder(path)?,
        }
    }
    Ok(Unpacked { size_bytes: limits.unzipped_bytes - unpacker.left_bytes, files })
}

fn not_a_zip(cause: &dyn std::fmt::Display) -> Error {
    ZipError::NotAZip(cause.to_string()).into()
}

/// What the archive's directory says, entry by entry; refuses what cannot be read at all.
fn claims<R>(archive: &ZipArchive<R>) -> Result<Vec<Claim>, Error>
where
    R: Read + Seek,
{
    let mut claims = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|cause| not_a_zip(&cause))?;
        let name = name_of(&entry).map_err(|cause| not_a_zip(&cause))?;
        if entry.encrypted() {
            return Err(ZipError::Encrypted { entry: shown(&name) }.into());
        }
        match entry.compression() {
            CompressionMethod::Stored | CompressionMethod::Deflated => {}
            other => return Err(ZipError::Method { entry: shown(&name), method: other.to_string() }.into()),
        }
        claims.push(Claim { name, mode: entry.unix_mode(), size_bytes: entry.size() });
    }
    Ok(claims)
}

/// Zips made on Unix hold UTF-8 without always saying so; only names that are none are read in the zip's old alphabet.
fn name_of(entry: &ZipFileEntry<'_>) -> Result<String, Unreadable> {
    match std::str::from_utf8(entry.name_raw()) {
        Ok(name) => Ok(name.into()),
        Err(_) => Ok(entry.name()?.into_owned()),
    }
}

/// How many entries the zip's end record claims, read before the archive's directory is loaded: fifty megabytes of
/// empty entries would take hundreds in memory.
///
/// Looks for the records by their signatures (APPNOTE 4.3.14 and 4.3.16) in the last 64 KiB, where they must be. Of
/// several candidates, such as one inside the comment, the largest claim counts.
fn claimed_entries<R: Read + Seek>(zip: &mut R) -> io::Result<u64> {
    let length = zip.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(u64::from(u16::MAX) + 22 + 20 + 56);
    zip.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    zip.take(length - start).read_to_end(&mut tail)?;
    let field = |record: &[u8], at: usize, bytes: usize| -> Option<u64> {
        let field = record.get(at..at + bytes)?;
        Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let mut most = 0;
    for at in 0..tail.len() {
        let record = &tail[at..];
        let claimed = if record.starts_with(b"PK\x05\x06") {
            field(record, 10, 2)
        } else if record.starts_with(b"PK\x06\x06") {
            field(record, 32, 8)
        } else {
            None
        };
        most = most.max(claimed.unwrap_or(0));
    }
    Ok(most)
}

struct Unpacker<'a> {
    root: &'a Path,
    limits: &'a Limits,
    /// Bytes that may still be written. What is declared was checked already; this holds against lies.
    left_bytes: u64,
    buffer: Vec<u8>,
}

impl Unpacker<'_> {
    fn folder(&self, path: &str) -> Result<(), Error> {
        let path = self.root.join(path);
        DirBuilder::new().mode(0o755).create(&path).map_err(|cause| Error::io("make", &path, &cause))?;
        // Whatever the process's umask is.
        set_mode(&path, 0o755)
    }

    fn file<R: Read + Seek>(
        &mut self,
        archive: &mut ZipArchive<R>,
        index: usize,
        claim: &Claim,
        path: &str,
        executable: bool,
    ) -> Result<(), Error> {
        let path = self.root.join(path);
        let mut entry = archive.by_index(index).map_err(|cause| damaged(claim, &cause))?;
        let modified = modified(&entry);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = made.map_err(|cause| Error::io("make", &path, &cause))?;
        let mut left = claim.size_bytes;
        loop {
            let read = entry.read(&mut self.buffer).map_err(|cause| damaged(claim, &cause))?;
            if read == 0 {
                break;
            }
            let bytes = read as u64;
            if bytes > left {
                return Err(damaged(claim, &"it is larger than declared"));
            }
            left -= bytes;
            self.spend(bytes)?;
            file.write_all(&self.buffer[..read]).map_err(|cause| Error::io("write", &path, &cause))?;
        }
        if left > 0 {
            return Err(damaged(claim, &"it is shorter than declared"));
        }
        finish(&file, executable, modified).map_err(|cause| Error::io("write", &path, &cause))
    }

    fn link<R: Read + Seek>(
        &mut self,
        archive: &mut ZipArchive<R>,
        index: usize,
        claim: &Claim,
        path: &str,
    ) -> Result<(), Error> {
        let entry = archive.by_index(index).map_err(|cause| damaged(claim, &cause))?;
        let mut target = Vec::new();
        entry.take(LINK_BYTES + 1).read_to_end(&mut target).map_err(|cause| damaged(claim, &cause))?;
        if target.len() as u64 > LINK_BYTES {
            return Err(damaged(claim, &"its target is too long"));
        }
        self.spend(target.len() as u64)?;
        let target = String::from_utf8(target).map_err(|_| damaged(claim, &"its target is not UTF-8"))?;
        check_link(path, &target)?;
        let path = self.root.join(path);
        symlink(&target, &path).map_err(|cause| Error::io("make", &path, &cause))
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        let limit = self.limits.unzipped_bytes;
        self.left_bytes = self.left_bytes.checked_sub(bytes).ok_or(ZipError::TooLarge { limit })?;
        Ok(())
    }
}

/// Readable for all, executable for all or none: the sandbox runs under other users, and a set-user-id bit means nothing
/// good there.
fn finish(file: &File, executable: bool, modified: Option<SystemTime>) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(if executable { 0o755 } else { 0o644 }))?;
    if let Some(modified) = modified {
        file.set_modified(modified)?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|cause| Error::io("set the mode of", path, &cause))
}

fn damaged(claim: &Claim, why: &dyn std::fmt::Display) -> Error {
    ZipError::Damaged { entry: shown(&claim.name), why: why.to_string() }.into()
}

/// When the file was last changed, so that compiled Python that was packed beside its source stays valid: the exact time
/// if the zip has it, otherwise the DOS time, which has no zone, as UTC.
fn modified<R: Read>(entry: &ZipFile<'_, R>) -> Option<SystemTime> {
    let exact = entry.extra_data_fields().find_map(|field| match field {
        ExtraField::ExtendedTimestamp(times) => times.mod_time(),
        _ => None,
    });
    let seconds = exact.map(u64::from).or_else(|| {
        let at = entry.last_modified()?;
        let days = days_since_1970(u64::from(at.year()), u64::from(at.month()), u64::from(at.day()))?;
        Some(days * 86_400 + u64::from(at.hour()) * 3600 + u64::from(at.minute()) * 60 + u64::from(at.second()))
    })?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years begin in March, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_1970() {
        let expected = [((1970, 1, 1), 0), ((1980, 1, 1), 3652), ((2000, 2, 29), 11_016), ((2026, 11, 21), 20_778)];
        for ((year, month, day), days) in expected {
            assert_eq!(days_since_1970(year, month, day), Some(days));
        }
    }
}
