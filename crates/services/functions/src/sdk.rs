//! Whether a Python function uses boto3 that its runtime brings: what is started ahead of it then has it ready.

use std::io::{BufReader, Read, Seek};

use zip::ZipArchive;

/// What the runtime brings. A function that brings any of these itself gets its own.
const BROUGHT: &[&str] = &["boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six"];
/// Who imports it does so within these, the least deep first. Who does elsewhere pays for the import.
const MOST_FILES: usize = 64;
const MOST_BYTES: u64 = 1 << 20;

/// Whether this path, as Python sees it, is what an `import` of a part of the SDK would find.
pub(crate) fn is_brought(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or(path);
    BROUGHT.contains(&first.strip_suffix(".py").unwrap_or(first))
}

/// Whether the Python sources in a zip import it. Not, when they cannot be read: that costs speed only.
pub(crate) fn is_imported(zip: impl Read + Seek) -> bool {
    let Ok(mut archive) = ZipArchive::new(BufReader::new(zip)) else { return false };
    let depth = |name: &str| name.trim_start_matches("./").matches('/').count();
    let sources = (0..archive.len()).filter_map(|index| {
        let name = archive.name_for_index(index)?.ok()?;
        name.ends_with(".py").then(|| (depth(&name), index))
    });
    let mut sources: Vec<(usize, usize)> = sources.collect();
    sources.sort_unstable();
    let (mut left, mut text) = (MOST_BYTES, Vec::new());
    for (_, index) in sources.into_iter().take(MOST_FILES) {
        text.clear();
        let Ok(file) = archive.by_index(index) else { continue };
        let Ok(read) = file.take(left).read_to_end(&mut text) else { continue };
        left -= read as u64;
        if imports_it(&text) {
            return true;
        }
        if left == 0 {
            break;
        }
    }
    false
}

/// Whether a line of this text is an `import` that names it.
fn imports_it(text: &[u8]) -> bool {
    ["boto3", "botocore"].iter().any(|name| {
        memchr::memmem::find_iter(text, name.as_bytes()).any(|at| {
            let begins = memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
            let line = text[begins..at].trim_ascii_start();
            line.starts_with(b"import ") || line.starts_with(b"from ")
        })
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    fn uses(files: &[(&str, &str)]) -> bool {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, text) in files {
            zip.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        is_imported(zip.finish().unwrap())
    }

    #[test]
    fn who_imports_it_uses_it() {
        assert!(uses(&[("app.py", "import boto3\n")]));
        assert!(uses(&[("app.py", "import lib.data\n"), ("lib/data.py", "from botocore import config")]));
        assert!(uses(&[("app.py", "def handler(event, context):\n    import json, boto3\n")]));
        assert!(!uses(&[("app.py", "import json\nname = 'boto3'\n"), ("notes.txt", "import boto3")]));
        assert!(!is_imported(Cursor::new(b"no zip")));
    }

    #[test]
    fn what_the_function_or_a_layer_brings_wins() {
        assert!(["boto3/__init__.py", "six.py", "urllib3/util/url.py"].into_iter().all(is_brought));
        assert!(!["mine/boto3/__init__.py", "boto3_mine.py", "app.py"].into_iter().any(is_brought));
    }

    #[test]
    fn no_more_is_read_than_that() {
        let long = "#".repeat(MOST_BYTES as usize);
        assert!(!uses(&[("deeper/app.py", "import boto3"), ("app.py", &long)]));
        assert!(uses(&[("deeper/app.py", "import boto3"), ("app.py", &long[100..])]));
    }
}
