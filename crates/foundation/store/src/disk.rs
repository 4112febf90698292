use std::path::Path;

use crate::Error;

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
}
