use std::fs;
use std::path::Path;

use crate::Error;
use crate::folder::sync_folder;

/// The format that this program writes.
pub(crate) const FORMAT: u32 = 1;

/// The steps from older formats. Empty until format 2 exists.
pub(crate) const MIGRATIONS: &[Migration] = &[];

/// One step from a format to the next.
pub(crate) struct Migration {
    /// The format it starts from; it ends at the next.
    pub(crate) from: u32,
    /// Changes the rows in the folder `kv`.
    pub(crate) run: fn(kv: &Path) -> Result<(), Error>,
}

/// Brings the rows of the folder at `path` from format `found` to `ours`, one step after the other, and keeps a copy of
/// them as they were in `kv.format-N`. `record` writes the format reached, after each step.
///
/// Blobs and trees are content-addressed and never rewritten, so they need no copy. A migration that was interrupted
/// begins again from the copy.
pub(crate) fn migrate(
    path: &Path,
    found: u32,
    ours: u32,
    migrations: &[Migration],
    record: impl Fn(u32) -> Result<(), Error>,
) -> Result<(), Error> {
    for version in found..ours {
        let Some(step) = migrations.iter().find(|step| step.from == version) else {
            return Err(Error::Corrupt(format!("format {version} of {}", path.display())));
        };
        let (rows, copy) = (path.join("kv"), path.join(format!("kv.format-{version}")));
        if copy.exists() {
            // An earlier attempt may have left the rows half changed.
            fs::remove_dir_all(&rows).map_err(|cause| Error::io("remove", &rows, &cause))?;
            copy_folder(&copy, &rows)?;
        } else {
            let partial = path.join(format!("kv.format-{version}.new"));
            if partial.exists() {
                fs::remove_dir_all(&partial).map_err(|cause| Error::io("remove", &partial, &cause))?;
            }
            copy_folder(&rows, &partial)?;
            fs::rename(&partial, &copy).map_err(|cause| Error::io("write", &copy, &cause))?;
            sync_folder(path)?;
        }
        (step.run)(&rows)?;
        record(version + 1)?;
    }
    Ok(())
}

/// Copies a folder and everything in it, synced.
fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir(to).map_err(|cause| Error::io("make", to, &cause))?;
    for entry in fs::read_dir(from).map_err(|cause| Error::io("read", from, &cause))? {
        let source = entry.map_err(|cause| Error::io("read", from, &cause))?.path();
        let target = to.join(source.file_name().expect("an entry of a folder has a name"));
        if source.is_dir() {
            copy_folder(&source, &target)?;
            continue;
        }
        let copied = fs::copy(&source, &target).and_then(|_| fs::File::open(&target)?.sync_all());
        copied.map_err(|cause| Error::io("copy", &source, &cause))?;
    }
    sync_folder(to)
}

#[cfg(test)]
mod tests {
    use crate::{Folder, Use};

    use super::*;

    fn append(kv: &Path, what: &str) -> Result<(), Error> {
        let file = kv.join("rows");
        let old = fs::read_to_string(&file).unwrap();
        fs::write(&file, old + what).unwrap();
        Ok(())
    }

    const STEPS: &[Migration] =
        &[Migration { from: 1, run: |kv| append(kv, " two") }, Migration { from: 2, run: |kv| append(kv, " three") }];
    const FAILING: &[Migration] = &[
        Migration { from: 1, run: |kv| append(kv, " two") },
        Migration { from: 2, run: |kv| append(kv, " half").and(Err(Error::Closed)) },
    ];

    fn written_by_format_1() -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        drop(Folder::open_as(data.path(), Use::Keep, 1, &[]).unwrap());
        fs::write(data.path().join("kv/rows"), "one").unwrap();
        fs::create_dir(data.path().join("kv/tables")).unwrap();
        fs::write(data.path().join("kv/tables/1"), "table").unwrap();
        data
    }

    fn read(data: &tempfile::TempDir, path: &str) -> String {
        fs::read_to_string(data.path().join(path)).unwrap()
    }

    #[test]
    fn an_older_folder_is_migrated_step_by_step_and_its_copies_kept() {
        let data = written_by_format_1();
        drop(Folder::open_as(data.path(), Use::Keep, 3, STEPS).unwrap());
        assert_eq!(read(&data, "kv/rows"), "one two three");
        assert_eq!(read(&data, "kv.format-1/rows"), "one");
        assert_eq!(read(&data, "kv.format-1/tables/1"), "table");
        assert_eq!(read(&data, "kv.format-2/rows"), "one two");
        assert_eq!(read(&data, "format"), "3\n");
    }

    #[test]
    fn a_migration_that_failed_begins_again_from_the_copy() {
        let data = written_by_format_1();
        assert!(Folder::open_as(data.path(), Use::Keep, 3, FAILING).is_err());
        assert_eq!((read(&data, "format").as_str(), read(&data, "kv/rows").as_str()), ("2\n", "one two half"));
        drop(Folder::open_as(data.path(), Use::Keep, 3, STEPS).unwrap());
        assert_eq!(read(&data, "kv/rows"), "one two three");
    }

    #[test]
    fn a_format_without_a_way_on_is_refused() {
        let data = written_by_format_1();
        assert!(matches!(Folder::open_as(data.path(), Use::Keep, 2, &[]), Err(Error::Corrupt(_))));
        assert_eq!(read(&data, "kv/rows"), "one");
    }
}
