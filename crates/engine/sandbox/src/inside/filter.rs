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

/// `statmount`, `listmount` and `open_tree_attr`: newer than the library's tables; the numbers are the same everywhere.
const NEW_SET_UP: &[c_long] = &[457, 458, 467];

/// How many filters a program runs under.
pub(crate) const COUNT: u32 = 3;

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

/// A condition on the lower 32 bits of argument `index`.
fn argument(index: u8, operator: SeccompCmpOp, value: libc::c_int) -> io::Result<SeccompCondition> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value as u32 as u64).map_err(invalid)
}

/// Denies the call when all conditions hold.
fn when<const N: usize>(conditions: [io::Result<SeccompCondition>; N]) -> io::Result<SeccompRule> {
    let conditions = conditions.into_iter().collect::<io::Result<_>>()?;
    SeccompRule::new(conditions).map_err(invalid)
}

fn never_rules() -> io::Result<Rules> {
    let mut rules = whole(NEVER);
    rules.extend(whole(OLD));
    rules.insert(libc::SYS_socket, socket_rules()?);
    rules.insert(libc::SYS_socketpair, socket_rules()?);
    // Terminals: typing into one's controlling terminal, and the console's own calls, reach out of the sandbox.
    let ioctls = [libc::TIOCSTI as libc::c_int, libc::TIOCLINUX as libc::c_int, libc::TIOCSETD as libc::c_int];
    let rule = |request: &libc::c_int| when([argument(1, SeccompCmpOp::Eq, *request)]);
    rules.insert(libc::SYS_ioctl, ioctls.iter().map(rule).collect::<io::Result<_>>()?);
    Ok(rules)
}

/// Families other than Unix, IPv4, IPv6 and netlink's routing protocol (which getaddrinfo asks for addresses), and raw
/// sockets. Netlink's sockets are raw by habit.
fn socket_rules() -> io::Result<Vec<SeccompRule>> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    Ok(vec![
        when([libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(|family| argument(0, Ne, family)))?,
        when([argument(0, Eq, libc::AF_NETLINK), argument(2, Ne, libc::NETLINK_ROUTE)])?,
        when([argument(0, Ne, libc::AF_NETLINK), argument(1, MaskedEq(0xf), libc::SOCK_RAW)])?,
    ])
}

fn set_up_rules() -> io::Result<Rules> {
    let mut rules = whole(SET_UP);
    rules.extend(whole(NEW_SET_UP));
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
    let rule = |flag: &libc::c_int| when([argument(0, SeccompCmpOp::MaskedEq(*flag as u64), *flag)]);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter as the kernel would. `data` is `struct seccomp_data` in words: number, architecture, instruction
    /// pointer (2), arguments (2 each, low first).
    fn verdict(program: &BpfProgram, data: &[u32; 16]) -> u32 {
        let (mut at, mut a) = (0, 0_u32);
        loop {
            let i = &program[at];
            at += 1;
            let jump = |yes: bool| usize::from(if yes { i.jt } else { i.jf });
            match i.code {
                0x20 => a = data[i.k as usize / 4],
                0x54 => a &= i.k,
                0x05 => at += i.k as usize,
                0x15 => at += jump(a == i.k),
                0x25 => at += jump(a > i.k),
                0x35 => at += jump(a >= i.k),
                0x06 => return i.k,
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    const ARCH: u32 = if cfg!(target_arch = "x86_64") { 0xC000_003E } else { 0xC000_00B7 };
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    fn call(number: c_long, arguments: [libc::c_int; 3]) -> [u32; 16] {
        let mut data = [0; 16];
        data[0] = number as u32;
        data[1] = ARCH;
        for (index, argument) in arguments.into_iter().enumerate() {
            data[4 + 2 * index] = argument as u32;
        }
        data
    }

    /// What all filters together answer: the strictest.
    fn all(filters: &Filters, data: &[u32; 16]) -> u32 {
        let verdicts = filters.large.iter().chain([&filters.small]).map(|filter| verdict(filter, data));
        verdicts.min_by_key(|verdict| verdict & 0xFFFF_0000).unwrap()
    }

    fn errno(code: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | code as u32
    }

    #[test]
    fn dangerous_calls_are_denied_and_ordinary_ones_are_not() {
        let filters = compile().unwrap();
        let none = [0, 0, 0];
        for (number, arguments, want) in [
            (libc::SYS_ptrace, none, errno(libc::EPERM)),
            (libc::SYS_mount, none, errno(libc::EPERM)),
            (libc::SYS_setns, none, errno(libc::EPERM)),
            (467, none, errno(libc::EPERM)),
            (libc::SYS_clone3, none, errno(libc::ENOSYS)),
            (libc::SYS_io_uring_setup, none, errno(libc::ENOSYS)),
            (libc::SYS_clone, [libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0], errno(libc::EPERM)),
            (libc::SYS_clone, [libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, 0, 0], ALLOW),
            (libc::SYS_clone, [libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND, 0, 0], ALLOW),
            (libc::SYS_socket, [libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0], ALLOW),
            (libc::SYS_socket, [libc::AF_INET6, libc::SOCK_DGRAM, 0], ALLOW),
            (libc::SYS_socket, [libc::AF_UNIX, libc::SOCK_SEQPACKET, 0], ALLOW),
            (libc::SYS_socket, [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE], ALLOW),
            (libc::SYS_socket, [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 1], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_PACKET, libc::SOCK_DGRAM, 0], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_VSOCK, libc::SOCK_STREAM, 0], errno(libc::EPERM)),
            (libc::SYS_ioctl, [0, libc::TIOCSTI as libc::c_int, 0], errno(libc::EPERM)),
            (libc::SYS_ioctl, [0, libc::TIOCGWINSZ as libc::c_int, 0], ALLOW),
            (libc::SYS_read, none, ALLOW),
            (libc::SYS_execve, none, ALLOW),
        ] {
            assert_eq!(all(&filters, &call(number, arguments)), want, "call {number} {arguments:?}");
        }
    }

    #[test]
    fn other_numberings_of_the_same_calls_do_not_slip_past() {
        let filters = compile().unwrap();
        assert_eq!(all(&filters, &call(0x4000_0000 + libc::SYS_ptrace, [0; 3])), errno(libc::ENOSYS));
        // i386's architecture on x86-64.
        let mut foreign = call(libc::SYS_read, [0; 3]);
        foreign[1] = 0x4000_0003;
        assert_eq!(all(&filters, &foreign), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
