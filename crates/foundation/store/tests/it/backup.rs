//! Backups: taken while others write, restored whole or not at all.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use store::{Batch, Blobs, Checked, Contents, Digest, Error, Folder, Kv, Limits, Range, Rows, Space, Trees, Use};

use crate::workload::Random;

struct Store {
    kv: Arc<dyn Kv>,
    blobs: Blobs,
    trees: Trees,
    folder: Arc<Folder>,
}

impl Store {
    fn open(path: &Path) -> Self {
        let folder = Arc::new(Folder::open(path, Use::Keep).unwrap());
        let kv = store::open(&folder.kv()).unwrap();
        Self { kv, blobs: Blobs::at(&folder), trees: Trees::at(&folder), folder }
    }

    async fn put(&self, rows: Vec<(Space, String, Bytes)>) {
        put(self.kv.as_ref(), rows).await;
    }

    fn backup(&self) -> (Vec<u8>, Contents) {
        let mut file = Vec::new();
        let contents = store::backup(&self.folder, self.kv.as_ref(), &self.blobs, &mut file).unwrap();
        (file, contents)
    }

    async fn check(&self) -> Checked {
        store::check(self.kv.as_ref(), &self.blobs, &self.trees).await.unwrap()
    }

    fn rows(&self) -> Vec<Vec<(Bytes, Bytes)>> {
        Space::ALL.into_iter().map(|space| self.kv.range(space, Range::all(), usize::MAX, false).unwrap()).collect()
    }
}

async fn put(kv: &dyn Kv, rows: Vec<(Space, String, Bytes)>) {
    let write = move |_: &Rows| {
        let mut batch = Batch::new();
        for (space, key, value) in &rows {
            batch.put(*space, key.clone(), value.clone());
        }
        Ok(batch)
    };
    kv.transact(vec![], Box::new(write)).await.unwrap();
}

fn code(digest: &Digest) -> Bytes {
    format!(r#"{{"name":"f","code":[{{"sha256":"{digest}"}}]}}"#).into()
}

fn package(text: &str) -> Bytes {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("handler.py", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(text.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner().into()
}

/// A store with a bit of everything, and one blob that nobody names.
async fn furnished(path: &Path) -> Store {
    let store = Store::open(path);
    let tree = store.trees.unpack_zip(package("print(1)"), Limits::default()).await.unwrap();
    let named = store.blobs.put(package("print(1)")).await.unwrap();
    assert_eq!(named, tree.digest);
    store.blobs.put(Bytes::from_static(b"nobody's")).await.unwrap();
    store.put(vec![(Space::Control, "function".into(), code(&named))]).await;
    for space in Space::ALL {
        let rows = (0..40).map(|row| (space, format!("row/{row:03}"), vec![row as u8; row * 700].into())).collect();
        store.put(rows).await;
    }
    // Larger than a part of a backup.
    let mut random = Random(7);
    let large: Vec<u8> = (0..5_000_000).map(|_| random.below(256) as u8).collect();
    store.put(vec![(Space::Log, "large".into(), large.into())]).await;
    store
}

async fn restore(file: Vec<u8>, to: &Path) -> Result<Contents, Error> {
    let to = to.to_owned();
    tokio::task::spawn_blocking(move || store::restore(&file[..], &to)).await.unwrap()
}

#[tokio::test]
async fn a_backup_restores_what_was_there() {
    let place = tempfile::tempdir().unwrap();
    let store = furnished(&place.path().join("data")).await;
    let (file, contents) = store.backup();
    assert_eq!((contents.rows, contents.blobs), (Space::ALL.len() as u64 * 40 + 2, 2));
    assert_eq!(store::verify(&file[..]).unwrap(), contents);
    // What comes later is not in it.
    store.put(vec![(Space::Control, "later".into(), Bytes::new())]).await;
    let target = place.path().join("deep/restored");
    assert_eq!(restore(file, &target).await.unwrap(), contents);
    let restored = Store::open(&target);
    assert_eq!(restored.kv.get(Space::Control, b"later"), Ok(None));
    put(store.kv.as_ref(), vec![]).await;
    let mut expected = store.rows();
    expected[1].retain(|(key, _)| key != "later");
    assert!(restored.rows() == expected);
    assert_eq!(restored.blobs.list().await.unwrap(), store.blobs.list().await.unwrap());
    let checked = restored.check().await;
    assert_eq!(checked.faults, [""; 0]);
    assert_eq!(checked.unused, [Digest::of(b"nobody's")]);
    assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1, "nothing half-made stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_shows_one_moment_while_others_write_and_remove() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(furnished(&place.path().join("data")).await);
    let writing = Arc::clone(&store);
    let busy = tokio::spawn(async move {
        let mut last: Option<Digest> = None;
        for number in 0_u64.. {
            let digest = writing.blobs.put(format!("blob {number}").into()).await.unwrap();
            let both = [Space::Control, Space::Queue].map(|space| (space, "busy".into(), code(&digest))).to_vec();
            put(writing.kv.as_ref(), both).await;
            if let Some(last) = last {
                writing.blobs.remove(&last).await.unwrap();
            }
            last = Some(digest);
        }
    });
    for round in 0..10 {
        let source = Arc::clone(&store);
        let (file, _) = tokio::task::spawn_blocking(move || source.backup()).await.unwrap();
        let target = place.path().join(round.to_string());
        restore(file, &target).await.unwrap();
        let restored = Store::open(&target);
        assert_eq!(restored.check().await.faults, [""; 0]);
        let busy = [Space::Control, Space::Queue].map(|space| restored.kv.get(space, b"busy").unwrap());
        assert_eq!(busy[0], busy[1]);
        assert_eq!(store.check().await.faults, [""; 0], "and the store is sound while it is written");
    }
    busy.abort();
    let mut left = fs::read_dir(store.folder.tmp()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.all(|name| !name.to_str().unwrap().starts_with("backup-")), "nothing is held on to");
}

#[tokio::test]
async fn a_damaged_or_cut_backup_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let store = furnished(&place.path().join("data")).await;
    let (file, _) = store.backup();
    let target = place.path().join("restored");
    for (what, damaged) in [
        ("cut in the middle", file[..file.len() / 2].to_vec()),
        ("without its last byte", file[..file.len() - 1].to_vec()),
        (
            "one byte changed",
            [&file[..file.len() / 3], &[file[file.len() / 3] ^ 1], &file[file.len() / 3 + 1..]].concat(),
        ),
        ("empty", Vec::new()),
        ("something else", b"#!/bin/sh\n".to_vec()),
    ] {
        let verified = store::verify(&damaged[..]);
        assert!(matches!(verified, Err(Error::Backup(_))), "{what}: {verified:?}");
        let restored = restore(damaged, &target).await;
        assert!(matches!(restored, Err(Error::Backup(_))), "{what}: {restored:?}");
        assert!(!target.exists(), "{what}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn nothing_is_restored_over_anything() {
    let place = tempfile::tempdir().unwrap();
    let store = furnished(&place.path().join("data")).await;
    let (file, _) = store.backup();
    let target = place.path().join("restored");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("thesis.tex"), "x").unwrap();
    assert!(matches!(restore(file.clone(), &target).await, Err(Error::NotEmpty(_))));
    assert!(matches!(restore(file.clone(), &place.path().join("data")).await, Err(Error::NotEmpty(_))));
    fs::remove_file(target.join("thesis.tex")).unwrap();
    restore(file, &target).await.unwrap();
}

#[tokio::test]
async fn a_damaged_blob_is_not_backed_up_as_if_it_were_sound() {
    let place = tempfile::tempdir().unwrap();
    let store = furnished(&place.path().join("data")).await;
    let name = Digest::of(b"nobody's").to_string();
    fs::write(store.folder.blobs().join(&name[..2]).join(&name[2..]), "somebody").unwrap();
    let backup = store::backup(&store.folder, store.kv.as_ref(), &store.blobs, Vec::new());
    assert!(matches!(backup, Err(Error::Corrupt(_))), "{backup:?}");
    assert_eq!(store.check().await.faults.len(), 1);
}

#[tokio::test]
async fn a_check_names_what_is_missing() {
    let place = tempfile::tempdir().unwrap();
    let store = furnished(&place.path().join("data")).await;
    let named = Digest::of(&package("print(1)"));
    store.blobs.remove(&named).await.unwrap();
    let checked = store.check().await;
    assert_eq!(checked.faults, [format!("the row Control function names the blob {named}, which is missing")]);
    assert_eq!((checked.rows, checked.blobs, checked.trees), (Space::ALL.len() as u64 * 40 + 2, 1, 1));
}

#[tokio::test]
async fn a_folder_made_for_tests_stays_one() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(&place.path().join("data"), Use::Test).unwrap();
    let kv = store::open(&folder.kv()).unwrap();
    let mut file = Vec::new();
    store::backup(&folder, kv.as_ref(), &Blobs::at(&folder), &mut file).unwrap();
    let target = place.path().join("restored");
    restore(file, &target).await.unwrap();
    assert!(Folder::open(&target, Use::Test).unwrap().made_for_tests());
}
