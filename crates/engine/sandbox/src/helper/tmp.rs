//! The helper's loop and the scratch volume: a launch goes on when the part that is its `/tmp` is there.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::epoll;

use super::scratch;
use super::serve::{Helper, KEEPER};
use super::set::{Set, Stage};
use crate::message::{Ask, Fault, Message, News, Told};

impl Helper<'_> {
    /// Starts a keeper where there is to be a volume, and says so where there is none.
    pub(super) fn start_scratch(&mut self) -> io::Result<()> {
        if let Err(error) = self.scratch.start() {
            // What runs must not die of it: `/tmp` is memory from here on.
            self.scratch.do_without(&format!("no process for the scratch volume: {error}"));
        }
        match self.scratch.socket() {
            Some(socket) => {
                // Writable too: what it had no room for is sent when it has, whether or not it has anything to say.
                let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
                Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(KEEPER), flags)?)
            }
            None => self.tell_wall(),
        }
    }

    /// What is now known about `/tmp`.
    fn tell_wall(&self) -> io::Result<()> {
        let wall = scratch::wall(self.scratch.plan.as_ref(), self.host.setup.memory_limited);
        self.say(&News::Wall { wall, last: true }, &[])
    }

    /// Asks for the part of a new set.
    pub(super) fn ask_for_part(&mut self, number: u64) {
        let Some(set) = self.sets.get_mut(&number) else { return };
        if self.scratch.socket().is_some() {
            let mb = scratch::USUAL_MB;
            set.part = Some(scratch::Part { mount: None, mb, waiting: true });
            self.scratch.ask(Ask::Make { number, uid: set.uid, gid: set.gid, mb });
        }
    }

    pub(super) fn hear_keeper(&mut self) -> io::Result<()> {
        while let Some(socket) = self.scratch.socket() {
            let got = match scratch::hear(socket, &mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                other => other?,
            };
            match Told::decode(&self.buffer[..got.len]) {
                Ok(Told::Ready) => {
                    self.scratch.prove();
                    self.tell_wall()?;
                }
                Ok(Told::Made { number }) => {
                    self.scratch.works();
                    self.part_answered(number, got.fds.into_iter().next())?;
                }
                Ok(Told::Resized { number }) => self.part_answered(number, None)?,
                Ok(Told::Failed { number, errno }) => {
                    let why = format!("the scratch volume has no room: {}", io::Error::from_raw_os_error(errno));
                    self.give_up(number, &why, Some(errno))?;
                }
                Ok(Told::Broken { why }) => self.lose_scratch(&why)?,
                // It was killed.
                Err(_) => self.lose_scratch("its process ended")?,
            }
        }
        self.scratch.send();
        Ok(())
    }

    fn part_answered(&mut self, number: u64, mount: Option<OwnedFd>) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        if let Some(part) = &mut set.part {
            part.waiting = false;
            part.mount = part.mount.take().or(mount);
        }
        self.settle(number)
    }

    /// Gives a set the function that waits for it, once its `/tmp` is there and of the size asked for.
    pub(super) fn settle(&mut self, number: u64) -> io::Result<()> {
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        let Some(launch) = &set.pending else { return Ok(()) };
        if set.stage == Stage::Warming || (set.to_fork.is_some() && set.stage == Stage::Preparing) {
            return Ok(());
        }
        let mb = launch.program.limits.tmp_mb;
        let mount = match &mut set.part {
            None => None,
            Some(part) if part.waiting => return Ok(()),
            Some(part) if part.mb == mb => part.mount.take(),
            Some(part) => {
                (part.mb, part.waiting) = (mb, true);
                return self.resize(number, mb);
            }
        };
        if let Some(kind) = set.to_fork.take()
            && self.has_zygote(kind)
        {
            return self.fork_first(number, kind, mount);
        }
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        let Some(launch) = set.pending.take() else { return Ok(()) };
        let seq = launch.seq;
        match set.assign(&self.host, launch, mount) {
            Ok(()) => {
                if matches!(set.stage, Stage::Prepared | Stage::Spare) {
                    set.stage = Stage::Building;
                }
                Ok(())
            }
            Err((spec, why)) => {
                // Its limits may be half written: it serves nobody.
                set.failed = true;
                set.kill();
                let fault = if spec { Fault::Spec } else { Fault::Exhausted };
                self.say(&News::Failed { seq, fault, why, fix: String::new() }, &[])
            }
        }
    }

    fn resize(&mut self, number: u64, mb: u32) -> io::Result<()> {
        let whole = self.scratch.plan.as_ref().map_or(0, |plan| plan.mb);
        if u64::from(mb) <= whole {
            self.scratch.ask(Ask::Resize { number, mb });
            return Ok(());
        }
        let why = format!("a /tmp of {mb} MiB does not fit in the scratch volume of {whole} MiB");
        let fix = "make room on the disk of the data folder and start lambent again".to_owned();
        let Some(set) = self.sets.get_mut(&number) else { return Ok(()) };
        let Some(launch) = set.pending.take() else { return Ok(()) };
        set.failed = true;
        set.kill();
        self.say(&News::Failed { seq: launch.seq, fault: Fault::Unavailable, why, fix }, &[])
    }

    /// The volume is gone, or could not be made: what waits for a part of it is told, what was made ahead is thrown away,
    /// and another is made. Sandboxes that run keep what they have of it.
    fn lose_scratch(&mut self, why: &str) -> io::Result<()> {
        if let Some(socket) = self.scratch.socket() {
            epoll::delete(&self.epoll, socket)?;
        }
        let was_there = self.scratch.lose(why);
        let ahead = |set: &Set| set.part.is_some() && set.assigned.is_none();
        let numbers: Vec<u64> = self.sets.iter().filter(|(_, set)| ahead(set)).map(|(number, _)| *number).collect();
        for number in numbers {
            if was_there {
                let why = format!("the scratch volume for /tmp was lost ({why}); try again");
                let wanted = self.wanted;
                self.give_up(number, &why, Some(libc::EAGAIN))?;
                self.wanted = wanted;
            } else if let Some(set) = self.sets.get_mut(&number) {
                // There is none on this host: memory, then.
                set.part = None;
                self.settle(number)?;
            }
        }
        if self.scratch.plan.is_ok() { self.start_scratch() } else { self.tell_wall() }
    }

    /// A set is gone, and its part with it.
    pub(super) fn drop_part(&mut self, number: u64, set: &Set) {
        if set.part.is_some() {
            self.scratch.ask(Ask::Delete { number });
        }
    }
}
