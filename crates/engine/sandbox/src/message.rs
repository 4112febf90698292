//! What server, helper and the first process of a sandbox say to each other, and how it is written.
//! Integers are little-endian, strings and lists carry a `u32` length. All three are one binary: no versions.

use crate::walls::{ExitCause, Limits, Usage, Wall, WallState};

/// A malformed message: only possible when the two sides differ, for example after an upgrade under a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Writes a message.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }
    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }
    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }
    pub(crate) fn bytes(mut self, value: &[u8]) -> Self {
        self = self.u32(value.len() as u32);
        self.0.extend(value);
        self
    }
    pub(crate) fn list(self, values: &[Vec<u8>]) -> Self {
        values.iter().fold(self.u32(values.len() as u32), |writer, value| writer.bytes(value))
    }
}

/// Reads a message.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Malformed)?))
    }
    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Malformed)?))
    }
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Malformed> {
        let len = self.u32()? as usize;
        Ok(self.take(len)?.to_vec())
    }
    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
    pub(crate) fn list(&mut self) -> Result<Vec<Vec<u8>>, Malformed> {
        (0..self.u32()?).map(|_| self.bytes()).collect()
    }
}

/// A message that can be written and read back.
pub(crate) trait Message: Sized {
    /// Appends it.
    fn write(&self, writer: Writer) -> Writer;
    /// Reads it.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// Its bytes.
    fn encode(&self) -> Vec<u8> {
        self.write(Writer::default()).0
    }
    /// The message these bytes hold, and nothing more.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let message = Self::read(&mut reader)?;
        if reader.0.is_empty() { Ok(message) } else { Err(Malformed) }
    }
}

impl Message for Limits {
    fn write(&self, w: Writer) -> Writer {
        w.u32(self.memory_mb).u32(self.cpu_millis.unwrap_or(0)).u32(self.pids).u32(self.tmp_mb).u32(self.files)
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            memory_mb: r.u32()?,
            cpu_millis: Some(r.u32()?).filter(|millis| *millis > 0),
            pids: r.u32()?,
            tmp_mb: r.u32()?,
            files: r.u32()?,
        })
    }
}

/// The program of a sandbox: what its first process must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) limits: Limits,
    pub(crate) argv: Vec<Vec<u8>>,
    /// `NAME=value`.
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) cwd: Vec<u8>,
    pub(crate) ports: Vec<u16>,
    /// Whether it listens on a port that the server connects to.
    pub(crate) serves: bool,
}

impl Message for Program {
    fn write(&self, w: Writer) -> Writer {
        let w = self.limits.write(w).list(&self.argv).list(&self.env).bytes(&self.cwd).u32(self.ports.len() as u32);
        let w = self.ports.iter().fold(w, |w, port| w.u32(u32::from(*port)));
        w.u8(u8::from(self.serves))
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            limits: Limits::read(r)?,
            argv: r.list()?,
            env: r.list()?,
            cwd: r.bytes()?,
            ports: (0..r.u32()?).map(|_| u16::try_from(r.u32()?).map_err(|_| Malformed)).collect::<Result<_, _>>()?,
            serves: r.u8()? != 0,
        })
    }
}

/// A program to be started ahead of need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub(crate) argv: Vec<Vec<u8>>,
    /// `NAME=value`.
    pub(crate) env: Vec<Vec<u8>>,
    /// The arguments that make it a zygote; none where it cannot be one.
    pub(crate) zygote: Vec<Vec<u8>>,
}

impl Message for Ahead {
    fn write(&self, w: Writer) -> Writer {
        w.list(&self.argv).list(&self.env).list(&self.zygote)
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { argv: r.list()?, env: r.list()?, zygote: r.list()? })
    }
}

/// Server to helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Make a sandbox.
    Launch(Box<Launch>),
    /// Undo a launch that nobody waits for any more.
    Kill(u64),
    /// Launches like this may come.
    Expect(Box<Kind>),
}

/// What must be the same for a spare to serve a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) tenant: Vec<u8>,
    pub(crate) ahead: Ahead,
    pub(crate) files: u32,
    pub(crate) runtime_sources: Vec<Vec<u8>>,
    pub(crate) runtime_targets: Vec<Vec<u8>>,
}

/// One sandbox to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The server's number for it.
    pub(crate) seq: u64,
    pub(crate) tenant: Vec<u8>,
    pub(crate) program: Program,
    /// How its program may be started ahead of need.
    pub(crate) ahead: Option<Ahead>,
    pub(crate) task: Vec<u8>,
    pub(crate) layers: Vec<Vec<u8>>,
    /// Empty where there is none.
    pub(crate) snapshot: Vec<u8>,
    /// Host paths, and where each appears.
    pub(crate) bytecode_sources: Vec<Vec<u8>>,
    pub(crate) bytecode_targets: Vec<Vec<u8>>,
    /// Host paths, and where each appears.
    pub(crate) runtime_sources: Vec<Vec<u8>>,
    pub(crate) runtime_targets: Vec<Vec<u8>>,
}

impl Message for Request {
    fn write(&self, w: Writer) -> Writer {
        match self {
            Self::Launch(launch) => {
                write_option(launch.ahead.as_ref(), launch.program.write(w.u8(1).u64(launch.seq).bytes(&launch.tenant)))
                    .bytes(&launch.task)
                    .list(&launch.layers)
                    .bytes(&launch.snapshot)
                    .list(&launch.bytecode_sources)
                    .list(&launch.bytecode_targets)
                    .list(&launch.runtime_sources)
                    .list(&launch.runtime_targets)
            }
            Self::Kill(seq) => w.u8(2).u64(*seq),
            Self::Expect(kind) => kind
                .ahead
                .write(w.u8(3).bytes(&kind.tenant))
                .u32(kind.files)
                .list(&kind.runtime_sources)
                .list(&kind.runtime_targets),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            1 => Self::Launch(Box::new(Launch {
                seq: r.u64()?,
                tenant: r.bytes()?,
                program: Program::read(r)?,
                ahead: read_option(r)?,
                task: r.bytes()?,
                layers: r.list()?,
                snapshot: r.bytes()?,
                bytecode_sources: r.list()?,
                bytecode_targets: r.list()?,
                runtime_sources: r.list()?,
                runtime_targets: r.list()?,
            })),
            2 => Self::Kill(r.u64()?),
            3 => {
                let (tenant, ahead) = (r.bytes()?, Ahead::read(r)?);
                let (files, runtime_sources, runtime_targets) = (r.u32()?, r.list()?, r.list()?);
                Self::Expect(Box::new(Kind { tenant, ahead, files, runtime_sources, runtime_targets }))
            }
            _ => return Err(Malformed),
        })
    }
}

fn write_option<T: Message>(value: Option<&T>, w: Writer) -> Writer {
    match value {
        None => w.u8(0),
        Some(value) => value.write(w.u8(1)),
    }
}

fn read_option<T: Message>(r: &mut Reader<'_>) -> Result<Option<T>, Malformed> {
    match r.u8()? {
        0 => Ok(None),
        1 => T::read(r).map(Some),
        _ => Err(Malformed),
    }
}

/// Why a launch failed, by who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request.
    Spec,
    /// The program of the request, which cannot be executed.
    Program,
    /// The host's settings.
    Unavailable,
    /// The host's load.
    Exhausted,
}

/// Helper to server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// The helper is ready; what holds on this host.
    Hello { walls: Vec<Wall>, usable: bool, ranges: bool },
    /// A sandbox runs. Descriptors: output, pidfd, `meters` meter files, the CPU quota file of cgroup version `quota`
    /// (0: none), the file that freezes it by interface `freezer` (0: none), the program's line if there is a `line`, `uplink` sockets of the way out, then the listeners. Its program may have been
    /// started ahead; `shared` bytes of its program's memory are a zygote's or a snapshot's, and are counted there.
    Launched {
        seq: u64,
        meters: u32,
        quota: u8,
        freezer: u8,
        line: bool,
        uplink: u8,
        pid: u32,
        ahead: bool,
        shared: u64,
    },
    /// A sandbox could not be made.
    Failed { seq: u64, fault: Fault, why: String, fix: String },
    /// A sandbox is gone.
    Ended { seq: u64, cause: ExitCause, usage: Usage },
    /// A wall is found to be otherwise than the first message said; `last` when nothing is left to be found out.
    Wall { wall: Wall, last: bool },
    /// Processes stand still for want of the host's memory.
    MemoryIsShort,
}

/// Wall names travel as text; the survey wants the static name it was built with.
fn static_name(name: &str) -> Result<&'static str, Malformed> {
    crate::survey::NAMES.iter().find(|known| **known == name).copied().ok_or(Malformed)
}

impl Message for Wall {
    fn write(&self, w: Writer) -> Writer {
        let w = w.bytes(self.name.as_bytes());
        match &self.state {
            WallState::Holds(how) => w.u8(1).bytes(how.as_bytes()),
            WallState::Missing { why, fix } => w.u8(2).bytes(why.as_bytes()).bytes(fix.as_bytes()),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let name = static_name(&r.text()?)?;
        let state = match r.u8()? {
            1 => WallState::Holds(r.text()?),
            2 => WallState::Missing { why: r.text()?, fix: r.text()? },
            _ => return Err(Malformed),
        };
        Ok(Self { name, state })
    }
}

impl Message for ExitCause {
    fn write(&self, w: Writer) -> Writer {
        match self {
            Self::Exited(status) => w.u8(1).u32(*status as u32),
            Self::Signaled(signal) => w.u8(2).u32(*signal as u32),
            Self::OutOfMemory => w.u8(3).u32(0),
            Self::Killed => w.u8(4).u32(0),
            Self::HelperLost => w.u8(5).u32(0),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (kind, value) = (r.u8()?, r.u32()? as i32);
        Ok(match kind {
            1 => Self::Exited(value),
            2 => Self::Signaled(value),
            3 => Self::OutOfMemory,
            4 => Self::Killed,
            5 => Self::HelperLost,
            _ => return Err(Malformed),
        })
    }
}

impl Message for Usage {
    fn write(&self, w: Writer) -> Writer {
        w.u64(self.cpu_user_us).u64(self.cpu_system_us).u64(self.peak_memory_bytes).u64(self.oom_kills)
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { cpu_user_us: r.u64()?, cpu_system_us: r.u64()?, peak_memory_bytes: r.u64()?, oom_kills: r.u64()? })
    }
}

impl Message for News {
    fn write(&self, w: Writer) -> Writer {
        match self {
            Self::Hello { walls, usable, ranges } => {
                let w = w.u8(1).u8(u8::from(*usable)).u8(u8::from(*ranges)).u32(walls.len() as u32);
                walls.iter().fold(w, |w, wall| wall.write(w))
            }
            Self::Launched { seq, meters, quota, freezer, line, uplink, pid, ahead, shared } => {
                let w = w.u8(2).u64(*seq).u32(*meters).u8(*quota).u8(*freezer).u8(u8::from(*line)).u8(*uplink);
                w.u32(*pid).u8(u8::from(*ahead)).u64(*shared)
            }
            Self::Failed { seq, fault, why, fix } => {
                w.u8(3).u64(*seq).u8(*fault as u8).bytes(why.as_bytes()).bytes(fix.as_bytes())
            }
            Self::Ended { seq, cause, usage } => usage.write(cause.write(w.u8(4).u64(*seq))),
            Self::Wall { wall, last } => wall.write(w.u8(5).u8(u8::from(*last))),
            Self::MemoryIsShort => w.u8(6),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            1 => {
                let (usable, ranges) = (r.u8()? != 0, r.u8()? != 0);
                let walls = (0..r.u32()?).map(|_| Wall::read(r)).collect::<Result<_, _>>()?;
                Self::Hello { walls, usable, ranges }
            }
            2 => {
                let (seq, meters, quota, freezer) = (r.u64()?, r.u32()?, r.u8()?, r.u8()?);
                let (line, uplink, pid, ahead) = (r.u8()? != 0, r.u8()?, r.u32()?, r.u8()? != 0);
                Self::Launched { seq, meters, quota, freezer, line, uplink, pid, ahead, shared: r.u64()? }
            }
            3 => {
                let seq = r.u64()?;
                let fault = match r.u8()? {
                    0 => Fault::Spec,
                    1 => Fault::Program,
                    2 => Fault::Unavailable,
                    _ => Fault::Exhausted,
                };
                Self::Failed { seq, fault, why: r.text()?, fix: r.text()? }
            }
            4 => Self::Ended { seq: r.u64()?, cause: ExitCause::read(r)?, usage: Usage::read(r)? },
            5 => {
                let last = r.u8()? != 0;
                Self::Wall { wall: Wall::read(r)?, last }
            }
            6 => Self::MemoryIsShort,
            _ => return Err(Malformed),
        })
    }
}

/// Helper to the first process of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// The uid and gid maps are written. Descriptors: the root tree, then the files that join the cgroups.
    Mapped,
    /// Become a spare: start this program, or have it `forked` by a zygote, and wait until it is ready. It may open so
    /// many files. Descriptors: the output pipe unless it is forked, then one mount for each target.
    Spare { ahead: Ahead, forked: bool, files: u32, targets: Vec<Vec<u8>> },
    /// Become this sandbox. Descriptors: the output pipe, unless it is a spare, then one mount for each target.
    Become { program: Program, targets: Vec<Vec<u8>> },
    /// The walls were looked at and found right: start the program.
    Go,
}

impl Message for Order {
    fn write(&self, w: Writer) -> Writer {
        match self {
            Self::Mapped => w.u8(1),
            Self::Become { program, targets } => program.write(w.u8(2)).list(targets),
            Self::Go => w.u8(3),
            Self::Spare { ahead, forked, files, targets } => {
                ahead.write(w.u8(4)).u8(u8::from(*forked)).u32(*files).list(targets)
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            1 => Self::Mapped,
            2 => Self::Become { program: Program::read(r)?, targets: r.list()? },
            3 => Self::Go,
            4 => Self::Spare { ahead: Ahead::read(r)?, forked: r.u8()? != 0, files: r.u32()?, targets: r.list()? },
            _ => return Err(Malformed),
        })
    }
}

/// The first process of a sandbox to the helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// The walls that need no function stand. Why TCP is not redirected to the platform; empty when it is.
    Prepared { closed: String },
    /// All walls stand. Descriptors: `uplink` sockets of the way out, then the listeners.
    Confined { uplink: u32 },
    /// The program was started. Descriptor: its line, if it keeps one.
    Started,
    /// The program cannot be started.
    NotStarted { errno: i32 },
    /// The program has ended: a wait status, exit or signal.
    Ended { signaled: bool, code: i32 },
    /// A step failed.
    Failed { step: String, errno: i32 },
    /// A zygote may fork its child into here. Descriptors: the child's standard input, then the Landlock rules, if any.
    Forkable,
    /// The program started ahead is ready. Descriptor: its pidfd.
    Ready,
}

impl Report {
    /// [`Report::Ended`] as it is written, by someone who has no heap.
    pub(crate) fn ended(signaled: bool, code: i32) -> [u8; 6] {
        let [a, b, c, d] = code.to_le_bytes();
        [5, u8::from(signaled), a, b, c, d]
    }
}

impl Message for Report {
    fn write(&self, w: Writer) -> Writer {
        match self {
            Self::Prepared { closed } => w.u8(1).bytes(closed.as_bytes()),
            Self::Confined { uplink } => w.u8(2).u32(*uplink),
            Self::Started => w.u8(3),
            Self::NotStarted { errno } => w.u8(4).u32(*errno as u32),
            Self::Ended { signaled, code } => Self::ended(*signaled, *code).into_iter().fold(w, Writer::u8),
            Self::Failed { step, errno } => w.u8(6).bytes(step.as_bytes()).u32(*errno as u32),
            Self::Ready => w.u8(7),
            Self::Forkable => w.u8(8),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            1 => Self::Prepared { closed: r.text()? },
            2 => Self::Confined { uplink: r.u32()? },
            3 => Self::Started,
            4 => Self::NotStarted { errno: r.u32()? as i32 },
            5 => Self::Ended { signaled: r.u8()? != 0, code: r.u32()? as i32 },
            6 => Self::Failed { step: r.text()?, errno: r.u32()? as i32 },
            7 => Self::Ready,
            8 => Self::Forkable,
            _ => return Err(Malformed),
        })
    }
}

/// Helper to the keeper of the scratch volume. A part is the `/tmp` of the set with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Make a part for this user.
    Make { number: u64, uid: u32, gid: u32, mb: u32 },
    /// Give it another size.
    Resize { number: u64, mb: u32 },
    /// Delete it; not answered.
    Delete { number: u64 },
}

impl Message for Ask {
    fn write(&self, w: Writer) -> Writer {
        match self {
            Self::Make { number, uid, gid, mb } => w.u8(1).u64(*number).u32(*uid).u32(*gid).u32(*mb),
            Self::Resize { number, mb } => w.u8(2).u64(*number).u32(*mb),
            Self::Delete { number } => w.u8(3).u64(*number),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            1 => Self::Make { number: r.u64()?, uid: r.u32()?, gid: r.u32()?, mb: r.u32()? },
            2 => Self::Resize { number: r.u64()?, mb: r.u32()? },
            3 => Self::Delete { number: r.u64()? },
            _ => return Err(Malformed),
        })
    }
}

/// The keeper of the scratch volume to the helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The volume is there.
    Ready,
    /// A part is there. One descriptor: its mount.
    Made { number: u64 },
    /// It has the size asked for.
    Resized { number: u64 },
    /// There is no room for what was asked.
    Failed { number: u64, errno: i32 },
    /// There is no volume, or none any more. The keeper ends.
    Broken { why: String },
}

impl Message for Told {
    fn write(&self, w: Writer) -> Writer {
        match self {
            Self::Ready => w.u8(1),
            Self::Made { number } => w.u8(2).u64(*number),
            Self::Resized { number } => w.u8(3).u64(*number),
            Self::Failed { number, errno } => w.u8(4).u64(*number).u32(*errno as u32),
            Self::Broken { why } => w.u8(5).bytes(why.as_bytes()),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            1 => Self::Ready,
            2 => Self::Made { number: r.u64()? },
            3 => Self::Resized { number: r.u64()? },
            4 => Self::Failed { number: r.u64()?, errno: r.u32()? as i32 },
            5 => Self::Broken { why: r.text()? },
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests;
