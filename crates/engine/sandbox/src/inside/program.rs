//! The program itself: its listeners, its start, and the reaping of everything it leaves behind.

use std::ffi::CString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{WaitOptions, WaitStatus};

use crate::channel;
use crate::message::{Message, Program, Report};
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

/// Starts the program, waits for it to end, reaping whatever is orphaned meanwhile, and reports. When this process then
/// ends, the kernel kills all that is left in its pid namespace.
pub(super) fn start_and_reap(socket: &OwnedFd, program: Program, output: OwnedFd) -> io::Result<()> {
    let (argv, env) = (strings(program.argv)?, strings(program.env)?);
    // CLONE_VFORK: goes on when the program has been started or could not be.
    let child = match sys::clone(libc::CLONE_VFORK)? {
        Side::Child => {
            let error = become_program(&argv, &env, program.cwd, &output);
            let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
            let _ = channel::send(socket, &Report::NotStarted { errno }.encode(), &[]);
            sys::exit_now(127);
        }
        Side::Parent { pid, .. } => pid,
    };
    drop((argv, env, output));
    channel::send(socket, &Report::Started.encode(), &[])?;
    let status = reap_until(child)?;
    let ended = match status.terminating_signal() {
        Some(signal) => Report::Ended { signaled: true, code: signal },
        None => Report::Ended { signaled: false, code: status.exit_status().unwrap_or(0) },
    };
    channel::send(socket, &ended.encode(), &[])
}

/// Turns this process into the program. Returns only on failure. The other signals have had their default actions since
/// the helper's start.
fn become_program(argv: &[CString], env: &[CString], cwd: Vec<u8>, output: &OwnedFd) -> io::Error {
    let ready = || -> io::Result<()> {
        rustix::process::setsid()?;
        // Opened in here: what was opened outside, Landlock lets nobody open again.
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        sys::dup_to(null.as_fd(), 0)?;
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

fn reap_until(child: i32) -> io::Result<WaitStatus> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == child => return Ok(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
