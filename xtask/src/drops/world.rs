//! The rooms' test programs, and runs of them with a member dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Member;

/// How long a run may take before it counts as hanging: longer than tests themselves wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A test by its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Test {
    /// A room's own: `module::name`
    Room { room: String, name: String },
    /// Of the whole platform: what pytest is told
    Platform(String),
}

impl Test {
    pub(crate) fn parse(room: &str, text: &str) -> Self {
        match text.strip_prefix("e2e ") {
            Some(path) => Self::Platform(path.to_owned()),
            None => Self::Room { room: room.to_owned(), name: text.to_owned() },
        }
    }
}

/// What a run of some tests showed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) passed: BTreeSet<String>,
    pub(crate) failed: BTreeSet<String>,
    /// It was stopped: what neither passed nor failed hung.
    pub(crate) hung: bool,
}

/// Every member that acts, in the order of the rooms' tables.
pub(crate) fn members(root: &Path) -> anyhow::Result<Vec<Member>> {
    let arguments = ["run", "--quiet", "--package", "lambent-cloud", "--", "fidelity", "--acts"];
    let asked = Command::new(env!("CARGO")).args(arguments).current_dir(root).stderr(Stdio::inherit()).output()?;
    ensure!(asked.status.success(), "`lambent fidelity --acts` failed");
    let text = String::from_utf8(asked.stdout)?;
    let member = |line: &str| {
        let (room, name) = line.split_once(' ').with_context(|| format!("`lambent fidelity --acts` said {line}"))?;
        Ok(Member { room: room.to_owned(), name: name.to_owned() })
    };
    text.lines().map(member).collect()
}

/// Where each room's tests are.
pub(crate) struct Rooms(BTreeMap<String, Program>);

struct Program {
    path: PathBuf,
    // Of the room's crate, in which cargo runs tests.
    folder: PathBuf,
}

impl Rooms {
    /// Builds the rooms' test programs.
    pub(crate) fn build(root: &Path, rooms: BTreeSet<&str>) -> anyhow::Result<Self> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--no-run", "--quiet", "--message-format", "json", "--test", "it"]);
        rooms.iter().for_each(|room| {
            cargo.args(["--package", &format!("lambent-{room}")]);
        });
        let built = cargo.current_dir(root).stderr(Stdio::inherit()).output()?;
        ensure!(built.status.success(), "the rooms' tests do not build");
        let mut programs = BTreeMap::new();
        for line in String::from_utf8(built.stdout)?.lines() {
            let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
            let (Some(path), Some(manifest)) = (message["executable"].as_str(), message["manifest_path"].as_str())
            else {
                continue;
            };
            let folder = Path::new(manifest).parent().context("a manifest lies in a folder")?.to_owned();
            let room = folder.file_name().context("a crate has a name")?.to_string_lossy().into_owned();
            programs.insert(room, Program { path: path.into(), folder });
        }
        let missing: Vec<_> = rooms.iter().filter(|room| !programs.contains_key(**room)).collect();
        ensure!(missing.is_empty(), "these rooms have no tests/it: {missing:?}");
        Ok(Self(programs))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Runs tests of a room, all if none is named, with a member dropped or none.
    pub(crate) fn run(&self, room: &str, tests: &[&str], dropped: Option<&str>) -> Outcome {
        let Some(program) = self.0.get(room) else { return Outcome::default() };
        let mut command = Command::new(&program.path);
        command.args(["--test-threads", "8"]).current_dir(&program.folder);
        if !tests.is_empty() {
            command.arg("--exact").args(tests);
        }
        let (text, hung) = watched(&mut command, dropped, PATIENCE);
        let mut outcome = Outcome { hung, ..Outcome::default() };
        for line in text.lines() {
            let Some((name, end)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ")) else {
                continue;
            };
            match end {
                "ok" => outcome.passed.insert(name.to_owned()),
                "FAILED" => outcome.failed.insert(name.to_owned()),
                _ => false,
            };
        }
        outcome
    }
}

/// Runs one test of the whole platform: whether it passed.
pub(crate) fn platform(root: &Path, test: &str, dropped: Option<&str>) -> bool {
    let mut command = Command::new(root.join("target/venv/bin/python"));
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", test]).current_dir(root);
    let (text, hung) = watched(&mut command, dropped, PATIENCE * 4);
    !hung && text.contains(" passed") && !text.contains(" failed")
}

/// Runs a program for at most `patience`: its output, and whether it was stopped.
fn watched(command: &mut Command, dropped: Option<&str>, patience: Duration) -> (String, bool) {
    command.env_remove("LAMBENT_DROP").env("RUST_BACKTRACE", "0");
    // Property tests: the same cases each time; what fails is expected to, so it is neither shrunk nor noted.
    command.env("PROPTEST_RNG_SEED", "1").env("PROPTEST_MAX_SHRINK_ITERS", "1");
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
    command.envs(dropped.map(|member| ("LAMBENT_DROP", member)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return (String::new(), false) };
    let (tell, ended) = mpsc::channel();
    let out = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = out.map_or(Ok(0), |mut out| out.read_to_end(&mut bytes));
        // Nobody listens once the time is over; what was read goes back by the thread's end.
        tell.send(()).ok();
        read.map(|_| String::from_utf8_lossy(&bytes).into_owned())
    });
    let hung = ended.recv_timeout(patience).is_err();
    if hung {
        // It may have ended just now.
        child.kill().ok();
    }
    child.wait().ok();
    // Output that is not text or breaks off shows no test that passed.
    (reader.join().ok().and_then(Result::ok).unwrap_or_default(), hung)
}

/// Does `work` on all, several at a time: runs mostly wait for each other's turn on the cores, or for what never comes.
pub(crate) fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let (work, next) = (&work, &next);
    let workers = 2 * thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let run = move || {
            let mut done = Vec::new();
            while let Some((at, one)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, all.get(at)?)))
            {
                done.push((at, work(one)));
            }
            done
        };
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        running.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
