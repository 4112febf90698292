//! The helper's loop: requests of the server, reports of first processes, deaths and memory events, one at a time.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll;

use super::ahead;
use super::scratch::Scratch;
use super::set::{Set, Stage};
use super::spares::{Stocks, now_ms};
use super::zygote::Zygote;
use super::{Config, Host, place, probe};
use crate::cgroup::{Group, Interface, Version};
use crate::channel;
use crate::inside;
use crate::message::{Fault, Launch, Message, News, Report, Request};
use crate::survey;
use crate::sys;
use crate::walls::ExitCause;

/// What an event is about: the low bits of its token. The others are the number of the set; those of the server and the
/// keeper, about which nothing else is said, are no sets' numbers.
const SERVER: u64 = 0;
pub(super) const RUNTIME: u64 = 0;
pub(super) const SOCKET: u64 = 1;
const DEATH: u64 = 2;
const MEMORY: u64 = 3;
/// The token of the keeper: about nothing of a set, and not the server.
pub(super) const KEEPER: u64 = 4;

/// The token of the host's word that it is short of memory.
const PRESSURE: u64 = 1 << 2 | SOCKET;

/// The first number of a set.
const FIRST_SET: u64 = 2;

/// Milliseconds between turns of removing cgroups, and how many a turn removes: removal takes locks that forks need, so
/// it is done in small portions when nothing else is to be done.
const REAP_MS: i64 = 20;
const REAP_MOST: usize = 16;
/// How long nothing is made ahead of need after the start, ms: the server has its own start to do, and a launch is answered
/// sooner all the same.
const START_REST_MS: u64 = 30;

pub(super) struct Helper<'a> {
    pub(super) host: Host,
    server: &'a OwnedFd,
    pub(super) epoll: OwnedFd,
    pub(super) sets: BTreeMap<u64, Set>,
    pub(super) next: u64,
    pub(super) stocks: Stocks,
    /// Tells of a lack of memory, where the kernel can.
    _pressure: Option<OwnedFd>,
    /// By numbers that no set has.
    pub(super) zygotes: BTreeMap<u64, Zygote>,
    /// Those that are given up and have not gone yet.
    pub(super) dying: Vec<Zygote>,
    /// Where `/tmp` comes from.
    pub(super) scratch: Scratch,
    /// When it begins to make things ahead of need (see `now_ms`); none once it has.
    begins: Option<u64>,
    /// How many sets to keep ready; 0 until it begins, and after one could not be made, until the next launch.
    pub(super) wanted: usize,
    prepared: usize,
    /// Groups to be removed. One whose last process is still being buried cannot be yet.
    leftover: VecDeque<Group>,
    pub(super) buffer: Vec<u8>,
}

/// Answers every request with the reason why nothing can be built, until the server goes.
pub(super) fn refuse(server: &OwnedFd, why: &str) -> i32 {
    let fix = survey::fix_for(why);
    let walls = survey::NAMES.iter().map(|name| survey::missing(name, why, &*fix)).collect();
    let hello = News::Hello { walls, usable: false, ranges: false };
    if channel::send(server, &hello.encode(), &[]).is_err() {
        return 0;
    }
    let mut buffer = vec![0; channel::MAX_BYTES];
    while let Ok(got) = channel::receive(server, &mut buffer, true) {
        if got.len == 0 {
            return 0;
        }
        if let Ok(Request::Launch(launch)) = Request::decode(&buffer[..got.len]) {
            let news =
                News::Failed { seq: launch.seq, fault: Fault::Unavailable, why: why.to_owned(), fix: fix.clone() };
            if channel::send(server, &news.encode(), &[]).is_err() {
                return 0;
            }
        }
    }
    1
}

/// Serves until the server is gone.
pub(super) fn serve(server: OwnedFd, host: Host, config: &Config) -> i32 {
    let result = match probe::probe(&host, 0) {
        Err(failed) => {
            let status = refuse(&server, &failed);
            host.layout.remove();
            return status;
        }
        Ok(walls) => {
            let hello = News::Hello { walls, usable: true, ranges: host.setup.ranges };
            channel::send(&server, &hello.encode(), &[]).and_then(|()| Helper::new(&server, host, config)?.run())
        }
    };
    i32::from(result.is_err())
}

impl<'a> Helper<'a> {
    fn new(server: &'a OwnedFd, host: Host, config: &Config) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, server, epoll::EventData::new_u64(SERVER), epoll::EventFlags::IN)?;
        let token = epoll::EventData::new_u64(PRESSURE);
        let pressure = ahead::watch_pressure()
            .filter(|pressure| epoll::add(&epoll, pressure, token, epoll::EventFlags::PRI).is_ok());
        let scratch = Scratch::new(host.scratch.clone(), place(&config.run_dir));
        Ok(Self {
            host,
            server,
            epoll,
            scratch,
            sets: BTreeMap::new(),
            next: FIRST_SET,
            stocks: Stocks::default(),
            _pressure: pressure,
            zygotes: BTreeMap::new(),
            dying: Vec::new(),
            wanted: 0,
            prepared: config.prepared,
            begins: Some(now_ms() + START_REST_MS),
            leftover: VecDeque::new(),
            buffer: vec![0; channel::MAX_BYTES],
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        loop {
            match self.turn(&mut events) {
                Ok(true) => {}
                Ok(false) => return self.end(),
                Err(error) => return self.end().and(Err(error)),
            }
        }
    }

    /// Waits for events and handles them. Answers false when the server is gone.
    fn turn(&mut self, events: &mut Vec<epoll::Event>) -> io::Result<bool> {
        events.clear();
        let wait = if let Some(begins) = self.begins {
            Some(begins.saturating_sub(now_ms()) as i64)
        } else if self.refill_due() || self.ahead_due() {
            Some(0)
        } else if self.leftover.is_empty() && self.dying.is_empty() {
            self.ahead_changes_in()
        } else {
            Some(REAP_MS)
        };
        let wait = wait.map(|ms| rustix::event::Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 });
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), wait.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        if events.is_empty() {
            if self.begins.is_some() {
                self.begin()?;
            } else if self.refill_due() {
                self.refill();
            } else if self.ahead_due() {
                self.make_ahead()?;
            } else {
                self.reap_groups();
                self.give_back()?;
            }
        }
        for event in events.iter() {
            let token = event.data.u64();
            let (number, about) = (token >> 2, token & 3);
            match about {
                SERVER if token == KEEPER => self.hear_keeper()?,
                RUNTIME if number >= FIRST_SET => self.spare_ended(number),
                SERVER if !self.hear_server()? => return Ok(false),
                SERVER => {}
                SOCKET if token == PRESSURE => self.memory_is_short()?,
                SOCKET if self.zygotes.contains_key(&number) => self.hear_zygote(number),
                SOCKET => self.hear_set(number)?,
                DEATH => self.bury(number)?,
                _ => self.memory_ran_out(number),
            }
        }
        Ok(true)
    }

    /// Begins to make things ahead of need, once.
    fn begin(&mut self) -> io::Result<()> {
        if self.begins.take().is_none() {
            return Ok(());
        }
        self.wanted = self.prepared;
        self.start_scratch()
    }

    /// Whether it is time to make a set ahead of need: only when no launch is under way.
    fn refill_due(&self) -> bool {
        let waiting = self.sets.values().filter(|set| set.is_free()).count();
        waiting < self.wanted && !self.busy()
    }

    /// Whether a launch is under way.
    pub(super) fn busy(&self) -> bool {
        let under_way = |set: &Set| set.pending.is_some() || matches!(set.stage, Stage::Building | Stage::Starting);
        self.sets.values().any(|set| under_way(set) && !set.failed)
    }

    fn refill(&mut self) {
        if self.prepare().is_err() {
            self.wanted = 0;
        }
    }

    fn reap_groups(&mut self) {
        self.dying.retain(|zygote| !zygote.has_gone());
        for _ in 0..self.leftover.len().min(REAP_MOST) {
            if let Some(group) = self.leftover.pop_front()
                && group.remove().is_err()
            {
                self.leftover.push_back(group);
            }
        }
    }

    fn prepare(&mut self) -> io::Result<u64> {
        let number = self.next;
        self.next += 1;
        let set = Set::prepare(&self.host, number)?;
        let watch = |fd: &OwnedFd, about: u64| {
            epoll::add(&self.epoll, fd, epoll::EventData::new_u64(number << 2 | about), epoll::EventFlags::IN)
        };
        let watched = watch(&set.socket, SOCKET)
            .and_then(|()| watch(&set.pidfd, DEATH))
            .and_then(|()| set.memory_event.iter().try_for_each(|event| watch(event, MEMORY)));
        if let Err(error) = watched {
            set.kill();
            let _ = sys::reap(set.pid);
            self.leftover.extend(set.group.map(|(_, group)| group));
            return Err(error.into());
        }
        self.sets.insert(number, set);
        self.ask_for_part(number);
        Ok(number)
    }

    pub(super) fn say(&self, news: &News, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        channel::send(self.server, &news.encode(), fds)
    }

    /// Hears one request; the next waits its turn, so that sandboxes under way are not held up by a burst of launches.
    /// Answers false when the server is gone.
    fn hear_server(&mut self) -> io::Result<bool> {
        let got = match channel::receive(self.server, &mut self.buffer, false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            other => other?,
        };
        if got.len == 0 {
            return Ok(false);
        }
        match Request::decode(&self.buffer[..got.len]) {
            Ok(Request::Launch(launch)) => self.launch(*launch)?,
            Ok(Request::Kill(seq)) => {
                let wanted = |set: &&mut Set| set.seq() == Some(seq);
                if let Some(set) = self.sets.values_mut().find(wanted) {
                    set.kill_asked = true;
                    set.kill();
                }
            }
            Ok(Request::Expect(kind)) => self.stocks.expect(*kind, now_ms()),
            Err(_) => return Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
        Ok(true)
    }

    fn launch(&mut self, launch: Launch) -> io::Result<()> {
        self.launch_with(launch, true)
    }

    /// Begins a launch, with what was made ahead if `ahead`.
    pub(super) fn launch_with(&mut self, launch: Launch, ahead: bool) -> io::Result<()> {
        self.begin()?;
        self.wanted = self.prepared;
        let seq = launch.seq;
        let kind = if ahead { self.note(&launch)? } else { None };
        let spare = kind.and_then(|kind| self.take_spare(kind));
        let to_fork = kind.filter(|kind| spare.is_none() && self.may_fork(*kind));
        let free = |stage: Stage| {
            let mut free = self.sets.iter().filter(|(_, set)| set.is_free() && set.stage == stage);
            free.next().map(|(number, _)| *number)
        };
        let number = match spare.or_else(|| free(Stage::Prepared)).or_else(|| free(Stage::Preparing)) {
            Some(number) => number,
            None => match self.prepare() {
                Ok(number) => number,
                Err(error) => return self.fail_launch(seq, &error.to_string(), error.raw_os_error()),
            },
        };
        if let Some(set) = self.sets.get_mut(&number) {
            set.pending = Some(launch);
            set.to_fork = to_fork;
        }
        self.settle(number)
    }

    fn fail_launch(&self, seq: u64, why: &str, errno: Option<i32>) -> io::Result<()> {
        let load =
            [libc::EAGAIN, libc::ENOMEM, libc::ENOSPC, libc::EMFILE, libc::ENFILE, libc::EUSERS, libc::ETOOMANYREFS];
        let fault =
            if errno.is_some_and(|errno| load.contains(&errno)) { Fault::Exhausted } else { Fault::Unavailable };
        self.say(&News::Failed { seq, fault, why: why.to_owned(), fix: survey::fix_for(why) }, &[])
    }

    fn hear_set(&mut self, number: u64) -> io::Result<()> {
        while let Some(set) = self.sets.get_mut(&number) {
            let got = match channel::receive(&set.socket, &mut self.buffer, false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
                Ok(got) => got,
            };
            if got.len == 0 {
                // Its death is told by the pidfd. ENOENT: the end was seen before.
                let _ = epoll::delete(&self.epoll, &set.socket);
                return Ok(());
            }
            let Ok(report) = Report::decode(&self.buffer[..got.len]) else {
                set.kill();
                return Ok(());
            };
            self.report(number, report, got.fds)?;
        }
        Ok(())
    }

    fn report(&mut self, number: u64, report: Report, mut fds: Vec<OwnedFd>) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        match report {
            Report::Prepared { .. } => {
                set.stage = if set.assigned.is_some() { Stage::Building } else { Stage::Prepared };
                if set.to_fork.is_some() { self.settle(number) } else { Ok(()) }
            }
            Report::Forkable | Report::Ready if set.stage != Stage::Warming => {
                set.kill();
                Ok(())
            }
            Report::Forkable => self.forkable(number, fds),
            Report::Confined { uplink } => match probe::inspect(&self.host, set) {
                Ok(()) => {
                    if let Some(assigned) = &mut set.assigned {
                        assigned.listeners = fds.split_off(fds.len().min(uplink as usize));
                        assigned.uplink = fds;
                    }
                    set.stage = Stage::Starting;
                    // EPIPE: it was killed meanwhile, which its pidfd tells.
                    let _ = channel::send(&set.socket, &crate::message::Order::Go.encode(), &[]);
                    Ok(())
                }
                Err(why) => self.give_up(number, &format!("a wall does not stand: {why}"), None),
            },
            Report::Ready => self.spare_ready(number, fds),
            Report::Started => {
                if let Some(assigned) = &mut set.assigned {
                    assigned.line = fds.pop();
                }
                self.hand_over(number)
            }
            Report::NotStarted { errno } => {
                let why = format!("{}: {}", set.program(), io::Error::from_raw_os_error(errno));
                self.refuse_launch(number, Fault::Program, why)
            }
            Report::Ended { signaled, code } => {
                set.ended = Some(if signaled { ExitCause::Signaled(code) } else { ExitCause::Exited(code) });
                Ok(())
            }
            Report::Failed { step, errno } => {
                let spec = step == inside::ATTACH && set.stage != Stage::Warming;
                let why = if errno == 0 { step } else { format!("{step}: {}", io::Error::from_raw_os_error(errno)) };
                if spec {
                    self.refuse_launch(number, Fault::Spec, why)
                } else {
                    self.give_up(number, &why, Some(errno))
                }
            }
        }
    }

    /// The launch asks for what cannot be had.
    fn refuse_launch(&mut self, number: u64, fault: Fault, why: String) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        set.kill();
        set.failed = true;
        let Some(seq) = set.seq() else { return Ok(()) };
        self.say(&News::Failed { seq, fault, why, fix: String::new() }, &[])
    }

    /// A sandbox could not be built: answers its launch, if it has one, and kills it.
    pub(super) fn give_up(&mut self, number: u64, why: &str, errno: Option<i32>) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        if set.stage == Stage::Warming && !set.failed {
            return self.fall_back(number);
        }
        set.kill();
        let answered = std::mem::replace(&mut set.failed, true);
        match set.seq() {
            Some(seq) if !answered => self.fail_launch(seq, why, errno),
            Some(_) => Ok(()),
            None => {
                if set.spare.is_none() {
                    self.wanted = 0;
                }
                Ok(())
            }
        }
    }

    /// The program runs: its descriptors go to the server.
    fn hand_over(&mut self, number: u64) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        set.stage = Stage::Running;
        let Some(assigned) = &mut set.assigned else { return Ok(()) };
        if set.failed {
            return Ok(());
        }
        let (output, listeners) = (assigned.output.take(), std::mem::take(&mut assigned.listeners));
        let (line, uplink) = (assigned.line.take(), std::mem::take(&mut assigned.uplink));
        let seq = assigned.seq;
        let quota = set.group.as_ref().filter(|_| self.host.cpu_limit).and_then(|(_, group)| group.open_quota());
        let freezer = set.group.as_ref().and_then(|(_, group)| group.open_freezer());
        let (freezer, interface) = freezer.unzip();
        let fds: Vec<BorrowedFd<'_>> = output
            .iter()
            .chain([&set.pidfd])
            .chain(&set.meters)
            .chain(&quota)
            .chain(&freezer)
            .chain(&line)
            .chain(&uplink)
            .chain(&listeners)
            .map(AsFd::as_fd)
            .collect();
        let version = match self.host.layout.version {
            Version::One => 1,
            Version::Two => 2,
        };
        let quota = if quota.is_some() { version } else { 0 };
        let (meters, uplink, pid) = (set.meters.len() as u32, uplink.len() as u8, set.pid as u32);
        let shared = set.shared();
        let ahead = set.spare.is_some();
        let (line, freezer) = (line.is_some(), interface.map_or(0, Interface::number));
        let news = News::Launched { seq, meters, quota, freezer, line, uplink, pid, ahead, shared };
        match channel::send(self.server, &news.encode(), &fds) {
            // Too many descriptors are on their way to a server that does not fetch them.
            Err(error) if error.raw_os_error() == Some(libc::ETOOMANYREFS) => {
                set.kill();
                set.failed = true;
                self.fail_launch(seq, &error.to_string(), Some(libc::EMFILE))
            }
            other => other,
        }
    }

    fn memory_ran_out(&mut self, number: u64) {
        if let Some(set) = self.sets.get_mut(&number) {
            if let Some(event) = set.memory_event.take() {
                let _ = epoll::delete(&self.epoll, event);
            }
            // One process lost is all lost: what is left would be in a state nobody planned for.
            set.out_of_memory = true;
            set.kill();
        }
    }

    /// The first process is gone, and with it everything in its pid namespace.
    fn bury(&mut self, number: u64) -> io::Result<()> {
        self.hear_set(number)?;
        if self.sets.get(&number).is_some_and(|set| set.stage == Stage::Warming && !set.failed) {
            // A launch that waits for it is begun anew.
            self.fall_back(number)?;
        }
        let Some(set) = self.sets.remove(&number) else { return Ok(()) };
        self.drop_part(number, &set);
        // The server holds the same pidfd, so that closing ours would not end its events.
        epoll::delete(&self.epoll, &set.pidfd)?;
        let whole = sys::reap(set.pid).unwrap_or_default();
        let mut usage = if set.meters.is_empty() { whole } else { set.usage() };
        // The kernel tells of the end of memory before it kills, and we may have been faster.
        usage.oom_kills = usage.oom_kills.max(u64::from(set.out_of_memory));
        let cause = set.cause(&usage);
        let (stage, seq, failed) = (set.stage, set.seq(), set.failed);
        self.leftover.extend(set.group.map(|(_, group)| group));
        match seq {
            Some(_) if failed => Ok(()),
            Some(seq) if stage == Stage::Running => self.say(&News::Ended { seq, cause, usage }, &[]),
            Some(seq) => {
                self.fail_launch(seq, "its first process was killed while it was being built", Some(libc::EAGAIN))
            }
            None => Ok(()),
        }
    }

    /// The server is gone: nothing may outlive it.
    fn end(mut self) -> io::Result<()> {
        for set in self.sets.values() {
            set.kill();
        }
        for set in std::mem::take(&mut self.sets).into_values() {
            let _ = sys::reap(set.pid);
            self.leftover.extend(set.group.map(|(_, group)| group));
        }
        self.scratch.end();
        for _ in 0..50 {
            self.leftover.retain(|group| group.remove().is_err());
            if self.leftover.is_empty() {
                break;
            }
            sys::pause_ms(REAP_MS);
        }
        self.host.layout.remove();
        Ok(())
    }
}
