//! The seccomp filters. The large ones are installed once in the helper and inherited by every fork; the small one takes
//! set-up away at the end, when the walls stand.

use std::collections::BTreeMap;
use std::io;

use libc::{c_long, sock_filter};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// What no process of a sandbox, nor the helper, ever needs.
const NEVER: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];

/// Programs probe for these and fall back when the kernel seems not to have them.
const UNKNOWN: &[c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
];

/// What builds walls, and would unbuild them.
const SET_UP: &[c_long] = &[
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
];

/// The system calls of x86-64 that other architectures never had.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[];

/// `statmount` and `listmount` are newer than the library's tables; the numbers are the same everywhere.
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;

/// The compiled filters.
pub(crate) struct Filters {
    /// Inherited from the helper, in the order they are installed.
    pub(crate) large: [BpfProgram; 2],
    /// Installed last.
    pub(crate) small: BpfProgram,
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, error.to_string())
}

/// Compiles all filters for the machine this runs on.
pub(crate) fn compile() -> io::Result<Filters> {
    Ok(Filters {
        large: [program(never_rules()?, libc::EPERM)?, program(whole(UNKNOWN), libc::ENOSYS)?],
        small: program(set_up_rules()?, libc::EPERM)?,
    })
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn whole(calls: &[c_long]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// Denies the call when the lower 32 bits of argument `index`, masked, equal `value`.
fn when(index: u8, mask: u32, value: u32) -> io::Result<SeccompRule> {
    let equal = SeccompCmpOp::MaskedEq(u64::from(mask));
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, equal, u64::from(value)).map_err(invalid)?;
    SeccompRule::new(vec![condition]).map_err(invalid)
}

fn never_rules() -> io::Result<Rules> {
    let mut rules = whole(NEVER);
    rules.extend(whole(OLD));
    rules.insert(libc::SYS_socket, socket_rules()?);
    rules.insert(libc::SYS_socketpair, socket_rules()?);
    // Terminals: typing into one's controlling terminal, and the console's own calls, reach out of the sandbox.
    let ioctls = [libc::TIOCSTI as u32, libc::TIOCLINUX as u32, libc::TIOCSETD as u32];
    rules.insert(libc::SYS_ioctl, ioctls.iter().map(|request| when(1, u32::MAX, *request)).collect::<io::Result<_>>()?);
    Ok(rules)
}

/// Families other than Unix, IPv4, IPv6 and netlink's routing protocol (which getaddrinfo asks for addresses).
fn socket_rules() -> io::Result<Vec<SeccompRule>> {
    let allowed = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let other = allowed
        .iter()
        .map(|family| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *family as u64))
        .collect::<Result<Vec<_>, _>>()
        .map_err(invalid)?;
    let netlink = vec![
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::AF_NETLINK as u64)
            .map_err(invalid)?,
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::NETLINK_ROUTE as u64)
            .map_err(invalid)?,
    ];
    Ok(vec![
        SeccompRule::new(other).map_err(invalid)?,
        SeccompRule::new(netlink).map_err(invalid)?,
        when(1, 0xf, libc::SOCK_RAW as u32).map(|raw| raw_but_netlink(raw))?,
    ])
}

/// Raw sockets of the internet families. Netlink's sockets are raw by habit, and held by the rule above.
fn raw_but_netlink(raw: SeccompRule) -> SeccompRule {
    let not_netlink = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::AF_NETLINK as u64);
    let is_raw = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(0xf), libc::SOCK_RAW as u64);
    match (not_netlink, is_raw) {
        (Ok(a), Ok(b)) => SeccompRule::new(vec![a, b]).unwrap_or(raw),
        _ => raw,
    }
}

fn set_up_rules() -> io::Result<Rules> {
    let mut rules = whole(SET_UP);
    rules.extend(whole(&[STATMOUNT, LISTMOUNT]));
    let spaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
        CLONE_NEWTIME,
    ];
    let rule = |flag: &libc::c_int| when(0, *flag as u32, *flag as u32);
    rules.insert(libc::SYS_clone, spaces.iter().map(rule).collect::<io::Result<_>>()?);
    Ok(rules)
}

/// From the kernel's `linux/sched.h`; the library lacks it on some targets.
const CLONE_NEWTIME: libc::c_int = 0x80;

fn program(rules: Rules, errno: i32) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(invalid)?;
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch).map_err(invalid)?;
    let program: BpfProgram = filter.try_into().map_err(invalid)?;
    Ok(without_x32(program))
}

/// The x32 calls of x86-64 are the same calls under other numbers (bit 30) and would slip past a list of numbers. They
/// answer ENOSYS before the list is looked at.
fn without_x32(program: BpfProgram) -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const X32_BIT: u32 = 0x4000_0000;
    let head = [
        sock_filter { code: LOAD_NUMBER, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: X32_BIT },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32 },
    ];
    let head = head.map(|i| seccompiler::sock_filter { code: i.code, jt: i.jt, jf: i.jf, k: i.k });
    head.into_iter().chain(program).collect()
}

/// Installs a filter on this process for good.
pub(crate) fn install(program: &BpfProgram) -> io::Result<()> {
    seccompiler::apply_filter(program).map_err(|error| match error {
        seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error) => error,
        other => invalid(other),
    })
}
