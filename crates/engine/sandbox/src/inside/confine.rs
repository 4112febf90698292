//! The walls a process puts around itself: lower limits, no capabilities, no new privileges, Landlock.

use std::io;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// The function's user inside, as on Lambda.
pub(crate) const UID: u32 = 993;
/// The function's group inside.
pub(crate) const GID: u32 = 990;

/// Lowers a limit, both soft and hard. Raising needs CAP_SYS_RESOURCE, which even root may lack, so it is never tried.
pub(crate) fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum.map_or(to, |maximum| maximum.min(to));
    Ok(setrlimit(resource, Rlimit { current: Some(hard), maximum: Some(hard) })?)
}

/// Makes sure that nothing dumps memory when it crashes: in the helper, for all it starts, before its filters take the
/// way to change it. A limit of 0 stops core files, yet not a handler in `core_pattern`, which the kernel would start as
/// the host's root; a limit of 1 stops both (`do_coredump` of the kernel's `fs/coredump.c`).
pub(crate) fn no_dumps() -> io::Result<()> {
    lower(Resource::Core, 1)
}

/// The limits of one process that are the same for every function.
pub(crate) fn limit_process() -> io::Result<()> {
    lower(Resource::Memlock, 64 * 1024)?;
    lower(Resource::Sigpending, 1024)?;
    lower(Resource::Msgqueue, 0)?;
    lower(Resource::Rtprio, 0)?;
    lower(Resource::Nice, 0)
}

/// Makes sure that no program started later has a capability, whatever file it is started from. Those this process has
/// now stay until [`drop_capabilities`].
pub(crate) fn bound_capabilities() -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // EINVAL: a capability newer than the kernel.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(rustix::thread::clear_ambient_capability_set()?)
}

/// Gives up every capability and the way to get new ones.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(rustix::thread::set_no_new_privs(true)?)
}

fn refused(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, error.to_string())
}

/// What the program may do with files, on top of permissions: read and run everything, write where it is meant to.
/// Called after pivot_root, while the paths are those of the sandbox.
pub(crate) fn landlock_rules() -> io::Result<RulesetCreated> {
    let abi = ABI::V6;
    let read: BitFlags<AccessFs> = AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir;
    let device: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let all = AccessFs::from_all(abi);
    let places = [("/", read), ("/dev", device), ("/dev/shm", all)];
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .map_err(refused)?;
    for (path, access) in places {
        let place = PathFd::new(path).map_err(refused)?;
        rules = rules.add_rule(PathBeneath::new(place, access)).map_err(refused)?;
    }
    Ok(rules)
}

/// Lets the program do everything in `/tmp`. Once it is the one the function gets: rules name the folder, not the path.
pub(crate) fn allow_tmp(rules: RulesetCreated) -> io::Result<RulesetCreated> {
    let tmp = PathFd::new("/tmp").map_err(refused)?;
    rules.add_rule(PathBeneath::new(tmp, AccessFs::from_all(ABI::V6))).map_err(refused)
}

/// Enforces the rules on this process and everything it starts.
pub(crate) fn restrict(rules: RulesetCreated) -> io::Result<()> {
    rules.restrict_self().map(drop).map_err(refused)
}
