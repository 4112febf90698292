//! Where the product clock stands in a data folder made for tests: a restart must not go back.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use anyhow::Context;
use base::{Course, VirtualClocks};

const FILE: &str = "clock";
/// So long is what is written, whatever it says: a shorter text must not leave a longer one's end.
const WIDTH: usize = 32;

/// The clocks of a folder, which stand where they stood.
pub(super) fn of(folder: &store::Folder) -> anyhow::Result<VirtualClocks> {
    let path = folder.path().join(FILE);
    let course = match std::fs::read_to_string(&path) {
        // Made, and not written before the end.
        Ok(text) if text.trim().is_empty() => Course::Running { offset_ms: 0 },
        Ok(text) => text.parse().with_context(|| format!("{} says {text:?}: remove it", path.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => Course::Running { offset_ms: 0 },
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    let keep = move |course: Course| {
        // Not synced: it need survive the process, not the machine.
        if let Err(error) = file.write_all_at(format!("{:<WIDTH$}", course.to_string()).as_bytes(), 0) {
            tracing::error!(%error, "the clock's place cannot be written: a restart will go back");
        }
    };
    keep(course);
    Ok(VirtualClocks::on(course, keep))
}
