//! Power loss, as far as it can be acted out: the end of the journal that was not yet synced is cut off, zeroed or
//! replaced at every place. What was synced before it must be there, and the unsynced group as a whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::{Batch, Kv, Range, Rows, Space};

const ROWS: usize = 12;

/// Does something to a journal between two places.
type Damage = fn(&mut fs::File, u64, u64);

/// One group of `ROWS` rows, all with the same number.
async fn write_group(kv: &dyn Kv, number: u8) {
    let write = move |_: &Rows| {
        let mut batch = Batch::new();
        for row in 0..ROWS {
            batch.put(Space::Control, format!("row/{row}"), vec![number; 700]);
        }
        Ok(batch)
    };
    kv.transact(vec![], Box::new(write)).await.unwrap();
}

fn journal(kv: &Path) -> PathBuf {
    let files = fs::read_dir(kv).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).max().unwrap()
}

/// What may be in a file of this test: the journal is made 64 MiB long, of which the first few pages are used.
fn beginning(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    fs::File::open(path).unwrap().take(256 * 1024).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Where the content of a journal ends.
fn content_bytes(journal: &Path) -> u64 {
    let bytes = beginning(journal);
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            let bytes = beginning(&path);
            fs::write(&target, &bytes).unwrap();
            // Some zeros behind the content, as the engine leaves them; all 64 MiB would only cost time.
            let length = path.metadata().unwrap().len().min(bytes.len() as u64 + 4096);
            OpenOptions::new().write(true).open(&target).unwrap().set_len(length).unwrap();
        }
    }
}

/// The number that all rows share.
fn number(kv: &Arc<dyn Kv>, what: &str) -> u8 {
    let rows = kv.range(Space::Control, Range::all(), usize::MAX, false).unwrap();
    assert_eq!(rows.len(), ROWS, "{what}");
    let number = rows[0].1[0];
    for (key, value) in rows {
        assert!(value.len() == 700 && value.iter().all(|byte| *byte == number), "torn at {key:?}: {what}");
    }
    number
}

fn overwrite(file: &mut fs::File, at: u64, bytes: &[u8]) {
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn the_end_of_the_journal_may_be_lost_but_not_torn() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let kv = store::open(&live).unwrap();
    write_group(kv.as_ref(), 1).await;
    let synced = content_bytes(&journal(&live));
    write_group(kv.as_ref(), 2).await;
    let end = content_bytes(&journal(&live));
    let image = folder.path().join("image");
    copy(&live, &image);
    drop(kv);

    let damages: [(&str, Damage); 4] = [
        ("cut off", |file, at, _| file.set_len(at).unwrap()),
        ("never written from here", |file, at, end| overwrite(file, at, &vec![0; (end - at) as usize])),
        ("one page never written", |file, at, end| overwrite(file, at, &vec![0; (end - at).min(512) as usize])),
        ("other bytes", |file, at, end| overwrite(file, at, &vec![0xa5; (end - at).min(64) as usize])),
    ];
    let step = (end - synced) / 40;
    for (what, damage) in damages {
        for at in (synced..end).step_by(step as usize) {
            let what = format!("{what} at {at} of {synced}..{end}");
            let torn = folder.path().join("torn");
            copy(&image, &torn);
            let mut file = OpenOptions::new().write(true).open(journal(&torn)).unwrap();
            damage(&mut file, at, end);
            let kv = store::open(&torn).unwrap_or_else(|error| panic!("{what}: {error}"));
            // The second group was acknowledged here, but the sync that this rests on is what we undo.
            assert!([1, 2].contains(&number(&kv, &what)), "{what}");
            write_group(kv.as_ref(), 3).await;
            drop(kv);
            assert_eq!(number(&store::open(&torn).unwrap(), &what), 3);
            fs::remove_dir_all(&torn).unwrap();
        }
    }
}

#[tokio::test]
async fn damage_to_what_was_acknowledged_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let kv = store::open(&live).unwrap();
    write_group(kv.as_ref(), 1).await;
    let first = content_bytes(&journal(&live));
    write_group(kv.as_ref(), 2).await;
    write_group(kv.as_ref(), 3).await;
    let image = folder.path().join("image");
    copy(&live, &image);
    drop(kv);
    // A damaged value, and a damaged mark at which the engine itself would take the journal for ended.
    for (at, bytes) in [(first + 1000, &b"bit rot"[..]), (first + 13, b"\xff")] {
        let damaged = folder.path().join(format!("damaged-{at}"));
        copy(&image, &damaged);
        let path = journal(&damaged);
        overwrite(&mut OpenOptions::new().write(true).open(&path).unwrap(), at, bytes);
        let before = fs::read(&path).unwrap();
        let refused = store::open(&damaged).err().expect("opened over damaged rows");
        assert!(matches!(&refused, store::Error::Corrupt(what) if what.contains("0.jnl")), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), before, "left for those who may still mend it");
    }
}
