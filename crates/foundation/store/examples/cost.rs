//! What durability costs, beside the bare engine in the same run: `cargo run --profile fast -p lambent-store --example cost`.
//!
//! Each figure is the median of several turns; the two sides of a ratio take turns, since a machine's speed drifts.

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use store::{Batch, Key, Kv, Space};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Who commits at once.
const WRITERS: usize = 64;
/// How long one side writes in a turn.
const TURN: Duration = Duration::from_millis(700);
const TURNS: usize = 7;
/// Value of a row, bytes.
const VALUE: [u8; 100] = [7; 100];
/// Rows of a commit: a change, its index, its outbox row.
const ROWS: usize = 3;
/// What the journal may hold at most, so that filling more rotates it.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// What a writer's commit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Rows of its own.
    Rows,
    /// A counter of its own.
    OwnCounter,
    /// One counter for all.
    SharedCounter,
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args_os().skip(1);
    if let Some(folder) = arguments.next() {
        return fill_and_die(Path::new(&folder));
    }
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    let kv = store::open(&folder.path().join("kv"))?;
    let bare = Bare::open(&folder.path().join("bare"))?;

    let (mut ours, mut raw, mut own, mut shared) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        raw.push(bare.turn()?);
        ours.push(runtime.block_on(turn(&kv, Work::Rows))?);
        own.push(runtime.block_on(turn(&kv, Work::OwnCounter))?);
        shared.push(runtime.block_on(turn(&kv, Work::SharedCounter))?);
    }
    println!("durable commits of {ROWS} rows a second, {WRITERS} writers");
    println!("  the engine alone, {WRITERS} commits a sync   {:8.0}", median(&mut raw.clone()));
    println!("  through Kv                       {:8.0}   {:.2} x", median(&mut ours.clone()), ratio(&ours, &raw));
    println!("counters a second, {WRITERS} writers");
    println!("  each its own                     {:8.0}", median(&mut own.clone()));
    println!("  all the same                     {:8.0}   {:.2} x", median(&mut shared.clone()), ratio(&shared, &own));
    drop(kv);

    let mut opens = Vec::new();
    let mut journal_bytes = 0;
    for turn in 0..3 {
        let path = folder.path().join(format!("killed-{turn}"));
        let status = Command::new(std::env::current_exe()?).arg(&path).stdout(Stdio::null()).status()?;
        if status.success() {
            return Err("the writer was to be killed".into());
        }
        journal_bytes = journals(&path)?;
        let began = now();
        let opened = store::open(&path)?;
        opens.push(began.elapsed().as_secs_f64() * 1000.0);
        drop(opened);
    }
    println!("open after kill -9, journal of {} MiB   {:.0} ms", journal_bytes / 1024 / 1024, median(&mut opens));
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock itself")]
fn now() -> Instant {
    Instant::now()
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// The median of the turns' own ratios.
fn ratio(of: &[f64], to: &[f64]) -> f64 {
    median(&mut of.iter().zip(to).map(|(a, b)| a / b).collect::<Vec<_>>())
}

/// Commits a second.
async fn turn(kv: &Arc<dyn Kv>, work: Work) -> Outcome<f64> {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let began = now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (kv, stop, done) = (Arc::clone(kv), Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    commit(&*kv, work, writer, number).await?;
                    number += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, store::Error>(())
            })
        })
        .collect();
    tokio::time::sleep(TURN).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

async fn commit(kv: &dyn Kv, work: Work, writer: usize, number: u64) -> Result<(), store::Error> {
    if work == Work::Rows {
        let run = move |_: &store::Rows| {
            let mut batch = Batch::new();
            for row in 0..ROWS {
                batch.put(Space::Control, row_key(writer, number, row), VALUE.to_vec());
            }
            Ok(batch)
        };
        return kv.transact(Vec::new(), Box::new(run)).await;
    }
    let counter = if work == Work::OwnCounter { format!("counter-{writer:02}") } else { "counter-xx".to_owned() };
    let keys = vec![Key::new(Space::Control, counter.clone())];
    let run = move |rows: &store::Rows| {
        let before: u64 = rows.json(Space::Control, counter.as_bytes())?.unwrap_or_default();
        let mut batch = Batch::new();
        batch.put_json(Space::Control, counter.clone(), &(before + 1))?;
        Ok(batch)
    };
    kv.transact(keys, Box::new(run)).await
}

fn row_key(writer: usize, number: u64, row: usize) -> String {
    format!("row-{writer:02}-{number:012}-{row}")
}

/// The engine without us: one thread that gives it 64 commits as one batch and syncs.
struct Bare {
    db: Database,
    rows: fjall::Keyspace,
    next: AtomicU64,
}

impl Bare {
    fn open(path: &Path) -> Outcome<Self> {
        let db = Database::builder(path).manual_journal_persist(true).worker_threads(1).open()?;
        let rows = db.keyspace("rows", || KeyspaceCreateOptions::default().max_memtable_size(4 * 1024 * 1024))?;
        Ok(Self { db, rows, next: AtomicU64::new(0) })
    }

    fn turn(&self) -> Outcome<f64> {
        let began = now();
        let mut done = 0;
        while began.elapsed() < TURN {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let mut batch = self.db.batch();
            for writer in 0..WRITERS {
                for row in 0..ROWS {
                    batch.insert(&self.rows, row_key(writer, number, row), VALUE);
                }
            }
            batch.commit()?;
            self.db.persist(PersistMode::SyncData)?;
            done += WRITERS;
        }
        Ok(done as f64 / began.elapsed().as_secs_f64())
    }
}

/// Writes until the journal is nearly full, and dies as `kill -9` kills.
fn fill_and_die(path: &Path) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let kv = store::open(path)?;
    runtime.block_on(async {
        let mut number = 0;
        while journals(path)? < JOURNAL_BYTES * 9 / 10 && number < 20_000 {
            let run = move |_: &store::Rows| {
                let mut batch = Batch::new();
                for row in 0..100 {
                    batch.put(Space::Control, row_key(0, number, row), VALUE.to_vec());
                }
                Ok(batch)
            };
            kv.transact(Vec::new(), Box::new(run)).await?;
            number += 1;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    std::process::abort();
}

/// Bytes of the engine's journals.
fn journals(path: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "jnl") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
