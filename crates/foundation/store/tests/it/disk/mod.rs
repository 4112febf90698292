//! A disk that fails, fills up, or loses what was not synced, under the real engine: the child of the crash test with
//! `shim.c` below it. Whatever was acknowledged must be there afterwards, and every error must come out as one.
//! `LAMBENT_SOAK=n` makes it n times as long.
//!
//! The shim needs a C compiler and a Linux on x86-64 that allows seccomp filters; elsewhere these tests say so and pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::workload::{self, FORGETFUL, Known, Random, Run};

/// The compiled shim; none where it cannot work.
fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = SHIM.get_or_init(|| {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            eprintln!("skipped: the disk of these tests is written for Linux on x86-64");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/disk/shim.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        match compiled {
            Ok(status) => assert!(status.success(), "the shim does not compile"),
            Err(cause) => {
                eprintln!("skipped: no C compiler: {cause}");
                return None;
            }
        }
        Some((folder, library))
    });
    made.as_ref().map(|(_, library)| library.as_path())
}

/// A disk of its own for one story.
struct Disk {
    shim: &'static Path,
    place: tempfile::TempDir,
    boots: u64,
}

impl Disk {
    fn new() -> Option<Self> {
        let shim = shim()?;
        let place = tempfile::tempdir().unwrap();
        for part in ["disk", "spare"] {
            fs::create_dir(place.path().join(part)).unwrap();
        }
        let mut disk = Self { shim, place, boots: 0 };
        disk.boot();
        Some(disk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The machine starts again: the kernel has another name from now on.
    fn boot(&mut self) {
        self.boots += 1;
        fs::write(self.path("boot"), format!("boot-{}\n", self.boots)).unwrap();
    }

    /// Starts a child on this disk, which does as told at some point; nothing to do is a sound disk.
    fn start(&self, order: &str, seed: u64) -> Run {
        let text = |name: &str| self.path(name).display().to_string();
        let environment = [
            ("LD_PRELOAD", self.shim.display().to_string()),
            ("DISK_ROOT", text("disk")),
            ("DISK_SPARE", text("spare")),
            ("DISK_LOST", text("lost")),
            ("DISK_AGAIN", text("again")),
            ("DISK_BOOT", text("boot")),
            ("DISK_LOG", text("log")),
            ("DISK_DO", order.to_owned()),
            ("DISK_SEED", seed.to_string()),
            (FORGETFUL, "yes".to_owned()),
        ];
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Run::start(&self.path("disk/data"), &environment)
    }

    /// A child that only looks, on a disk that is sound again.
    fn look(&self, known: &mut Known, what: &str) {
        let trouble = known.trouble.len();
        let taken = fs::read_to_string(self.path("log")).unwrap_or_default();
        let what = &format!("{what}\n{taken}");
        let ended = self.start("", 0).stop(known);
        known.must_be_whole(what);
        assert!(ended.success(), "{what}");
        assert_eq!(known.trouble.len(), trouble, "{what}: {known:#?}");
    }
}

#[test]
fn what_was_acknowledged_outlives_power_cuts() {
    let mut random = Random(0xc07);
    for story in 0..12 * workload::soak() {
        let Some(mut disk) = Disk::new() else { return };
        let mut known = Known::default();
        for cut in 0..6 {
            let latest = [60, 1500][random.below(2) as usize];
            let order = format!("any:{}:cut", 1 + random.below(latest));
            let what = format!("story {story}, cut {cut}, {order}");
            let mut run = disk.start(&order, story * 1000 + cut);
            run.hear_acknowledged(&mut known, 2000);
            run.stop(&mut known);
            known.must_be_whole(&what);
            disk.boot();
            disk.look(&mut known, &what);
        }
    }
}

#[test]
fn errors_of_the_disk_come_out_and_nothing_acknowledged_is_lost() {
    let mut random = Random(0xe10);
    let mut surfaced = 0;
    for story in 0..20 * workload::soak() {
        let Some(disk) = Disk::new() else { return };
        let mut known = Known::default();
        for fault in 0..4 {
            // The last fills the disk after so many thousand bytes.
            let action = [
                "write:N:eio",
                "write:N:short",
                "write:N:enospc",
                "sync:N:eio",
                "sync:N:enospc",
                "any:N:eio",
                "space:N000",
            ];
            let latest = [20, 600][random.below(2) as usize];
            let at = 1 + random.below(latest);
            let order = action[random.below(action.len() as u64) as usize].replace('N', &at.to_string());
            let what = format!("story {story}, fault {fault}, {order}");
            let before = known.trouble.len();
            let mut run = disk.start(&order, 0);
            run.hear_acknowledged(&mut known, 400);
            run.stop(&mut known);
            known.must_be_whole(&what);
            surfaced += u64::from(known.trouble.len() > before);
            disk.look(&mut known, &what);
        }
    }
    assert!(surfaced > 20 * workload::soak(), "the faults must hit: {surfaced}");
}

/// A sync that fails loses its pages: they can be read until the machine stops, and no later sync writes them. What the
/// next process finds and builds upon must be on the disk before anything behind it is acknowledged.
#[test]
fn what_a_failed_sync_has_lost_is_written_again_before_it_is_built_upon() {
    let mut random = Random(0x10c7);
    for story in 0..8 * workload::soak() {
        let Some(mut disk) = Disk::new() else { return };
        let mut known = Known::default();
        let order = format!("sync:{}:eio:.jnl", 4 + random.below(200));
        let mut run = disk.start(&order, 0);
        run.hear_acknowledged(&mut known, u64::MAX);
        assert_eq!(run.stop(&mut known).code(), Some(1), "{order}: the process ends");
        assert!(!known.trouble.is_empty(), "{order}");
        assert!(!disk.path("again").exists(), "{order}: the failed sync was tried again");
        let order = format!("story {story}: {order}, then any:{}:cut", 100 + random.below(500));
        let mut run = disk.start(order.rsplit(' ').next().unwrap(), story);
        run.hear_acknowledged(&mut known, u64::MAX);
        run.stop(&mut known);
        known.must_be_whole(&order);
        disk.boot();
        disk.look(&mut known, &order);
    }
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_store() {
    for (action, at) in [("eio", 3), ("short", 8), ("eio", 40), ("enospc", 41), ("short", 90), ("eio", 200)] {
        let Some(disk) = Disk::new() else { return };
        let mut known = Known::default();
        let order = format!("write:{at}:{action}:.jnl");
        let mut run = disk.start(&order, 0);
        run.hear_acknowledged(&mut known, u64::MAX);
        assert_eq!(run.stop(&mut known).code(), Some(1), "{order}: the process ends");
        known.must_be_whole(&order);
        assert!(known.trouble.iter().any(|line| line.contains("the store stopped")), "{order}: {known:#?}");
        disk.look(&mut known, &order);
    }
}
