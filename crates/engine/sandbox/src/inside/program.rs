//! The program itself: its listeners, and its start, now or ahead of need.

use std::ffi::CString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Resource, Rlimit, WaitIdOptions};

use super::{Failure, Step, confine};
use crate::channel;
use crate::message::{self, Message, Program, Report};
use crate::sys::{self, Side};

/// Listens on loopback of this network namespace.
pub(super) fn listen(ports: &[u16]) -> io::Result<Vec<TcpListener>> {
    let listener = |port: &u16| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    ports.iter().map(listener).collect()
}

fn strings(bytes: Vec<Vec<u8>>) -> io::Result<Vec<CString>> {
    bytes.into_iter().map(|s| CString::new(s).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))).collect()
}

/// Starts the program and reports. Answers its pid.
pub(super) fn start(socket: &OwnedFd, program: Program, output: &OwnedFd) -> io::Result<i32> {
    let files = program.limits.files;
    let (argv, env) = (strings(program.argv)?, strings(program.env)?);
    // CLONE_VFORK: goes on when the program has been started or could not be.
    let child = match sys::clone(libc::CLONE_VFORK)? {
        Side::Child => {
            let error = become_program((&argv, &env), files, program.cwd, output, None);
            let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
            let _ = channel::send(socket, &Report::NotStarted { errno }.encode(), &[]);
            sys::exit_now(127);
        }
        Side::Parent { pid, .. } => pid,
    };
    channel::send(socket, &Report::Started.encode(), &[])?;
    Ok(child)
}

/// A program that was started ahead and waits for its function.
pub(super) struct Ahead {
    pid: i32,
    pub(super) pidfd: OwnedFd,
    /// The other end of its standard input.
    input: OwnedFd,
    /// Whether it keeps its standard input, to speak with the server.
    keeps: bool,
}

/// The standard input of a program started ahead: our end and its own.
pub(super) fn input() -> Result<(OwnedFd, OwnedFd), Failure> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).step("make a program's input")
}

/// Starts a program ahead, after `confine` in the new process. Answers its pid and pidfd.
pub(super) fn start_ahead(
    ahead: message::Ahead,
    files: u32,
    (input, output): (&OwnedFd, &OwnedFd),
    confine: impl FnOnce() -> Result<(), Failure>,
) -> Result<(i32, OwnedFd), Failure> {
    let (argv, env) =
        strings(ahead.argv).and_then(|argv| Ok((argv, strings(ahead.env)?))).step("read the program's arguments")?;
    match sys::clone(0).step("fork")? {
        // Whatever goes wrong in here shows as the end of the input, and the sandbox is thrown away.
        Side::Child => {
            if confine().is_ok() {
                let _ = become_program((&argv, &env), files, b"/".to_vec(), output, Some(input));
            }
            sys::exit_now(127);
        }
        Side::Parent { pid, pidfd } => Ok((pid, pidfd)),
    }
}

impl Ahead {
    /// Waits until a program says that it is ready. One that this process has not started says who it is, and must be a
    /// child of this process by now.
    pub(super) fn wait(own: Option<(i32, OwnedFd)>, input: OwnedFd) -> Result<Self, Failure> {
        let mut words = Vec::with_capacity(64);
        while !words.ends_with(b"\n") {
            let room = rustix::buffer::spare_capacity(&mut words);
            let read = rustix::io::read(&input, room);
            match read {
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) => return Err(Failure { step: "start a program ahead: it ended".to_owned(), errno: 0 }),
                other => drop(other.step("hear a program started ahead")?),
            }
        }
        let words = String::from_utf8_lossy(&words);
        let (word, keeps) = match words.trim_end().split_once(' ') {
            Some((word, "keeps")) => (word, true),
            _ => (words.trim_end(), false),
        };
        if let Some((pid, pidfd)) = own {
            return Ok(Self { pid, pidfd, input, keeps });
        }
        let pid = word
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| Failure { step: "be told who was forked".to_owned(), errno: libc::EPROTO })?;
        // ECHILD: it is nobody's of this sandbox.
        rustix::process::waitid(
            rustix::process::WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
        )
        .step("find who was forked")?;
        let pidfd =
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).step("find who was forked")?;
        Ok(Self { pid: pid.as_raw_nonzero().get(), pidfd, input, keeps })
    }

    /// Lowers a limit of the program, which has our user.
    pub(super) fn lower(&self, resource: Resource, to: u64) -> io::Result<()> {
        let limit = Rlimit { current: Some(to), maximum: Some(to) };
        rustix::process::prlimit(Pid::from_raw(self.pid), resource, limit)?;
        Ok(())
    }

    /// Tells the program its function, and reports. Answers its pid.
    pub(super) fn wake(self, program: &Program, socket: &OwnedFd) -> io::Result<i32> {
        let mut words = Vec::new();
        for word in std::iter::once(&program.cwd).chain(&program.env) {
            words.extend_from_slice(word);
            words.push(0);
        }
        if self.keeps {
            words.push(0);
        }
        let mut rest = words.as_slice();
        while !rest.is_empty() {
            match rustix::net::send(&self.input, rest, rustix::net::SendFlags::NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(rustix::io::Errno::INTR) => {}
                // It has ended, as will be reported.
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let line: Vec<_> = self.keeps.then(|| self.input.as_fd()).into_iter().collect();
        channel::send(socket, &Report::Started.encode(), &line)?;
        Ok(self.pid)
    }
}

/// Starts the process that makes sockets for [`crate::Dial`], within all walls. Answers the server's end of the way to it.
pub(super) fn socket_maker() -> Result<OwnedFd, Failure> {
    let (mine, theirs) = channel::pair().step("make the way to the socket maker")?;
    match sys::clone(0).step("start the socket maker")? {
        Side::Child => crate::dial::make_sockets(theirs),
        Side::Parent { .. } => Ok(mine),
    }
}

/// Turns this process into the program. Returns only on failure. The other signals have had their default actions since
/// the helper's start.
fn become_program(
    (argv, env): (&[CString], &[CString]),
    files: u32,
    cwd: Vec<u8>,
    output: &OwnedFd,
    input: Option<&OwnedFd>,
) -> io::Error {
    let ready = || -> io::Result<()> {
        // Not earlier: the first process hands descriptors over, of which no more may be on their way than it may open.
        confine::lower(Resource::Nofile, u64::from(files))?;
        rustix::process::setsid()?;
        // Opened in here: what was opened outside, Landlock lets nobody open again.
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        sys::dup_to(input.unwrap_or(&null).as_fd(), 0)?;
        sys::dup_to(output.as_fd(), 1)?;
        sys::dup_to(output.as_fd(), 2)?;
        sys::close_on_exec_from(3)?;
        rustix::process::chdir(cwd)?;
        sys::heed_stops();
        rustix::process::umask(Mode::from_raw_mode(0o022));
        Ok(())
    };
    match ready() {
        Ok(()) => sys::exec(argv, env),
        Err(error) => error,
    }
}
