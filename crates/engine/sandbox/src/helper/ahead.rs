//! The helper's loop and what is made ahead of need: spares and zygotes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll;

use super::probe;
use super::serve::{Helper, RUNTIME, SOCKET};
use super::set::{Set, Stage};
use super::spares::{self, now_ms};
use super::zygote::Zygote;
use crate::cgroup::Version;
use crate::channel;
use crate::message::{Kind, Launch, News};

/// Most forks that are waited for at a time: further launches start their programs themselves, on other cores.
const MOST_FORKS: usize = 16;

/// When the kernel tells of a lack of memory: processes stood still for want of it for 150 ms of 2 s (the kernel's
/// `Documentation/accounting/psi.rst`).
const SHORT_OF_MEMORY: &[u8] = b"some 150000 2000000\0";

/// Has the kernel tell when the host is short of memory. None where it does not count that.
pub(super) fn watch_pressure() -> Option<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pressure = rustix::fs::open("/proc/pressure/memory", flags, Mode::empty()).ok()?;
    rustix::io::write(&pressure, SHORT_OF_MEMORY).ok()?;
    Some(pressure)
}

/// Whether the process of a pidfd has ended.
fn has_ended(pidfd: &OwnedFd) -> bool {
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut watched = [rustix::event::PollFd::new(pidfd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut watched, Some(&now)).is_ok_and(|ready| ready > 0)
}

impl Helper<'_> {
    /// How many spares of a kind there are or are being made.
    fn spares(&self, kind: u64) -> usize {
        self.sets.values().filter(|set| set.spare_of() == Some(kind)).count()
    }

    /// The sets that become spares, by their numbers.
    fn warming(&self) -> impl Iterator<Item = (u64, &Set)> {
        let warming = |set: &Set| set.stage == Stage::Warming && !set.failed && !set.kill_asked;
        self.sets.iter().filter(move |(_, set)| warming(set)).map(|(number, set)| (*number, set))
    }

    /// A prepared set that can become a spare.
    fn to_warm(&self) -> Option<u64> {
        let ready = |set: &Set| {
            set.is_free() && set.stage == Stage::Prepared && set.part.as_ref().is_none_or(|part| !part.waiting)
        };
        self.sets.iter().find(|(_, set)| ready(set)).map(|(number, _)| *number)
    }

    /// Whether it is time to make a zygote or a spare: one at a time, and only when no launch is under way.
    pub(super) fn ahead_due(&self) -> bool {
        !self.busy() && (self.zygote_due() || self.spare_due())
    }

    pub(super) fn make_ahead(&mut self) -> io::Result<()> {
        if spares::has_less_than(spares::LEFT_KIB) {
            return self.rest();
        }
        if self.zygote_due() {
            self.start_zygote();
        } else {
            self.warm_one();
        }
        Ok(())
    }

    /// A kind for which it is time to make a spare. Where a zygote is on its way, it is waited for.
    fn lacks_spare(&self) -> Option<(u64, &Kind)> {
        let boots = |kind: u64| {
            let first = self.zygotes.values().any(|zygote| zygote.kind == kind && zygote.late_at().is_some());
            first && !self.has_zygote(kind)
        };
        self.stocks.lacking(now_ms(), |kind| self.spares(kind), boots)
    }

    fn spare_due(&self) -> bool {
        self.lacks_spare().is_some() && self.warming().next().is_none() && self.to_warm().is_some()
    }

    fn warm_one(&mut self) {
        let now = now_ms();
        let (Some((kind_number, kind)), Some(number)) = (self.lacks_spare(), self.to_warm()) else {
            return;
        };
        let (kind, forked) = (kind.clone(), self.has_zygote(kind_number));
        let Some(set) = self.sets.get_mut(&number) else { return };
        let tmp = set.part.as_mut().and_then(|part| part.mount.take());
        if set.warm(&self.host, kind_number, (&kind, forked), tmp).is_err() {
            // The launch that comes will say why.
            set.failed = true;
            set.kill();
            self.stocks.failed(kind_number, now);
        }
    }

    /// Whether a kind has a zygote that is ready.
    pub(super) fn has_zygote(&self, kind: u64) -> bool {
        let able = self.zygotes.values().any(|zygote| zygote.kind == kind && zygote.is_able());
        able && self.stocks.trusts_zygote(kind, now_ms())
    }

    /// Whether a launch of this kind may have a fork made for it.
    pub(super) fn may_fork(&self, kind: u64) -> bool {
        let waits = |set: &&Set| {
            let forking = set.stage == Stage::Warming && set.spare.as_ref().is_some_and(|spare| spare.kind == kind);
            !set.failed && (set.to_fork == Some(kind) || forking)
        };
        self.has_zygote(kind) && self.sets.values().filter(waits).count() < MOST_FORKS
    }

    /// A kind for which it is time to start a zygote.
    fn lacks_zygote(&self) -> Option<(u64, &Kind)> {
        // A cgroup of version 1 is joined with the rights of who opened it only where that is the host's root.
        let can_join = self.host.root || self.host.no_cgroups.is_some() || self.host.layout.version == Version::Two;
        let has =
            |kind: u64| self.zygotes.values().any(|zygote| zygote.kind == kind && !zygote.retired && !zygote.is_old());
        self.stocks.without_zygote(now_ms(), has).filter(|_| can_join)
    }

    fn zygote_due(&self) -> bool {
        self.lacks_zygote().is_some()
    }

    fn start_zygote(&mut self) {
        let Some((kind_number, kind)) = self.lacks_zygote() else { return };
        let started = Zygote::start(&self.host, kind_number, kind);
        let number = self.next;
        self.next += 1;
        let token = epoll::EventData::new_u64(number << 2 | SOCKET);
        // Its program cannot be started, or the host is out of something.
        let Ok(zygote) = started else { return self.stocks.zygote_failed(kind_number, now_ms()) };
        if epoll::add(&self.epoll, &zygote.socket, token, epoll::EventFlags::IN).is_ok() {
            self.zygotes.insert(number, zygote);
        } else {
            self.dying.push(zygote);
            self.stocks.zygote_failed(kind_number, now_ms());
        }
    }

    /// Ends zygotes, by their numbers. Answers their kinds.
    fn end_zygotes(&mut self, which: impl Fn(u64, &Zygote) -> bool) -> Vec<u64> {
        let ended: Vec<Zygote> =
            self.zygotes.extract_if(.., |number, zygote| which(*number, zygote)).map(|(_, zygote)| zygote).collect();
        for zygote in &ended {
            // Its end would be told for ever.
            let _ = epoll::delete(&self.epoll, &zygote.socket);
            let _ = zygote.has_gone();
        }
        let kinds = ended.iter().map(|zygote| zygote.kind).collect();
        self.dying.extend(ended);
        kinds
    }

    /// A zygote says that it is ready, or has ended.
    pub(super) fn hear_zygote(&mut self, number: u64) {
        let Some(zygote) = self.zygotes.get_mut(&number) else { return };
        match channel::receive(&zygote.socket, &mut self.buffer, false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(got) if got.len > 0 => {
                zygote.becomes_ready();
                let kind = zygote.kind;
                let before = |at: u64, zygote: &Zygote| at != number && zygote.kind == kind && !zygote.retired;
                let earlier = self.zygotes.iter_mut().filter(|(at, zygote)| before(**at, zygote));
                earlier.for_each(|(_, zygote)| zygote.retire());
            }
            _ => {
                let (kind, retired) = (zygote.kind, zygote.retired);
                self.end_zygotes(|at, _| at == number);
                if !retired {
                    self.stocks.zygote_failed(kind, now_ms());
                }
            }
        }
    }

    /// Makes a launch's set a spare first, by a fork.
    pub(super) fn fork_first(&mut self, number: u64, kind_number: u64, tmp: Option<OwnedFd>) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        let warmed = self.stocks.kind(kind_number).map(|kind| set.warm(&self.host, kind_number, (kind, true), tmp));
        match warmed {
            Some(Ok(())) => Ok(()),
            _ => {
                self.stocks.zygote_failed(kind_number, now_ms());
                self.begin_anew(number)
            }
        }
    }

    /// A set waits for the fork that makes it a spare.
    pub(super) fn forkable(&mut self, number: u64, fds: Vec<OwnedFd>) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        let Some(spare) = &mut set.spare else { return Ok(()) };
        let mut fds = fds.into_iter();
        let (input, rules, writing) = (fds.next(), fds.next(), spare.writing.take());
        let groups = set.group.as_ref().map(|(_, group)| group.join_files()).transpose();
        let zygote = self.zygotes.values_mut().rfind(|zygote| zygote.kind == spare.kind && zygote.is_able());
        let (Some(zygote), Some(input), Some(writing), Ok(groups)) = (zygote, input, writing, groups) else {
            return self.unforked(number);
        };
        let groups = groups.unwrap_or_default();
        match zygote.fork(self.host.setup.ranges, set.pid, (input, rules), &writing, &groups) {
            Ok((shared, mounts)) => {
                (spare.shared, spare.mounts) = (shared, Some(mounts));
                Ok(())
            }
            Err(_) => self.unforked(number),
        }
    }

    /// There is no zygote any more, or it is far behind, or the host is out of descriptors: nobody's fault, and yet what is
    /// made ahead must not be tried for ever.
    fn unforked(&mut self, number: u64) -> io::Result<()> {
        if let Some(kind) = self.sets.get(&number).and_then(Set::spare_of) {
            self.stocks.failed(kind, now_ms());
        }
        self.begin_anew(number)
    }

    /// A spare could not be made of this set: whoever is at fault is blamed, and a launch that waits is begun anew.
    pub(super) fn fall_back(&mut self, number: u64) -> io::Result<()> {
        if let Some(set) = self.sets.get(&number)
            && let Some(spare) = set.spare.as_ref().filter(|_| !set.failed && !set.kill_asked)
        {
            match spare.forked {
                true => self.stocks.zygote_failed(spare.kind, now_ms()),
                false => self.stocks.failed(spare.kind, now_ms()),
            }
        }
        self.begin_anew(number)
    }

    /// Throws a set away. A launch that waits for it starts its program itself, in another.
    fn begin_anew(&mut self, number: u64) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        set.kill();
        if set.kill_asked {
            // Nobody waits any more: its end is told when it has come.
            return Ok(());
        }
        set.failed = true;
        match set.pending.take() {
            Some(launch) => self.launch_with(launch, false),
            None => Ok(()),
        }
    }

    /// A spare's runtime is ready, or so its first process says.
    pub(super) fn spare_ready(&mut self, number: u64, fds: Vec<OwnedFd>) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        let looked_at = match fds.into_iter().next() {
            Some(runtime) => probe::inspect_runtime(&self.host, set, runtime.as_fd()).map(|()| runtime),
            None => Err("no runtime".to_owned()),
        };
        let Ok(runtime) = looked_at else { return self.fall_back(number) };
        set.stage = Stage::Spare;
        if set.pending.is_some() {
            // A launch waits for it. From here on its first process tells of its end.
            return self.settle(number);
        }
        let token = epoll::EventData::new_u64(number << 2 | RUNTIME);
        if epoll::add(&self.epoll, &runtime, token, epoll::EventFlags::IN).is_err() {
            return self.fall_back(number);
        }
        if let Some(spare) = &mut set.spare {
            spare.runtime = Some(runtime);
        }
        Ok(())
    }

    /// A spare's runtime has ended before it was used.
    pub(super) fn spare_ended(&mut self, number: u64) {
        let Some(set) = self.sets.get_mut(&number) else { return };
        if let Some(kind) = set.spare_of() {
            self.stocks.failed(kind, now_ms());
            set.failed = true;
            set.kill();
        }
        if let Some(runtime) = set.spare.as_mut().and_then(|spare| spare.runtime.take()) {
            let _ = epoll::delete(&self.epoll, runtime);
        }
    }

    /// Notes what a launch asks for. Answers the kind of spare that could serve it.
    pub(super) fn note(&mut self, launch: &Launch) -> io::Result<Option<u64>> {
        let noted = spares::kind_of(launch).and_then(|kind| self.stocks.asked(kind, now_ms()));
        let Some((kind, forgotten)) = noted else { return Ok(None) };
        if forgotten {
            self.give_back()?;
        }
        Ok(Some(kind))
    }

    /// A spare of this kind that is ready.
    pub(super) fn take_spare(&mut self, kind: u64) -> Option<u64> {
        let ready = |set: &Set| set.spare_of() == Some(kind) && set.stage == Stage::Spare;
        while let Some(number) = self.sets.iter().find(|(_, set)| ready(set)).map(|(number, _)| *number) {
            let runtime = self.sets.get(&number).and_then(|set| set.spare.as_ref()?.runtime.as_ref());
            if runtime.is_none_or(has_ended) {
                self.spare_ended(number);
                continue;
            }
            // From here on its first process tells of its end.
            let runtime = self.sets.get_mut(&number)?.spare.as_mut()?.runtime.take()?;
            let _ = epoll::delete(&self.epoll, runtime);
            return Some(number);
        }
        None
    }

    /// Milliseconds until something made ahead is to be given up.
    pub(super) fn ahead_changes_in(&self) -> Option<i64> {
        let has = |kind: u64| self.spares(kind) > 0 || self.zygotes.values().any(|zygote| zygote.kind == kind);
        let idle = self.stocks.idle_at(has);
        let late =
            self.warming().filter_map(|(_, set)| late_at(set)).chain(self.zygotes.values().filter_map(Zygote::late_at));
        let end = late.chain(idle).min()?;
        i64::try_from(end.saturating_sub(now_ms()).max(1)).ok()
    }

    /// Gives back what nobody has asked for in a long time, and what never became ready.
    pub(super) fn give_back(&mut self) -> io::Result<()> {
        let now = now_ms();
        for set in self.sets.values_mut() {
            if set.spare_of().is_some_and(|kind| self.stocks.is_idle(kind, now)) {
                set.failed = true;
                set.kill();
            }
        }
        let idle: Vec<u64> =
            self.zygotes.values().map(|zygote| zygote.kind).filter(|kind| self.stocks.is_idle(*kind, now)).collect();
        self.end_zygotes(|_, zygote| idle.contains(&zygote.kind));
        for kind in self.end_zygotes(|_, zygote| zygote.late_at().is_some_and(|at| at <= now)) {
            self.stocks.zygote_failed(kind, now);
        }
        let late = |set: &Set| late_at(set).is_some_and(|at| at <= now);
        let late: Vec<u64> = self.warming().filter(|(_, set)| late(set)).map(|(number, _)| number).collect();
        for number in late {
            let spare = self.sets.get(&number).and_then(|set| set.spare.as_ref());
            if let Some(kind) = spare.filter(|spare| spare.forked).map(|spare| spare.kind) {
                // It stands still, or its child does.
                self.end_zygotes(|_, zygote| zygote.kind == kind);
            }
            self.fall_back(number)?;
        }
        Ok(())
    }

    /// The kernel says that processes stand still for want of memory.
    pub(super) fn memory_is_short(&mut self) -> io::Result<()> {
        // One function at its own limit is no lack of the host's.
        if !spares::has_less_than(spares::AMPLE_KIB) {
            return Ok(());
        }
        self.say(&News::MemoryIsShort, &[])?;
        self.rest()
    }

    /// Gives everything back for a while.
    fn rest(&mut self) -> io::Result<()> {
        self.stocks.rest(now_ms());
        self.give_back()
    }
}

/// When a set that is being made a spare is given up.
fn late_at(set: &Set) -> Option<u64> {
    let patience = if set.pending.is_some() { spares::PATIENCE_OF_LAUNCH_MS } else { spares::PATIENCE_MS };
    set.spare.as_ref().map(|spare| spare.since + patience)
}
