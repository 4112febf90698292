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
const TURN: Duration = Duration::from_millis(300);
const TURNS: usize = 11;
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

    println!(
        "durable commits of {ROWS} rows a second: the engine alone with one commit of each writer a sync, and through Kv"
    );
    println!("  writers     alone        Kv   ratio: least median  most   answered after p50 ms   p99");
    for writers in [1, 8, WRITERS] {
        let (mut raw, mut ours, mut waits) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            settle()?;
            raw.push(bare.turn(writers)?);
            settle()?;
            let (rate, waited) = runtime.block_on(turn(&kv, Work::Rows, writers))?;
            ours.push(rate);
            waits.extend(waited);
        }
        waits.sort_by(f64::total_cmp);
        println!(
            "  {writers:7} {:9.0} {:9.0} {} {:12.3} {:13.3}",
            median(&raw),
            median(&ours),
            Spread::of(&ours, &raw),
            waits[waits.len() / 2],
            waits[waits.len() * 99 / 100],
        );
    }
    let (mut own, mut shared) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        settle()?;
        own.push(runtime.block_on(turn(&kv, Work::OwnCounter, WRITERS))?.0);
        settle()?;
        shared.push(runtime.block_on(turn(&kv, Work::SharedCounter, WRITERS))?.0);
    }
    println!("counters a second, {WRITERS} writers: each its own, and all the same");
    println!("          {:9.0} {:9.0} {}", median(&own), median(&shared), Spread::of(&shared, &own));
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
    println!("open after kill -9, journal of {} MiB   {:.0} ms", journal_bytes / 1024 / 1024, median(&opens));
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock itself")]
fn now() -> Instant {
    Instant::now()
}

/// Waits until the engines have nothing left to write out and merge: neither side shall pay for the other's turn.
fn settle() -> Outcome<()> {
    let spent = || -> Outcome<u64> {
        let mut spent_ns = 0;
        for task in std::fs::read_dir("/proc/self/task")? {
            let spent = std::fs::read_to_string(task?.path().join("schedstat"))?;
            spent_ns += spent.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(spent_ns)
    };
    loop {
        let before = spent()?;
        std::thread::sleep(Duration::from_millis(50));
        if spent()?.saturating_sub(before) < 2_000_000 {
            return Ok(());
        }
    }
}

fn median(of: &[f64]) -> f64 {
    let mut of = of.to_vec();
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// The turns' own ratios: the least, the median and the most of them.
struct Spread([f64; 3]);

impl Spread {
    fn of(of: &[f64], to: &[f64]) -> Self {
        let mut all: Vec<f64> = of.iter().zip(to).map(|(a, b)| a / b).collect();
        all.sort_by(f64::total_cmp);
        Self([all[0], all[all.len() / 2], all[all.len() - 1]])
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [least, median, most] = self.0;
        write!(to, "        {least:5.2}  {median:5.2} {most:5.2}")
    }
}

/// Commits a second, and how long each took, ms.
async fn turn(kv: &Arc<dyn Kv>, work: Work, writers: usize) -> Outcome<(f64, Vec<f64>)> {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let began = now();
    let writers: Vec<_> = (0..writers)
        .map(|writer| {
            let (kv, stop, done) = (Arc::clone(kv), Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                let mut number = 0;
                let mut waits = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let asked = now();
                    commit(&*kv, work, writer, number).await?;
                    waits.push(asked.elapsed().as_secs_f64() * 1000.0);
                    number += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, store::Error>(waits)
            })
        })
        .collect();
    tokio::time::sleep(TURN).await;
    stop.store(true, Ordering::Relaxed);
    let mut waits = Vec::new();
    for writer in writers {
        waits.extend(writer.await??);
    }
    Ok((done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64(), waits))
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

/// The engine without us: one thread that gives it a commit of each writer as one batch and syncs.
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

    fn turn(&self, writers: usize) -> Outcome<f64> {
        let began = now();
        let mut done = 0;
        while began.elapsed() < TURN {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let mut batch = self.db.batch();
            for writer in 0..writers {
                for row in 0..ROWS {
                    batch.insert(&self.rows, row_key(writer, number, row), VALUE);
                }
            }
            batch.commit()?;
            self.db.persist(PersistMode::SyncData)?;
            done += writers;
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
