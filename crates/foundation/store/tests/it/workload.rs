//! A child process that writes on and on, says what was acknowledged, and first looks whether everything is there that
//! an earlier child said; and what its parent knows from it. The crash test kills it, the disk tests take its disk away.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use store::{Batch, Blobs, Digest, Error, Folder, Key, Kv, Limits, Range, Rows, Space, Trees, Use, transact_with};

const WRITERS: usize = 6;
/// Rows that each writer keeps; older ones are deleted in the transaction that writes a new one.
const KEPT: u64 = 20;
/// Rows of a writer's generation, before it is given up for the next.
const GENERATION: u64 = 64;
const FOLDER: &str = "LAMBENT_CRASH_FOLDER";
/// Set if the disk may have forgotten what was not synced: trees are not.
pub(crate) const FORGETFUL: &str = "LAMBENT_CRASH_FORGETFUL";

/// How many times as long as in CI.
pub(crate) fn soak() -> u64 {
    env::var("LAMBENT_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// What children have said.
#[derive(Debug, Default)]
pub(crate) struct Known {
    acknowledged: [u64; WRITERS],
    /// Children that got as far as looking.
    pub(crate) looked: u64,
    /// What must never be.
    bad: Vec<String>,
    /// Errors of the disk, as the store passed them on.
    pub(crate) trouble: Vec<String>,
}

impl Known {
    /// Begins with a new folder.
    pub(crate) fn forget(&mut self) {
        self.acknowledged = [0; WRITERS];
    }

    /// Panics if anything was lost or torn, or an error came from an unharmed disk.
    pub(crate) fn must_be_sound(&self) {
        assert!(self.bad.is_empty() && self.trouble.is_empty(), "{self:#?}");
    }

    /// As [`Known::must_be_sound`], over a disk that fails.
    #[track_caller]
    pub(crate) fn must_be_whole(&self, what: &str) {
        assert!(self.bad.is_empty(), "{what}: {self:#?}");
    }

    /// Takes in a line; true if it acknowledged a write.
    fn hear(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "ack" => {
                let writer = &mut self.acknowledged[number(1) as usize];
                assert_eq!(number(2), *writer + 1, "acknowledged out of order: {line}");
                *writer += 1;
                return true;
            }
            "found" => {
                let (writer, found) = (&mut self.acknowledged[number(1) as usize], number(2));
                // At most one more was written and not yet acknowledged.
                if found < *writer || found > *writer + 1 {
                    self.bad.push(format!("{line}, but {writer} were acknowledged"));
                }
                *writer = found;
                self.looked += u64::from(number(1) == 0);
            }
            "bad" => self.bad.push(line.to_owned()),
            "trouble" => self.trouble.push(line.to_owned()),
            // The test harness's own words.
            _ => {}
        }
        false
    }
}

/// A child at work.
pub(crate) struct Run {
    child: Child,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Run {
    /// Starts a child over `folder`, with these variables in its environment.
    pub(crate) fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["workload::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env("RUST_BACKTRACE", "0")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        Self { child, lines: Box::new(lines) }
    }

    /// Listens until `count` more writes were acknowledged, so many failed that no more will be, or the child is gone.
    pub(crate) fn hear_acknowledged(&mut self, known: &mut Known, count: u64) {
        let (mut left, enough) = (count, known.trouble.len() + 30);
        while left > 0 && known.trouble.len() < enough {
            let Some(line) = self.lines.next() else { return };
            left -= u64::from(known.hear(&line));
        }
    }

    /// Kills the child.
    pub(crate) fn kill(mut self, known: &mut Known) {
        self.child.kill().unwrap();
        self.end(known);
    }

    /// Tells the child to stop cleanly.
    pub(crate) fn stop(mut self, known: &mut Known) -> ExitStatus {
        drop(self.child.stdin.take());
        self.end(known)
    }

    fn end(&mut self, known: &mut Known) -> ExitStatus {
        self.lines.by_ref().for_each(|line| {
            known.hear(&line);
        });
        self.child.wait().unwrap()
    }
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
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

/// Says what went wrong: the disk's fault, or ours.
fn say_wrong(what: &str, error: &Error) {
    let kind = if matches!(error, Error::Io { .. } | Error::Full | Error::Poisoned(_)) { "trouble" } else { "bad" };
    say(&format!("{kind} {what}: {error}"));
}

/// Not a test: what the tests start.
#[test]
#[ignore = "the child of the crash and disk tests"]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    // Behind the harness's own unfinished line.
    say("");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let folder = match Folder::open(Path::new(&folder), Use::Keep) {
            Ok(folder) => folder,
            Err(error) => return say_wrong("folder", &error),
        };
        let kv = match store::open(&folder.kv()) {
            Ok(kv) => kv,
            Err(error) => return say_wrong("rows", &error),
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
        if let Err(error) = kv.close().await {
            say_wrong("close", &error);
        }
        if let Err(error) = trees.settle().await {
            say_wrong("settle", &error);
        }
    });
}

/// Content that follows from its number, of very different sizes: the large ones fill the engine's memory table, so that
/// it writes out and merges tables while it is killed.
fn payload(writer: usize, number: u64) -> Bytes {
    let size = (number * 7919 + writer as u64 * 104_729) % 9_000 * if number % 16 == 5 { 20 } else { 1 };
    vec![(number % 251) as u8; size as usize].into()
}

/// No two writers have a blob in common, so that each may remove its own.
fn blob(writer: usize, number: u64) -> Bytes {
    [&[writer as u8], &payload(writer, number)[..]].concat().into()
}

/// A zip with one file.
fn package(writer: usize, number: u64) -> Bytes {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.start_file("handler.py", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&payload(writer, number)).unwrap();
    zip.finish().unwrap().into_inner().into()
}

/// The names of what a row shall refer to.
#[derive(Default)]
struct Named {
    blob: Option<Digest>,
    tree: Option<Digest>,
}

async fn write_on(kv: Arc<dyn Kv>, blobs: Blobs, trees: Trees, writer: usize) {
    loop {
        match write_one(kv.as_ref(), &blobs, &trees, writer).await {
            Ok(count) => say(&format!("ack {writer} {count}")),
            Err(Error::Closed) => return,
            Err(error @ Error::Poisoned(_)) => {
                say_wrong("write", &error);
                let read = kv.get(Space::Meta, b"sum");
                let written = kv.transact(vec![], Box::new(|_: &Rows| Ok(Batch::new()))).await;
                if !matches!((&read, &written), (Err(Error::Poisoned(_)), Err(Error::Poisoned(_)))) {
                    say(&format!("bad use of a poisoned store: {read:?}, {written:?}"));
                }
                // As the platform does.
                std::process::exit(1);
            }
            Err(error) => {
                say_wrong("write", &error);
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn write_one(kv: &dyn Kv, blobs: &Blobs, trees: &Trees, writer: usize) -> Result<u64, Error> {
    let count = store::get_json::<u64>(kv, Space::Control, format!("count/{writer}").as_bytes())?;
    let next = count.unwrap_or(0) + 1;
    // The bytes first, then the row that names them: a row never names what is not there.
    let mut name = Named::default();
    if next % 8 == 0 {
        let bytes = blob(writer, next);
        name.blob = Some(match next % 16 {
            0 => blobs.put_reader(io::Cursor::new(bytes), u64::MAX).await?.0,
            _ => blobs.put(bytes).await?,
        });
    }
    if next % 32 == 0 {
        name.tree = Some(trees.unpack_zip(package(writer, next), Limits::default()).await?.digest);
    }
    let was = Named {
        blob: named(kv, &format!("blob/{writer}")).ok().flatten().map(|(_, digest)| digest),
        tree: named(kv, &format!("tree/{writer}")).ok().flatten().map(|(_, digest)| digest),
    };
    let keys = vec![Key::new(Space::Control, format!("count/{writer}")), Key::new(Space::Meta, "sum")];
    let Named { blob, tree } = name;
    let step = move |rows: &Rows| {
        let count: u64 = rows.json(Space::Control, format!("count/{writer}").as_bytes())?.unwrap_or(0) + 1;
        let sum: u64 = rows.json(Space::Meta, b"sum")?.unwrap_or(0) + 1;
        let mut batch = Batch::new();
        batch.put_json(Space::Control, format!("count/{writer}"), &count)?.put_json(Space::Meta, "sum", &sum)?;
        for space in [Space::Queue, Space::Log] {
            batch.put(space, row(writer, count), payload(writer, count));
            batch.delete(space, row(writer, count.saturating_sub(KEPT)));
        }
        batch.put(Space::Usage, live(writer, count), "x");
        if count.is_multiple_of(GENERATION) {
            batch.drop_generation(Space::Usage, generation(writer, count - 1));
        }
        if let Some(digest) = blob {
            batch.put(Space::Control, format!("blob/{writer}"), format!("{count} {digest}"));
        }
        if let Some(digest) = tree {
            batch.put(Space::Control, format!("tree/{writer}"), format!("{count} {digest}"));
        }
        Ok((batch, count))
    };
    let count = transact_with(kv, keys, step).await?;
    // Nobody refers to the earlier ones any more.
    if let (Some(_), Some(gone)) = (blob, was.blob.filter(|was| Some(*was) != blob)) {
        blobs.remove(&gone).await.or_else(failed_only)?;
    }
    if let (Some(_), Some(gone)) = (tree, was.tree.filter(|was| Some(*was) != tree)) {
        trees.remove(&gone).await.or_else(failed_only)?;
    }
    Ok(count)
}

/// The write stands, whatever becomes of what it made superfluous.
fn failed_only(error: Error) -> Result<bool, Error> {
    say_wrong("remove", &error);
    Ok(false)
}

/// The prefix of a writer's generation at a count.
fn generation(writer: usize, count: u64) -> String {
    format!("{writer}/{:06}/", count / GENERATION)
}

/// A row that goes with its generation.
fn live(writer: usize, count: u64) -> String {
    format!("{}{count:012}", generation(writer, count))
}

fn row(writer: usize, number: u64) -> String {
    format!("{writer}/{number:012}")
}

/// Checks that everything fits together, and answers each writer's count.
async fn look(kv: &dyn Kv, blobs: &Blobs, trees: &Trees) -> Result<Vec<u64>, String> {
    let failed = |error: store::Error| error.to_string();
    let forgetful = env::var(FORGETFUL).is_ok();
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
        let first = count / GENERATION * GENERATION;
        let rows =
            kv.range(Space::Usage, Range::prefix(generation(writer, count)), usize::MAX, false).map_err(failed)?;
        let expected = (first.max(1)..=count).map(|number| Bytes::from(live(writer, number)));
        if !rows.iter().map(|(key, _)| key.clone()).eq(expected) {
            return Err(format!("{} rows of the generation of {writer} at {count}", rows.len()));
        }
        if let Some((number, digest)) = named(kv, &format!("blob/{writer}"))? {
            let found = blobs.read(&digest).await.map_err(failed)?;
            if found != Some(blob(writer, number)) || number + 8 <= count {
                return Err(format!("blob {number} of {writer} at {count}: {:?}", found.map(|bytes| bytes.len())));
            }
        }
        if let Some((number, digest)) = named(kv, &format!("tree/{writer}"))? {
            match trees.get(&digest).await.map_err(failed)? {
                Some(tree) => {
                    let file = std::fs::read(tree.path.join("handler.py")).map_err(|error| error.to_string())?;
                    if file != payload(writer, number) {
                        return Err(format!("tree {number} of {writer} is torn"));
                    }
                }
                None if forgetful => {}
                None => return Err(format!("tree {number} of {writer} is missing")),
            }
        }
        counts.push(count);
    }
    let sum: u64 = store::get_json(kv, Space::Meta, b"sum").map_err(failed)?.unwrap_or(0);
    if sum != counts.iter().sum::<u64>() {
        return Err(format!("the sum {sum} of {counts:?}"));
    }
    for digest in trees.list().await.map_err(failed)? {
        let tree = trees.get(&digest).await.map_err(failed)?;
        if tree.is_none() && !forgetful {
            return Err(format!("half a tree: {digest}"));
        }
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
