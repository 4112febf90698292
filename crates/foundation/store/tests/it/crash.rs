//! The crash test. A child process writes and says what was acknowledged; it is killed at a random moment, again and
//! again over the same folder, also while it recovers. Whatever was acknowledged must be there, nothing may be torn, and
//! no counter may go back. `LAMBENT_SOAK=n` makes it n times as long.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use store::{Batch, Blobs, Digest, Folder, Key, Kv, Limits, Range, Rows, Space, Trees, Use, transact_with};

const ROUNDS: u64 = 200;
const WRITERS: usize = 6;
/// Rows that each writer keeps; older ones are deleted in the transaction that writes a new one.
const KEPT: u64 = 20;
const FOLDER: &str = "LAMBENT_CRASH_FOLDER";

#[test]
fn nothing_acknowledged_is_lost_over_hundreds_of_kills() {
    let soak = env::var("LAMBENT_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1_u64);
    let parent = tempfile::tempdir().unwrap();
    let mut random = Random(0x5eed);
    let mut known = Known::default();
    let mut folder = parent.path().join("0");
    for round in 0..ROUNDS * soak {
        if round % 16 == 15 {
            // A new folder now and then, so that its making is killed too.
            folder = parent.path().join(round.to_string());
            known.acknowledged = [0; WRITERS];
        }
        let mut child = spawn(&folder);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        match random.below(8) {
            // At a random moment from the very start; the time, not the progress, must be random here.
            0..=2 => std::thread::sleep(Duration::from_micros(random.below(12_000))),
            _ => {
                let acknowledged = random.below(120);
                lines.by_ref().filter(|line| known.hear(line)).take(acknowledged as usize).for_each(drop);
            }
        }
        let cleanly = random.below(8) == 0;
        if cleanly {
            drop(child.stdin.take());
        } else {
            child.kill().unwrap();
        }
        lines.for_each(|line| {
            known.hear(&line);
        });
        let status = child.wait().unwrap();
        assert!(!cleanly || status.success(), "round {round}: a clean stop failed");
    }
    // The last word: a child that only looks.
    let mut child = spawn(&folder);
    drop(child.stdin.take());
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    lines.iter().for_each(|line| {
        known.hear(line);
    });
    assert!(child.wait().unwrap().success(), "{lines:#?}");
    assert!(known.rounds_seen > ROUNDS * soak / 3, "most rounds must get as far as recovering: {}", known.rounds_seen);
}

/// What children have said.
#[derive(Default)]
struct Known {
    acknowledged: [u64; WRITERS],
    rounds_seen: u64,
}

impl Known {
    /// Takes in a line; true if it acknowledged a write.
    fn hear(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "ack" => {
                let writer = &mut self.acknowledged[number(1) as usize];
                assert_eq!(number(2), *writer + 1, "acknowledged out of order: {line}");
                *writer += 1;
                true
            }
            "found" => {
                let (writer, found) = (&mut self.acknowledged[number(1) as usize], number(2));
                assert!(found >= *writer, "{line}, but {writer} were acknowledged");
                // At most one more was written and not yet acknowledged.
                assert!(found <= *writer + 1, "{line}, but only {writer} were acknowledged");
                *writer = found;
                self.rounds_seen += u64::from(number(1) == 0);
                false
            }
            "bad" => panic!("{line}"),
            // The test harness's own words.
            _ => false,
        }
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

struct Random(u64);

impl Random {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Not a test: what the test above starts and kills.
#[test]
#[ignore = "the child of the crash test"]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    // Behind the harness's own unfinished line.
    say("");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let folder = match Folder::open(Path::new(&folder), Use::Keep) {
            Ok(folder) => folder,
            Err(error) => return say(&format!("bad folder: {error}")),
        };
        let kv = match store::open(&folder.kv()) {
            Ok(kv) => kv,
            Err(error) => return say(&format!("bad rows: {error}")),
        };
        let (blobs, trees) = (Blobs::at(&folder), Trees::at(&folder));
        match look(kv.as_ref(), &blobs, &trees).await {
            Ok(found) => found.iter().enumerate().for_each(|(writer, count)| say(&format!("found {writer} {count}"))),
            Err(what) => return say(&format!("bad {what}")),
        }
        for writer in 0..WRITERS {
            tokio::spawn(write_on(Arc::clone(&kv), blobs.clone(), trees.clone(), writer));
        }
        // Until told to stop, or killed.
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
        kv.close().await.unwrap();
    });
}

/// Content that follows from its number, of very different sizes: the large ones fill the engine's memory table, so that
/// it writes out and merges tables while it is killed.
fn payload(writer: usize, number: u64) -> Bytes {
    let size = (number * 7919 + writer as u64 * 104_729) % 9_000 * if number % 16 == 5 { 20 } else { 1 };
    vec![(number % 251) as u8; size as usize].into()
}

/// A zip with one stored file, by hand, since the writer of the library is not here to be tested.
fn package(writer: usize, number: u64) -> Bytes {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.start_file("handler.py", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&payload(writer, number)).unwrap();
    zip.finish().unwrap().into_inner().into()
}

async fn write_on(kv: Arc<dyn Kv>, blobs: Blobs, trees: Trees, writer: usize) {
    loop {
        let count = store::get_json::<u64>(kv.as_ref(), Space::Control, format!("count/{writer}").as_bytes());
        let next = match count {
            Ok(count) => count.unwrap_or(0) + 1,
            Err(store::Error::Closed) => return,
            Err(error) => return say(&format!("bad read: {error}")),
        };
        // The bytes first, then the row that names them: a row never names what is not there.
        let blob = if next % 8 == 0 { Some(blobs.put(payload(writer, next)).await.unwrap()) } else { None };
        let tree = if next % 32 == 0 {
            Some(trees.unpack_zip(package(writer, next), Limits::default()).await.unwrap().digest)
        } else {
            None
        };
        let keys = vec![Key::new(Space::Control, format!("count/{writer}")), Key::new(Space::Meta, "sum")];
        let step = move |rows: &Rows| {
            let count: u64 = rows.json(Space::Control, format!("count/{writer}").as_bytes())?.unwrap_or(0) + 1;
            let sum: u64 = rows.json(Space::Meta, b"sum")?.unwrap_or(0) + 1;
            let mut batch = Batch::new();
            batch.put_json(Space::Control, format!("count/{writer}"), &count)?.put_json(Space::Meta, "sum", &sum)?;
            for space in [Space::Queue, Space::Log] {
                batch.put(space, row(writer, count), payload(writer, count));
                batch.delete(space, row(writer, count.saturating_sub(KEPT)));
            }
            if let Some(digest) = blob {
                batch.put(Space::Control, format!("blob/{writer}"), format!("{count} {digest}"));
            }
            if let Some(digest) = tree {
                batch.put(Space::Control, format!("tree/{writer}"), format!("{count} {digest}"));
            }
            Ok((batch, count))
        };
        match transact_with(kv.as_ref(), keys, step).await {
            Ok(count) => say(&format!("ack {writer} {count}")),
            Err(store::Error::Closed) => return,
            Err(error) => return say(&format!("bad write: {error}")),
        }
    }
}

fn row(writer: usize, number: u64) -> String {
    format!("{writer}/{number:012}")
}

/// Checks that everything fits together, and answers each writer's count.
async fn look(kv: &dyn Kv, blobs: &Blobs, trees: &Trees) -> Result<Vec<u64>, String> {
    let failed = |error: store::Error| error.to_string();
    let mut counts = Vec::new();
    for writer in 0..WRITERS {
        let key = format!("count/{writer}");
        let count: u64 = store::get_json(kv, Space::Control, key.as_bytes()).map_err(failed)?.unwrap_or(0);
        for space in [Space::Queue, Space::Log] {
            let rows = kv.range(space, Range::prefix(format!("{writer}/")), usize::MAX, false).map_err(failed)?;
            let expected: Vec<_> = (count.saturating_sub(KEPT) + 1..=count)
                .map(|number| (Bytes::from(row(writer, number)), payload(writer, number)))
                .collect();
            if rows != expected {
                let keys: Vec<_> = rows.iter().map(|(key, value)| (key, value.len())).collect();
                return Err(format!("rows of {writer} in {space:?} at {count}: {keys:?}"));
            }
        }
        if let Some((number, digest)) = named(kv, &format!("blob/{writer}"))? {
            let found = blobs.read(&digest).await.map_err(failed)?;
            if found != Some(payload(writer, number)) || number + 8 <= count {
                return Err(format!("blob {number} of {writer} at {count}: {:?}", found.map(|bytes| bytes.len())));
            }
        }
        if let Some((number, digest)) = named(kv, &format!("tree/{writer}"))? {
            let tree =
                trees.get(&digest).await.map_err(failed)?.ok_or(format!("tree {number} of {writer} is missing"))?;
            let file = std::fs::read(tree.path.join("handler.py")).map_err(|error| error.to_string())?;
            if file != payload(writer, number) {
                return Err(format!("tree {number} of {writer} is torn"));
            }
        }
        counts.push(count);
    }
    let sum: u64 = store::get_json(kv, Space::Meta, b"sum").map_err(failed)?.unwrap_or(0);
    if sum != counts.iter().sum::<u64>() {
        return Err(format!("the sum {sum} of {counts:?}"));
    }
    for digest in trees.list().await.map_err(failed)? {
        trees.get(&digest).await.map_err(failed)?.ok_or(format!("half a tree: {digest}"))?;
    }
    Ok(counts)
}

/// A row that names a blob or tree: the number it belongs to, and its digest.
fn named(kv: &dyn Kv, key: &str) -> Result<Option<(u64, Digest)>, String> {
    let Some(value) = kv.get(Space::Control, key.as_bytes()).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&value).map_err(|error| error.to_string())?;
    let (number, digest) = text.split_once(' ').ok_or("a torn row")?;
    Ok(Some((number.parse().map_err(|_| "a torn number")?, digest.parse().map_err(|_| "a torn digest")?)))
}
