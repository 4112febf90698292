//! The connection to the helper: one thread that hears its news, and the table of who waits for what.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::Options;
use super::reins::{Meters, Reins};
use crate::cgroup::Interface;
use crate::channel;
use crate::helper::{Config, MARKER};
use crate::message::{Fault, Message, News, Request};
use crate::walls::{Environment, Error, Exit, ExitCause, Usage, Wall};

/// Helpers that were lost one after the other before they had made a sandbox, until the next is started only when a
/// launch asks for one.
const MOST_FAILURES: u32 = 4;

/// The pause after the first of them; it doubles with each.
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// The shortest time between two helpers that launches ask for.
const REST: std::time::Duration = std::time::Duration::from_secs(1);

/// How long a helper may take to find out what holds on this host; it takes milliseconds.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Set in a helper's environment: a program that gets here with it forgot to call `main_if_helper`, and would start
/// itself for ever.
const GUARD: &str = "LAMBENT_SANDBOX_HELPER";

type Answer = oneshot::Sender<Result<Environment, Error>>;

/// A launch that has a number: the number, the answer to come, the request to send.
type Begun = (u64, oneshot::Receiver<Result<Environment, Error>>, Vec<u8>);

/// Which descriptors come with a sandbox, see [`News::Launched`].
#[derive(Clone, Copy)]
struct Files {
    meters: usize,
    quota: u8,
    freezer: u8,
    line: bool,
    uplink: usize,
}

impl Files {
    /// How many there are, with output and pidfd, without the listeners.
    fn count(self) -> usize {
        let ones = [self.quota > 0, self.freezer > 0, self.line].into_iter().filter(|there| *there).count();
        2 + self.meters + ones + self.uplink
    }
}

/// A sandbox that runs.
struct Live {
    exit: watch::Sender<Option<Exit>>,
    meters: Arc<Meters>,
}

#[derive(Default)]
struct Table {
    /// The way to the helper, while there is one.
    socket: Option<Arc<OwnedFd>>,
    helper: Option<Child>,
    /// Launches without an answer yet.
    waiting: HashMap<u64, Answer>,
    live: HashMap<u64, Live>,
    /// The tenant of everything waiting and living, where tenants share ids and must not meet.
    tenants: HashMap<u64, String>,
    next: u64,
    walls: Vec<Wall>,
    usable: bool,
    /// Whether each sandbox has a uid range.
    ranges: bool,
    /// Whether the end of the helper is what we want.
    stopping: bool,
    /// Why there is no helper, once several in a row could not be had.
    given_up: Option<Error>,
    /// Whether a launch has asked for a helper while there was none.
    asked: bool,
}

/// See the module.
pub(super) struct Link {
    options: Options,
    table: Mutex<Table>,
    /// Wakes who waits to start a helper: a launch asks for one, or none is wanted any more.
    woken: Condvar,
    /// Whether the helper has found out all there is to be found out.
    settled: watch::Sender<bool>,
    /// How often the host was short of memory.
    short: watch::Sender<u64>,
    /// How many helpers there were.
    helpers: watch::Sender<u64>,
}

impl Link {
    pub(super) fn start(options: Options) -> Result<(Arc<Self>, std::thread::JoinHandle<()>), Error> {
        if std::env::var_os(GUARD).is_some() {
            let why = "this program was started as a helper and does not know how to be one".to_owned();
            let fix = "call sandbox::main_if_helper() first thing in its main".to_owned();
            return Err(Error::Unavailable { why, fix });
        }
        let link = Arc::new(Self {
            options,
            table: Mutex::new(Table::default()),
            woken: Condvar::new(),
            settled: watch::Sender::new(false),
            short: watch::Sender::new(0),
            helpers: watch::Sender::new(0),
        });
        let mut buffer = vec![0; channel::MAX_BYTES];
        let socket = link.connect(&mut buffer)?;
        let held = Arc::clone(&link);
        let reader = std::thread::Builder::new()
            .name("sandbox-link".to_owned())
            .spawn(move || held.read_for_ever(socket, &mut buffer))
            .map_err(|error| exhausted("threads", &error))?;
        Ok((link, reader))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change of the table is complete before anything that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn helper_pid(&self) -> Option<u32> {
        self.table().helper.as_ref().map(Child::id)
    }

    pub(super) fn usable(&self) -> bool {
        self.table().usable
    }

    pub(super) fn walls(&self) -> (Vec<Wall>, bool) {
        let table = self.table();
        (table.walls.clone(), table.usable)
    }

    /// Counts how often the host was short of memory.
    pub(super) fn short_of_memory(&self) -> watch::Receiver<u64> {
        self.short.subscribe()
    }

    /// Counts the helpers that were there.
    pub(super) fn helpers(&self) -> watch::Receiver<u64> {
        self.helpers.subscribe()
    }

    /// Completes when nothing is left to be found out.
    pub(super) async fn settled(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }

    /// Starts a helper and hears what it found.
    fn connect(&self, buffer: &mut [u8]) -> Result<Arc<OwnedFd>, Error> {
        let (mine, theirs) = channel::pair().map_err(|error| exhausted("descriptors", &error))?;
        let config = Config {
            run_dir: self.options.run_dir.clone(),
            prepared: self.options.prepared,
            cpu_limit: self.options.cpu_limit,
        };
        let program = self.options.helper_exe.clone().unwrap_or_else(|| "/proc/self/exe".into());
        let mut child = Command::new(program)
            .arg0(MARKER)
            .args(config.arguments())
            .env_clear()
            .env(GUARD, "1")
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .spawn()
            .map_err(|error| exhausted("processes", &error))?;
        set_patience(&mine, Some(PATIENCE));
        let hello = channel::receive(&mine, buffer, true).ok().and_then(|got| News::decode(&buffer[..got.len]).ok());
        let Some(News::Hello { walls, usable, ranges }) = hello else {
            let _ = child.kill();
            let status = child.wait().map(|status| status.to_string()).unwrap_or_default();
            return Err(exhausted("helpers", &std::io::Error::other(format!("it said nothing and ended ({status})"))));
        };
        set_patience(&mine, None);
        let socket = Arc::new(mine);
        let mut table = self.table();
        table.helper = Some(child);
        table.walls = walls;
        table.usable = usable;
        table.ranges = ranges;
        table.given_up = None;
        self.settled.send_replace(!usable);
        if !table.stopping {
            table.socket = Some(Arc::clone(&socket));
        }
        drop(table);
        self.helpers.send_modify(|there_were| *there_were += 1);
        Ok(socket)
    }

    /// Enters a launch into the table and makes its request.
    pub(super) fn begin(
        &self,
        tenant: &str,
        encode: impl FnOnce(u64) -> Result<Vec<u8>, Error>,
    ) -> Result<Begun, Error> {
        let mut table = self.table();
        if !table.ranges && table.tenants.values().any(|other| other != tenant) {
            return Err(Error::Tenants);
        }
        table.next += 1;
        let seq = table.next;
        let request = encode(seq)?;
        let (answer, receiver) = oneshot::channel();
        table.waiting.insert(seq, answer);
        table.tenants.insert(seq, tenant.to_owned());
        Ok((seq, receiver, request))
    }

    /// Sends a request to the helper.
    pub(super) fn send(&self, request: &[u8]) -> Result<(), Error> {
        let mut table = self.table();
        let Some(socket) = table.socket.clone() else {
            table.asked = true;
            self.woken.notify_all();
            return Err(table.given_up.clone().unwrap_or(Error::HelperLost));
        };
        drop(table);
        channel::send(&*socket, request, &[]).map_err(|_| Error::HelperLost)
    }

    /// This launch never reached the helper.
    pub(super) fn forget(&self, seq: u64) {
        let mut table = self.table();
        table.waiting.remove(&seq);
        table.tenants.remove(&seq);
    }

    /// Nobody waits for this launch any more.
    pub(super) fn abandon(&self, seq: u64) {
        if self.table().waiting.remove(&seq).is_some() {
            // A helper that is gone has killed it.
            let _ = self.send(&Request::Kill(seq).encode());
        }
    }

    /// Lets the helper go; it kills every sandbox.
    pub(super) fn stop(&self) {
        let mut table = self.table();
        table.stopping = true;
        self.woken.notify_all();
        if let Some(socket) = table.socket.take() {
            let _ = rustix::net::shutdown(&*socket, rustix::net::Shutdown::Both);
        }
    }

    fn read_for_ever(self: Arc<Self>, mut socket: Arc<OwnedFd>, buffer: &mut [u8]) {
        let mut lost = 0;
        loop {
            if self.read_until_lost(&socket, buffer) {
                lost = 0;
            }
            drop(self.table().socket.take());
            self.bury_all();
            loop {
                if !self.pause(lost) {
                    return;
                }
                tracing::warn!(lost, "the sandbox helper is gone; starting another");
                // Until it has made a sandbox, it counts as lost.
                lost += 1;
                match self.connect(buffer) {
                    Ok(new) => {
                        socket = new;
                        break;
                    }
                    Err(error) => self.not_started(lost, error),
                }
            }
        }
    }

    /// Waits as long as it must after so many helpers were lost in a row. Answers false when none is wanted any more.
    fn pause(&self, lost: u32) -> bool {
        let wait = match lost {
            0 => std::time::Duration::ZERO,
            1..=MOST_FAILURES => FIRST_PAUSE * (1 << (lost - 1)),
            _ => REST,
        };
        let waited = self.woken.wait_timeout_while(self.table(), wait, |table| !table.stopping);
        let mut table = waited.unwrap_or_else(PoisonError::into_inner).0;
        if lost > MOST_FAILURES {
            // Nothing more is found out until a launch asks.
            table.usable = false;
            self.settled.send_replace(true);
            let asked = self.woken.wait_while(table, |table| !table.stopping && !table.asked);
            table = asked.unwrap_or_else(PoisonError::into_inner);
        }
        table.asked = false;
        !table.stopping
    }

    fn not_started(&self, lost: u32, error: Error) {
        tracing::error!(%error, "the sandbox helper cannot be started");
        if lost > MOST_FAILURES {
            let mut table = self.table();
            table.usable = false;
            table.given_up = Some(error);
        }
    }

    /// Hears news until the helper is gone. Answers whether it has made a sandbox.
    fn read_until_lost(&self, socket: &OwnedFd, buffer: &mut [u8]) -> bool {
        let mut worked = false;
        while let Ok(got) = channel::receive(socket, buffer, true) {
            match News::decode(&buffer[..got.len]) {
                _ if got.len == 0 => break,
                Ok(news) => {
                    worked |= matches!(news, News::Launched { .. });
                    self.hear(news, got.fds);
                }
                Err(_) => break,
            }
        }
        worked
    }

    fn hear(&self, news: News, fds: Vec<OwnedFd>) {
        match news {
            News::Hello { .. } => {}
            News::Launched { seq, meters, quota, freezer, line, uplink, pid, ahead, shared } => {
                let files = Files { meters: meters as usize, quota, freezer, line, uplink: uplink as usize };
                self.launched(seq, files, (pid, ahead, shared), fds);
            }
            News::Failed { seq, fault, why, fix } => {
                let mut table = self.table();
                table.tenants.remove(&seq);
                let Some(answer) = table.waiting.remove(&seq) else { return };
                drop(table);
                let error = match fault {
                    Fault::Spec => Error::Spec(why),
                    Fault::Program => Error::Program(why),
                    Fault::Unavailable => Error::Unavailable { why, fix },
                    Fault::Exhausted => Error::Exhausted { what: "processes, memory or descriptors", why },
                };
                let _ = answer.send(Err(error));
            }
            News::Ended { seq, cause, usage } => {
                let mut table = self.table();
                table.tenants.remove(&seq);
                let Some(live) = table.live.remove(&seq) else { return };
                drop(table);
                live.finish(cause, usage);
            }
            News::MemoryIsShort => self.short.send_modify(|times| *times += 1),
            News::Wall { wall, last } => {
                if let Some(old) = self.table().walls.iter_mut().find(|old| old.name == wall.name) {
                    *old = wall;
                }
                self.settled.send_if_modified(|settled| last && !std::mem::replace(settled, last));
            }
        }
    }

    fn launched(&self, seq: u64, files: Files, (pid, ahead, shared): (u32, bool, u64), fds: Vec<OwnedFd>) {
        if fds.len() < files.count() {
            // Descriptors were lost because we have too many open: the sandbox dies with those that came.
            if let Some(pidfd) = fds.get(1) {
                let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
            }
            let mut table = self.table();
            table.tenants.remove(&seq);
            let answer = table.waiting.remove(&seq);
            drop(table);
            if let Some(answer) = answer {
                let why = "too many open files".to_owned();
                let _ = answer.send(Err(Error::Exhausted { what: "descriptors", why }));
            }
            return;
        }
        let mut fds = fds.into_iter();
        let mut next = |count: usize| fds.by_ref().take(count).collect::<Vec<_>>();
        let [output, pidfd]: [OwnedFd; 2] = next(2).try_into().expect("the list is longer");
        let (meters, quota) = (next(files.meters), next(usize::from(files.quota > 0)).pop());
        let freezer = next(usize::from(files.freezer > 0)).pop().zip(Interface::of(files.freezer));
        let line = next(usize::from(files.line)).pop().map(UnixStream::from);
        let uplink = way_out(next(files.uplink));
        let listeners = fds.map(std::net::TcpListener::from).collect();
        let (exit, exited) = watch::channel(None);
        let meters = Arc::new(Meters::new(meters, pid, shared));
        let quota = quota.map(|file| (file, files.quota));
        let reins = Reins::new(pidfd, Arc::clone(&meters), (quota, freezer), exited);
        let mut table = self.table();
        table.live.insert(seq, Live { exit, meters });
        let answer = table.waiting.remove(&seq);
        drop(table);
        let environment = Environment { listeners, line, uplink, output, ahead, dial: None, control: Box::new(reins) };
        // Dropping the environment, when nobody waits for it any more, kills it.
        if let Some(answer) = answer {
            let _ = answer.send(Ok(environment));
        }
    }

    /// The helper died, and with it everything.
    fn bury_all(&self) {
        let mut table = self.table();
        let (waiting, live) = (std::mem::take(&mut table.waiting), std::mem::take(&mut table.live));
        let stopping = table.stopping;
        table.tenants.clear();
        let helper = table.helper.take();
        drop(table);
        if let Some(mut helper) = helper {
            if !stopping {
                // It may hang instead of being dead; either way no second one may live.
                let _ = helper.kill();
            }
            let _ = helper.wait();
        }
        for (_, answer) in waiting {
            let _ = answer.send(Err(Error::HelperLost));
        }
        let cause = if stopping { ExitCause::Killed } else { ExitCause::HelperLost };
        for (_, live) in live {
            let usage = live.meters.read();
            live.finish(cause, usage);
        }
    }
}

impl Live {
    fn finish(self, cause: ExitCause, usage: Usage) {
        let usage = self.meters.last(usage);
        self.exit.send_replace(Some(Exit { cause, usage }));
    }
}

/// The sockets of the way out, in the order the first process made them.
fn way_out(sockets: Vec<OwnedFd>) -> Option<base::Uplink> {
    let mut sockets = sockets.into_iter();
    let (dns_udp, dns_tcp) = (sockets.next()?.into(), sockets.next()?.into());
    Some(base::Uplink { tcp: sockets.next().map(Into::into), dns_udp, dns_tcp })
}

/// Makes receiving fail after a while, or never.
fn set_patience(socket: &OwnedFd, patience: Option<std::time::Duration>) {
    // Cannot fail for a socket and a duration above zero; without it we would only wait longer.
    let _ = rustix::net::sockopt::set_socket_timeout(socket, rustix::net::sockopt::Timeout::Recv, patience);
}

fn exhausted(what: &'static str, error: &std::io::Error) -> Error {
    Error::Exhausted { what, why: error.to_string() }
}
