//! Data folders as each format's releases left them, committed: every later version must open them and find the same.
//!
//! When the format changes, `cargo test -p lambent-store --test it golden::make -- --ignored` writes the new one's file,
//! once; older files are never written again.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use store::{Batch, Blobs, Digest, Error, Folder, Kv, Limits, Range, Rows, Space, Trees, Use};

const FORMAT: u32 = 1;

fn file(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/golden/format-{format}.tar.gz"))
}

/// Every row of a golden folder: each space, keys at the edges of the byte order, values of every kind of size.
fn rows() -> Vec<(Space, Bytes, Bytes)> {
    let mut rows = Vec::new();
    // Objects came later, without another format: an older folder has none.
    for space in Space::ALL.into_iter().filter(|space| *space != Space::Object) {
        for (number, key) in [&b""[..], b"\0", b"a", b"a/b", b"\xff\xff"].into_iter().enumerate() {
            let value = vec![number as u8 + space.tag(); [0, 1, 100, 3000, 20][number]];
            rows.push((space, Bytes::copy_from_slice(key), value.into()));
        }
    }
    rows
}

fn package() -> Bytes {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let plain = zip::write::SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
    zip.start_file("app/handler.py", plain.unix_permissions(0o755)).unwrap();
    zip.write_all(b"print('golden')\n").unwrap();
    zip.finish().unwrap().into_inner().into()
}

async fn write(kv: &dyn Kv, rows: Vec<(Space, Bytes, Bytes)>, delete: bool) {
    let step = move |_: &Rows| {
        let mut batch = Batch::new();
        for (space, key, value) in &rows {
            if delete {
                batch.delete(*space, key.clone());
            } else {
                batch.put(*space, key.clone(), value.clone());
            }
        }
        Ok(batch)
    };
    kv.transact(vec![], Box::new(step)).await.unwrap();
}

/// What a golden folder must hold.
async fn expect(path: &Path) {
    let folder = Folder::open(path, Use::Keep).unwrap();
    let kv = store::open(&folder.kv()).unwrap();
    let found: Vec<_> = Space::ALL
        .into_iter()
        .flat_map(|space| {
            let rows = kv.range(space, Range::all(), usize::MAX, false).unwrap();
            rows.into_iter().map(move |(key, value)| (space, key, value))
        })
        .collect();
    let expected = rows();
    assert_eq!(found.len(), expected.len());
    for (space, key, value) in expected {
        assert_eq!(kv.get(space, &key), Ok(Some(value)), "{space:?} {key:?}");
    }
    let (blobs, trees) = (Blobs::at(&folder), Trees::at(&folder));
    let digest = Digest::of(&package());
    assert_eq!(blobs.read(&digest).await, Ok(Some(package())));
    let tree = trees.unpack_blob(&blobs, &digest, Limits::default()).await.unwrap().unwrap();
    assert_eq!(fs::read(tree.path.join("app/handler.py")).unwrap(), b"print('golden')\n");
    // And it goes on from there.
    write(kv.as_ref(), rows(), false).await;
    kv.close().await.unwrap();
}

#[tokio::test]
async fn folders_of_every_format_are_opened() {
    for format in 1..=FORMAT {
        let place = tempfile::tempdir().unwrap();
        let packed = fs::File::open(file(format)).unwrap();
        tar::Archive::new(GzDecoder::new(packed)).unpack(place.path()).unwrap();
        for end in ["stopped", "killed"] {
            let path = place.path().join(end);
            assert_eq!(fs::read_to_string(path.join("format")).unwrap(), format!("{format}\n"), "{end}");
            expect(&path).await;
            assert_eq!(fs::read_to_string(path.join("format")).unwrap(), format!("{FORMAT}\n"), "{end}");
            let copy = path.join(format!("kv.format-{format}"));
            assert_eq!(copy.exists(), format < FORMAT, "{end}: a copy of what was migrated is kept");
        }
    }
}

#[test]
fn the_format_has_a_golden_folder() {
    let place = tempfile::tempdir().unwrap();
    drop(Folder::open(&place.path().join("data"), Use::Keep).unwrap());
    let format = fs::read_to_string(place.path().join("data/format")).unwrap();
    assert_eq!(format.trim(), FORMAT.to_string(), "a new format needs a golden folder: see the head of this file");
    assert!(file(FORMAT).metadata().unwrap().len() < 64 * 1024);
}

#[tokio::test]
async fn a_newer_folder_is_refused_with_its_rows_untouched() {
    let place = tempfile::tempdir().unwrap();
    let packed = fs::File::open(file(FORMAT)).unwrap();
    tar::Archive::new(GzDecoder::new(packed)).unpack(place.path()).unwrap();
    let path = place.path().join("killed");
    fs::write(path.join("format"), format!("{}\n", FORMAT + 1)).unwrap();
    let before = content(&path);
    let refused = Folder::open(&path, Use::Keep).unwrap_err();
    assert!(matches!(refused, Error::Newer { .. }), "{refused}");
    assert!(content(&path) == before, "nothing was changed, not even the lock");
}

/// Every file below a folder, with what is in it.
fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            let mut bytes = Vec::new();
            fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

/// Not a test: makes the golden folder of the current format.
#[tokio::test]
#[ignore = "writes a file that is committed"]
async fn make() {
    let place = tempfile::tempdir().unwrap();
    let live = place.path().join("live");
    let folder = Folder::open(&live, Use::Keep).unwrap();
    let kv = store::open(&folder.kv()).unwrap();
    // Half of it in tables, with rows that are deleted and written over later, half in the journal.
    let (tables, journal): (Vec<_>, Vec<_>) = rows().into_iter().partition(|(_, key, _)| key.len() < 2);
    let stale = rows().into_iter().map(|(space, key, _)| (space, key, Bytes::from_static(b"stale"))).collect();
    let gone: Vec<_> = Space::ALL.into_iter().map(|space| (space, Bytes::from_static(b"gone"), Bytes::new())).collect();
    write(kv.as_ref(), stale, false).await;
    write(kv.as_ref(), gone.clone(), false).await;
    write(kv.as_ref(), tables, false).await;
    kv.close().await.unwrap();
    drop(kv);
    let kv = store::open(&folder.kv()).unwrap();
    write(kv.as_ref(), gone, true).await;
    write(kv.as_ref(), journal, false).await;
    let blobs = Blobs::at(&folder);
    blobs.put(package()).await.unwrap();
    copy(&live, &place.path().join("killed"));
    kv.close().await.unwrap();
    drop((kv, blobs, folder));
    copy(&live, &place.path().join("stopped"));
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    archive.mode(tar::HeaderMode::Deterministic);
    for end in ["stopped", "killed"] {
        archive.append_dir_all(end, place.path().join(end)).unwrap();
    }
    let packed = archive.into_inner().unwrap().finish().unwrap();
    let mut file = OpenOptions::new().write(true).create_new(true).open(file(FORMAT)).unwrap();
    file.write_all(&packed).unwrap();
}

/// Copies a folder; of the journal, which is 64 MiB long, what is used of it and some of the zeros behind.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used + 4096);
        fs::write(target, bytes).unwrap();
    }
}
