//! Reproducible zips: sorted entries, one fixed time, plain modes.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;

use anyhow::Context;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::build::{Contents, Source};

/// A packed function.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) bytes: Vec<u8>,
    pub(crate) files: usize,
    /// The largest entries, unpacked size.
    pub(crate) largest: Vec<(String, u64)>,
}

/// Packs the contents. The same contents give the same bytes on every machine.
pub(crate) fn pack(contents: &Contents) -> anyhow::Result<Package> {
    anyhow::ensure!(!contents.is_empty(), "the folder holds nothing to pack");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut sizes = Vec::new();
    for (name, source) in contents {
        let (bytes, is_program) = read(source)?;
        let mode = if is_program || name == "bootstrap" { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        writer.start_file(name.as_str(), options)?;
        writer.write_all(&bytes)?;
        sizes.push((name.clone(), bytes.len() as u64));
    }
    let bytes = writer.finish()?.into_inner();
    let files = sizes.len();
    sizes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sizes.truncate(3);
    Ok(Package { bytes, files, largest: sizes })
}

/// A file's bytes, and whether it is to be run.
fn read(source: &Source) -> anyhow::Result<(Cow<'_, [u8]>, bool)> {
    match source {
        Source::Made(bytes) => Ok((bytes.into(), false)),
        Source::Program(bytes) => Ok((bytes.into(), true)),
        Source::File(path) => {
            let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
            let mode = file.metadata()?.permissions().mode();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok((bytes.into(), mode & 0o111 != 0))
        }
    }
}

/// A size for people: `1.2 MB`, thousands as units.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_contents_give_the_same_bytes() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut packed = Vec::new();
        for folder in [&a, &b] {
            let mut contents = Contents::new();
            for name in ["z.py", "a.py"] {
                std::fs::write(folder.path().join(name), name).unwrap();
                contents.insert(name.to_owned(), Source::File(folder.path().join(name)));
            }
            packed.push(pack(&contents).unwrap().bytes);
        }
        assert_eq!(packed[0], packed[1]);
    }
}
