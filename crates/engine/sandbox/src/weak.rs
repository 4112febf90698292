//! The weak mode: a plain process of this user, for hosts on which no walls can be built. Loopback only, marked
//! everywhere. Paths and ports that a sandbox would have of its own are translated to the host's.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::BoxFuture;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::sync::watch;

use crate::Dial;
use crate::linux::Meters;
use crate::sys;
use crate::walls::{Control, Environment, Error, Exit, ExitCause, Spec, Usage};

/// Starts the program without walls. Must be called inside a tokio runtime.
///
/// # Errors
/// [`Error::Spec`] for what cannot be had without walls: several layers at once.
pub(crate) fn launch(spec: Spec) -> Result<Environment, Error> {
    if spec.image.layers.len() > 1 {
        return Err(Error::Spec("several layers need walls: without them /opt can be one folder only".to_owned()));
    }
    if spec.image.snapshot.is_some() {
        return Err(Error::Spec("a snapshot needs walls: without them its place inside is the host's".to_owned()));
    }
    if !spec.image.bytecode.is_empty() {
        return Err(Error::Spec("bytecode needs walls: without them its place inside is the host's".to_owned()));
    }
    let exhausted = |what: &'static str| move |error: io::Error| Error::Exhausted { what, why: error.to_string() };
    let listeners = listen(spec.ports.len()).map_err(exhausted("ports"))?;
    let words = Words::new(&spec, &listeners);
    let port = spec.serves.map(|_| free_port()).transpose().map_err(exhausted("ports"))?;
    let served = |name: &OsStr| port.filter(|_| name == "PORT").map(|port| OsString::from(port.to_string()));
    let (output, input) = io::pipe().map_err(exhausted("descriptors"))?;
    let output = OwnedFd::from(output);
    rustix::io::ioctl_fionbio(&output, true).map_err(|error| exhausted("descriptors")(error.into()))?;
    let again = input.try_clone().map_err(exhausted("descriptors"))?;
    let Some(program) = spec.argv.first() else { return Err(Error::Spec("there is no program".to_owned())) };
    let mut command = tokio::process::Command::new(words.translate(program));
    command
        .args(spec.argv.iter().skip(1).map(|word| words.translate(word)))
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, served(name).unwrap_or_else(|| words.translate(value)))))
        .current_dir(words.translate(spec.cwd.as_os_str()))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(input)
        .stderr(again);
    sys::inherit_nothing(&mut command);
    let mut child =
        command.spawn().map_err(|error| Error::Program(format!("{}: {error}", Path::new(program).display())))?;
    let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32)).ok_or(Error::HelperLost)?;
    lower(pid, spec.limits.files);
    let meters = Arc::new(Meters::new(Vec::new(), pid.as_raw_nonzero().get() as u32, 0));
    let killed = Arc::new(AtomicBool::new(false));
    let (tell, exited) = watch::channel(None);
    let (meters_at_end, asked) = (Arc::clone(&meters), Arc::clone(&killed));
    tokio::spawn(async move {
        let status = child.wait().await;
        let cause = if asked.load(Ordering::Acquire) { ExitCause::Killed } else { cause(status) };
        // What the program left in its group goes with it.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        tell.send_replace(Some(Exit { cause, usage: meters_at_end.last(Usage::default()) }));
    });
    Ok(Environment {
        listeners,
        line: None,
        uplink: None,
        output,
        ahead: false,
        dial: port.map(Dial::of_host),
        control: Box::new(Plain { pid, meters, killed, exited }),
    })
}

/// A port that nobody listens on now. Another program may take it before ours does, which then says so.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn listen(count: usize) -> io::Result<Vec<TcpListener>> {
    let one = |_| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    (0..count).map(one).collect()
}

/// Lowers what one process may have; a limit that is lower already stays.
fn lower(pid: Pid, files: u32) {
    for (resource, to) in [(Resource::Nofile, u64::from(files)), (Resource::Core, 0)] {
        let hard = rustix::process::getrlimit(resource).maximum.map_or(to, |maximum| maximum.min(to));
        // ESRCH: it has ended already.
        let _ = rustix::process::prlimit(Some(pid), resource, Rlimit { current: Some(hard), maximum: Some(hard) });
    }
}

fn cause(status: io::Result<ExitStatus>) -> ExitCause {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => ExitCause::Exited(code),
            (None, signal) => ExitCause::Signaled(signal.unwrap_or(libc::SIGKILL)),
        },
        Err(_) => ExitCause::Killed,
    }
}

/// What a sandbox would call something, and what it is called here.
struct Words(Vec<(Vec<u8>, Vec<u8>)>);

impl Words {
    fn new(spec: &Spec, listeners: &[TcpListener]) -> Self {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let mut words = vec![(b"/var/task".to_vec(), bytes(&spec.image.task))];
        words.extend(spec.image.layers.iter().map(|layer| (b"/opt".to_vec(), bytes(layer))));
        words.extend(spec.image.runtime.iter().map(|mount| (bytes(&mount.target), bytes(&mount.source))));
        let address = |port: u16| format!("127.0.0.1:{port}").into_bytes();
        let ports: HashMap<u16, u16> = spec
            .ports
            .iter()
            .zip(listeners)
            .filter_map(|(port, l)| Some((*port, l.local_addr().ok()?.port())))
            .collect();
        words.extend(ports.into_iter().map(|(inner, outer)| (address(inner), address(outer))));
        // The longest first, so that a folder inside another is found before it.
        words.sort_by_key(|(inner, _)| std::cmp::Reverse(inner.len()));
        Self(words)
    }

    /// Replaces every whole word: one that no letter, digit, dash or dot precedes or follows.
    fn translate(&self, text: &OsStr) -> OsString {
        let mut rest = text.as_bytes();
        let mut out = Vec::with_capacity(rest.len());
        'text: while let Some(first) = rest.first() {
            let starts = out.last().is_none_or(|byte: &u8| !is_wordy(*byte));
            for (inner, outer) in &self.0 {
                if let Some(after) = rest.strip_prefix(inner.as_slice()).filter(|_| starts)
                    && after.first().is_none_or(|byte| !is_wordy(*byte))
                {
                    out.extend(outer);
                    rest = after;
                    continue 'text;
                }
            }
            out.push(*first);
            rest = &rest[1..];
        }
        OsString::from_vec(out)
    }
}

fn is_wordy(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

struct Plain {
    pid: Pid,
    meters: Arc<Meters>,
    killed: Arc<AtomicBool>,
    exited: watch::Receiver<Option<Exit>>,
}

impl Control for Plain {
    fn usage(&self) -> Usage {
        match *self.exited.borrow() {
            Some(exit) => exit.usage,
            None => self.meters.read(),
        }
    }

    fn private_memory(&self) -> u64 {
        // Of one that has ended the pid may be another's.
        if self.exited.borrow().is_none() { self.meters.private_memory(true) } else { 0 }
    }

    /// Without walls there are no shares.
    fn set_cpu(&self, _cpu_millis: Option<u32>) {}

    fn kill(&self) {
        if self.exited.borrow().is_none() {
            self.killed.store(true, Ordering::Release);
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
    }

    fn exited(&self) -> BoxFuture<'static, Exit> {
        let mut exited = self.exited.clone();
        let meters = Arc::clone(&self.meters);
        Box::pin(async move {
            let told = exited.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
            told.unwrap_or_else(|| Exit { cause: ExitCause::Killed, usage: meters.last(Usage::default()) })
        })
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_translated() {
        let words = Words(vec![(b"/var/task".to_vec(), b"/host/code".to_vec()), (b"/opt".to_vec(), b"/l".to_vec())]);
        for (text, want) in [
            ("/var/task", "/host/code"),
            ("/var/task/app.py", "/host/code/app.py"),
            ("/opt/python:/var/task", "/l/python:/host/code"),
            ("/var/tasks", "/var/tasks"),
            ("/x/var/task", "/x/var/task"),
            ("/option", "/option"),
            ("", ""),
        ] {
            assert_eq!(words.translate(OsStr::new(text)), OsStr::new(want), "{text}");
        }
    }
}
