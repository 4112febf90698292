//! The helper: one process with one thread that owns all privilege. It prepares sets of namespaces ahead of need, turns
//! one into a sandbox when the server asks, looks at it from outside before letting it go, and cleans up behind it. When
//! the server is gone it kills everything and ends; when it dies itself, the kernel kills everything (see `inside`).

mod ahead;
mod base;
mod check;
mod egress;
mod ids;
pub(crate) mod image;
mod nest;
mod probe;
mod scratch;
mod serve;
mod set;
mod spares;
mod tmp;
mod zygote;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cgroup::{self, Group, Layout, Owner};
use crate::inside::{self, filter};
use crate::microvm;
use crate::survey::Mend;
use crate::sys;
use rustix::thread::CapabilitiesSecureBits;

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
    if microvm::guest::is_guest() {
        sys::exit_now(microvm::guest::main());
    }
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == microvm::relay::MARKER
    {
        sys::exit_now(microvm::relay::main(rest));
    }
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
    // What is made here is for other users to read, however private this user's own files are.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // A session of its own: the terminal's signals are for the server, which then lets us go in good order.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"lambent-helper");
    // What counts is not the name of root but whether mounts can be made; a container's root often may not.
    let host = match sys::unshare(libc::CLONE_NEWNS) {
        Ok(()) => Host::make(config, !nested),
        Err(error) if nested => Err(error),
        Err(_) => Err(nest::nest(config)),
    };
    match host {
        Ok(host) => serve::serve(server, host, config),
        Err(error) => serve::refuse(&server, &error.to_string()),
    }
}

/// What the helper built at its start, for all sandboxes.
pub(crate) struct Host {
    setup: inside::Setup,
    base: base::Base,
    /// The ids to give away, or why there are none.
    ids: Result<ids::Ids, Mend>,
    /// How `/tmp` comes to be on disk, or why it does not.
    scratch: Result<scratch::Plan, Mend>,
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
            Err(why) => (Layout::none(&why), Some(why)),
        };
        cgroup::sweep(&layout);
        layout.leave_some();
        if !root {
            nest::leave_half();
        }
        let place = place(&config.run_dir);
        let base = base::Base::build(&place).map_err(naming(&format!("build the root tree in {}", place.display())))?;
        let own = check::Own::read().ok_or_else(|| io::Error::other("/proc/self/ns cannot be read"))?;
        let landlock_abi = sys::landlock_abi();
        let filter = filter::compile()?;
        inside::confine::no_dumps()?;
        rustix::thread::set_no_new_privs(true)?;
        for large in &filter.large {
            filter::install(large)?;
        }
        let ids = ids::Ids::find(root).ok_or_else(|| nest::why_no_ids(!root));
        if ids.is_ok() {
            // Capabilities stay while this process makes a namespace in a sandbox's name. Where that is refused, making
            // one needs none of them unless the host says so, and then it is told.
            let _ = rustix::thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP);
        }
        let setup = inside::Setup {
            filter,
            ranges: ids.is_ok(),
            landlock: landlock_abi > 0,
            heap: sys::heap_start(),
            pids_limited: layout.pids.is_some(),
            memory_limited: layout.memory.is_some(),
        };
        let scratch = scratch::Plan::make(&config.run_dir, root);
        Ok(Self {
            setup,
            base,
            ids,
            scratch,
            layout,
            no_cgroups,
            owner,
            own,
            cpu_limit: config.cpu_limit,
            landlock_abi,
            root,
        })
    }

    /// Ids for a set; none where all sandboxes run as this user.
    fn take_range(&self) -> io::Result<Option<ids::Range>> {
        let Ok(ids) = &self.ids else { return Ok(None) };
        // EUSERS: the load is too high, not the host wrong.
        Ok(Some(ids.take().ok_or_else(|| io::Error::from_raw_os_error(libc::EUSERS))?))
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
