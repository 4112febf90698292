//! The helper: one process with one thread that owns all privilege. It prepares sets of namespaces ahead of need, turns
//! one into a sandbox when the server asks, looks at it from outside before letting it go, and cleans up behind it. When
//! the server is gone it kills everything and ends; when it dies itself, the kernel kills everything (see `inside`).

mod base;
mod check;
mod image;
mod probe;
mod serve;
mod set;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::cgroup::{self, Group, Layout, Owner};
use crate::inside::{self, filter};
use crate::sys;

/// The first argument of a helper.
pub(crate) const MARKER: &str = "lambent-sandbox-helper";
/// The first argument of a rootless helper that has entered its own user namespace.
const NESTED: &str = "lambent-sandbox-helper-nested";

/// What the server decides when it starts a helper; it travels as arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// A folder of ours; the root tree is built on a folder in it.
    pub(crate) run_dir: PathBuf,
    /// Sets kept ready.
    pub(crate) prepared: usize,
    pub(crate) cpu_limit: bool,
}

impl Config {
    /// The arguments of a helper, without its name.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let flag = if self.cpu_limit { "cpu" } else { "no-cpu" };
        vec![MARKER.into(), self.run_dir.clone().into(), self.prepared.to_string().into(), flag.into()]
    }

    fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [run_dir, prepared, flag] = arguments else { return None };
        Some(Self {
            run_dir: run_dir.into(),
            prepared: prepared.to_str()?.parse().ok()?,
            cpu_limit: flag.as_bytes() == b"cpu",
        })
    }
}

/// Becomes the helper, and never returns, when this process was started as one; otherwise does nothing. Every program
/// that starts [`crate::Linux`] calls it first thing in `main`, while there is one thread.
pub fn main_if_helper() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).take(4).collect();
    let nested = match arguments.first().map(OsString::as_os_str) {
        Some(first) if first == OsStr::new(MARKER) => false,
        Some(first) if first == OsStr::new(NESTED) => true,
        _ => return,
    };
    let status = match (Config::from_arguments(&arguments[1..]), sys::adopt(0)) {
        (Some(config), Ok(server)) if rustix::net::sockopt::socket_type(&server).is_ok() => {
            run(server, &config, nested)
        }
        // Somebody typed the marker: there is nothing to serve.
        _ => 2,
    };
    sys::exit_now(status);
}

fn run(server: OwnedFd, config: &Config, nested: bool) -> i32 {
    // Whatever else the server's own parent left open is none of ours.
    let _ = sys::close_range(3, u32::MAX);
    sys::reset_signals();
    sys::ignore_stops();
    sys::use_all_descriptors();
    // A session of its own: the terminal's signals are for the server, which then lets us go in good order.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"lambent-helper");
    // What counts is not the name of root but whether mounts can be made; a container's root often may not.
    let host = match sys::unshare(libc::CLONE_NEWNS) {
        Ok(()) => Host::make(config, !nested),
        Err(error) if nested => Err(error),
        Err(_) => Err(nest(config)),
    };
    match host {
        Ok(host) => serve::serve(server, host, config),
        Err(error) => serve::refuse(&server, &error.to_string()),
    }
}

/// Enters a user namespace in which this user is root, and starts again there, so that this process's memory belongs to
/// that namespace and it may look at its children. Returns only on failure.
fn nest(config: &Config) -> io::Error {
    let enter = || -> io::Result<()> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        sys::unshare(libc::CLONE_NEWUSER)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
    };
    if let Err(error) = enter() {
        return naming("make a user namespace")(error);
    }
    let mut arguments = config.arguments();
    arguments[0] = NESTED.into();
    std::process::Command::new("/proc/self/exe").arg0(MARKER).args(arguments).exec()
}

/// What the helper built at its start, for all sandboxes.
pub(crate) struct Host {
    setup: inside::Setup,
    base: base::Base,
    layout: Layout,
    /// Why there are no cgroups, where there are none.
    no_cgroups: Option<String>,
    owner: Owner,
    own: check::Own,
    cpu_limit: bool,
    landlock_abi: i64,
    /// Whether this is root of the host or of a container, not an ordinary user.
    root: bool,
}

impl Host {
    /// Builds it, in a mount namespace of the helper's own. `root` says that no user namespace had to be entered.
    fn make(config: &Config, root: bool) -> io::Result<Self> {
        let owner = Owner::me()?;
        let (layout, no_cgroups) = match cgroup::find(owner, root) {
            Ok(layout) => (layout, None),
            Err(why) => (Layout::none(), Some(why)),
        };
        cgroup::sweep(&layout);
        let place = place(&config.run_dir);
        let base = base::Base::build(&place).map_err(naming(&format!("build the root tree in {}", place.display())))?;
        let own = check::Own::read().ok_or_else(|| io::Error::other("/proc/self/ns cannot be read"))?;
        let landlock_abi = sys::landlock_abi();
        let filter = filter::compile()?;
        rustix::thread::set_no_new_privs(true)?;
        for large in &filter.large {
            filter::install(large)?;
        }
        let setup = inside::Setup {
            filter,
            ranges: root && set::ranges_are_ours(),
            landlock: landlock_abi > 0,
            pids_limited: layout.pids.is_some(),
            memory_limited: layout.memory.is_some(),
        };
        Ok(Self { setup, base, layout, no_cgroups, owner, own, cpu_limit: config.cpu_limit, landlock_abi, root })
    }

    /// A cgroup for the set with this number, and its name as `/proc/PID/cgroup` ends with it.
    fn make_group(&self, number: u64) -> io::Result<Option<(String, Group)>> {
        if self.no_cgroups.is_some() {
            return Ok(None);
        }
        let name = number.to_string();
        let group = self.layout.create(&name)?;
        Ok(Some((format!("/{}/{name}", self.owner.folder()), group)))
    }
}

/// Says what was being done when an error happened.
fn naming(what: &str) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// The folder the root tree is built on. It stays empty on the host.
fn place(run_dir: &Path) -> PathBuf {
    run_dir.join("sandbox-root")
}
