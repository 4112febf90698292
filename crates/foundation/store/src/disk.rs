//! How much room there is, and who may still take some.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::Error;
use crate::trees;

/// Bytes that always stay free on the disk of the data folder, so that the engine can write out and merge what it has
/// accepted, whatever fills the disk.
pub(crate) const RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// Bytes left for us on the disk of `path`.
pub(crate) fn free_bytes(path: &Path) -> Result<u64, Error> {
    fs4::available_space(path).map_err(|cause| Error::io("ask for the free space of", path, &cause))
}

/// Refuses what would eat into the reserve.
///
/// # Errors
/// [`Error::Full`], [`Error::Io`].
pub(crate) fn check_room(path: &Path, size_bytes: u64) -> Result<(), Error> {
    if free_bytes(path)? < size_bytes.saturating_add(RESERVE_BYTES) { Err(Error::Full) } else { Ok(()) }
}

/// Percent of the budget from which on the oldest logs shall go.
const LOW_PERCENT: u64 = 90;
/// Percent of the budget from which on nothing new is taken in.
const FULL_PERCENT: u64 = 95;
/// The folder is measured again once a two-hundredth of the budget was written since: half a percent of staleness.
const STALE_PART: u64 = 200;

/// How full the budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Plenty,
    Low,
    Full,
}

/// The room a data folder may take: its budget, and never more than the disk has.
///
/// Nothing ticks: whoever writes asks. What the folder holds is measured when enough was written since the last time, or
/// when the answer would be a refusal; what the disk has left is asked for each time, which costs a microsecond.
#[derive(Debug)]
pub(crate) struct Room {
    path: PathBuf,
    state: Mutex<State>,
    /// Counts how often the room was found low.
    low: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// None: all that the disk has.
    budget_bytes: Option<u64>,
    /// None before the first measuring.
    used_bytes: Option<u64>,
    written_bytes: u64,
}

impl Room {
    pub(crate) fn of(path: &Path) -> Self {
        Self { path: path.into(), state: Mutex::default(), low: watch::Sender::new(0) }
    }

    pub(crate) fn set_budget(&self, bytes: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).budget_bytes = Some(bytes);
    }

    pub(crate) fn lows(&self) -> watch::Receiver<u64> {
        self.low.subscribe()
    }

    /// How full the folder is, once `more_bytes` are written to it.
    pub(crate) fn level(&self, more_bytes: u64) -> Result<Level, Error> {
        let free_bytes = free_bytes(&self.path)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.written_bytes = state.written_bytes.saturating_add(more_bytes);
        let stale = |state: &State| match state.used_bytes {
            None => true,
            Some(used_bytes) => state.written_bytes > state.room(used_bytes, free_bytes) / STALE_PART,
        };
        if stale(&state) || state.level(free_bytes) == Level::Full {
            state.used_bytes = Some(used_bytes(&self.path)?);
            state.written_bytes = more_bytes;
            if state.level(free_bytes) > Level::Plenty {
                // After each measuring, not each write: whoever makes room needs some time for it.
                self.low.send_modify(|count| *count += 1);
            }
        }
        Ok(state.level(free_bytes))
    }

    /// Refuses what takes more room when there is none left.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`].
    pub(crate) fn check(&self, more_bytes: u64) -> Result<(), Error> {
        if self.level(more_bytes)? == Level::Full { Err(Error::Full) } else { Ok(()) }
    }
}

impl State {
    /// All the room there is for the folder, used or not.
    fn room(&self, used_bytes: u64, free_bytes: u64) -> u64 {
        let disk_bytes = used_bytes.saturating_add(free_bytes);
        self.budget_bytes.map_or(disk_bytes, |budget_bytes| budget_bytes.min(disk_bytes))
    }

    fn level(&self, free_bytes: u64) -> Level {
        let used_bytes = self.used_bytes.unwrap_or(0);
        let room = u128::from(self.room(used_bytes, free_bytes));
        let filled = u128::from(used_bytes.saturating_add(self.written_bytes)) * 100;
        match () {
            () if filled >= room * u128::from(FULL_PERCENT) => Level::Full,
            () if filled >= room * u128::from(LOW_PERCENT) => Level::Low,
            () => Level::Plenty,
        }
    }
}

/// Bytes that a data folder takes on the disk. Trees are counted as what was unpacked, not file by file.
fn used_bytes(data: &Path) -> Result<u64, Error> {
    let files = ["kv", "blobs", "snapshots"].iter().map(|part| blocks(&data.join(part))).sum::<Result<u64, _>>()?;
    Ok(files + trees::counted_bytes(&data.join("trees"))?)
}

/// Bytes that a folder takes on the disk, holes in its files not counted.
fn blocks(path: &Path) -> Result<u64, Error> {
    let failed = |cause: std::io::Error| Error::io("measure", path, &cause);
    let entries = match fs::read_dir(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(failed)?,
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // Tables and blobs come and go meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { blocks(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let free = free_bytes(folder.path()).unwrap();
        assert_eq!(check_room(folder.path(), free), Err(Error::Full));
        assert_eq!(check_room(folder.path(), u64::MAX), Err(Error::Full));
    }

    #[test]
    fn a_budget_fills_and_empties() {
        let data = tempfile::tempdir().unwrap();
        let room = Room::of(data.path());
        let lows = room.lows();
        room.set_budget(1_000_000);
        assert_eq!(room.level(0), Ok(Level::Plenty));
        let blob = data.path().join("blobs/ab/cd");
        fs::create_dir_all(blob.parent().unwrap()).unwrap();
        fs::write(&blob, vec![1; 910_000]).unwrap();
        assert_eq!(room.level(6_000), Ok(Level::Low), "measured again after half a percent");
        assert_eq!(*lows.borrow(), 1);
        assert_eq!(room.check(100_000), Err(Error::Full));
        fs::remove_file(&blob).unwrap();
        assert_eq!(room.check(100_000), Ok(()), "and before anything is refused");
    }

    #[test]
    fn without_a_budget_the_disk_is_it() {
        let data = tempfile::tempdir().unwrap();
        let room = Room::of(data.path());
        assert_eq!(room.level(0), Ok(Level::Plenty), "however full others have made the disk");
        let free = free_bytes(data.path()).unwrap();
        assert_eq!(room.check(free / 100 * 97), Err(Error::Full));
    }
}
