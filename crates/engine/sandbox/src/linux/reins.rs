//! The reins of one sandbox, held by the server without asking the helper: its meters, its CPU share, its freezer, its pidfd.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use base::BoxFuture;
use rustix::process::Signal;
use tokio::sync::watch;

use super::tree;
use crate::cgroup::{self, Interface, Version};
use crate::walls::{Control, Exit, ExitCause, Usage};

/// The meters of a sandbox: open files of its cgroup, or its process tree where there is none.
pub(crate) struct Meters {
    files: Vec<OwnedFd>,
    pid: u32,
    /// Memory that is counted elsewhere, bytes.
    shared: u64,
    /// The highest reading so far: the files are gone once the sandbox is.
    highest: Mutex<Usage>,
}

impl Meters {
    pub(crate) fn new(files: Vec<OwnedFd>, pid: u32, shared: u64) -> Self {
        Self { files, pid, shared, highest: Mutex::new(Usage::default()) }
    }

    /// Measures now. Each sandbox is charged for what it shares, too.
    pub(crate) fn read(&self) -> Usage {
        if self.files.is_empty() {
            // The processes themselves, with all that they see.
            return self.last(tree::usage(self.pid));
        }
        let now = cgroup::read_meters(&self.files, false);
        self.last(Usage { peak_memory_bytes: now.peak_memory_bytes + self.shared, ..now })
    }

    /// See [`Control::private_memory`]. `with_first` where the first process is the program: in walls it is a fork of the
    /// helper, whose memory it shares.
    pub(crate) fn private_memory(&self, with_first: bool) -> u64 {
        tree::private_memory(self.pid, with_first)
    }

    /// The given reading, or what was read before where that is higher.
    pub(crate) fn last(&self, now: Usage) -> Usage {
        let mut highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        *highest = Usage {
            cpu_user_us: now.cpu_user_us.max(highest.cpu_user_us),
            cpu_system_us: now.cpu_system_us.max(highest.cpu_system_us),
            peak_memory_bytes: now.peak_memory_bytes.max(highest.peak_memory_bytes),
            oom_kills: now.oom_kills.max(highest.oom_kills),
        };
        *highest
    }
}

/// See the module.
pub(super) struct Reins {
    pidfd: OwnedFd,
    meters: Arc<Meters>,
    /// The file of the CPU share and the version of its cgroup.
    quota: Option<(OwnedFd, u8)>,
    /// The file that freezes it.
    freezer: Option<(OwnedFd, Interface)>,
    exited: watch::Receiver<Option<Exit>>,
}

/// The files of a sandbox's cgroup that the server writes to: of the CPU share and of the freezer.
type Written = (Option<(OwnedFd, u8)>, Option<(OwnedFd, Interface)>);

impl Reins {
    pub(super) fn new(
        pidfd: OwnedFd,
        meters: Arc<Meters>,
        (quota, freezer): Written,
        exited: watch::Receiver<Option<Exit>>,
    ) -> Self {
        Self { pidfd, meters, quota, freezer, exited }
    }

    /// Answers whether the kernel took it.
    fn stand(&self, frozen: bool) -> bool {
        let Some((file, interface)) = &self.freezer else { return false };
        // ENODEV: the sandbox is gone.
        rustix::io::pwrite(file, interface.word(frozen), 0).is_ok()
    }
}

impl Control for Reins {
    fn usage(&self) -> Usage {
        match *self.exited.borrow() {
            Some(exit) => exit.usage,
            None => self.meters.read(),
        }
    }

    fn private_memory(&self) -> u64 {
        // Of one that has ended the pid may be another's.
        if self.exited.borrow().is_none() { self.meters.private_memory(false) } else { 0 }
    }

    fn set_cpu(&self, cpu_millis: Option<u32>) {
        let Some((file, version)) = &self.quota else { return };
        let version = if *version == 1 { Version::One } else { Version::Two };
        // ENODEV: the sandbox is gone.
        let _ = rustix::io::pwrite(file, cgroup::quota(version, cpu_millis).as_bytes(), 0);
    }

    fn freeze(&self) -> bool {
        self.stand(true)
    }

    fn thaw(&self) {
        self.stand(false);
    }

    fn kill(&self) {
        // Who is throttled dies slowly: a thousand processes in a share of a CPU take minutes to see the signal.
        self.set_cpu(None);
        // The first process takes its whole pid namespace along. ESRCH: it is gone already.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        // Version 1 lets nobody die frozen. After the signal: nothing of the program runs any more.
        if let Some((_, Interface::One)) = self.freezer {
            self.thaw();
        }
    }

    fn exited(&self) -> BoxFuture<'static, Exit> {
        let mut exited = self.exited.clone();
        let meters = Arc::clone(&self.meters);
        Box::pin(async move {
            let told = exited.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
            told.unwrap_or_else(|| Exit { cause: ExitCause::HelperLost, usage: meters.last(Usage::default()) })
        })
    }
}

impl Drop for Reins {
    fn drop(&mut self) {
        self.kill();
    }
}
