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

/// Programs probe for these and fall back when the kernel seems not to have them. `io_setup` takes from a stock that the
/// whole host shares (`fs.aio-max-nr`).
const UNKNOWN: &[c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_setup,
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

impl Filters {
    /// The last one as the kernel reads it.
    pub(crate) fn small_bytes(&self) -> Vec<u8> {
        let bytes = |one: &sock_filter| {
            let (code, k) = (one.code.to_ne_bytes(), one.k.to_ne_bytes());
            [code[0], code[1], one.jt, one.jf, k[0], k[1], k[2], k[3]]
        };
        self.small
            .iter()
            .flat_map(|one| bytes(&sock_filter { code: one.code, jt: one.jt, jf: one.jf, k: one.k }))
            .collect()
    }
}

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
        large: [program(never_rules()?, libc::EPERM)?, program(unknown_rules()?, libc::ENOSYS)?],
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
    let rule = |request: &libc::c_int| when([argument(1, SeccompCmpOp::Eq, *request)]);
    rules.insert(libc::SYS_ioctl, IOCTLS.iter().map(rule).collect::<io::Result<_>>()?);
    let huge = |index: u8, flag: libc::c_int| {
        Ok::<_, io::Error>(vec![when([argument(index, SeccompCmpOp::MaskedEq(flag as u64), flag)])?])
    };
    // Huge pages are a stock of the host's that no cgroup of ours counts.
    rules.insert(libc::SYS_memfd_create, huge(1, libc::MFD_HUGETLB as libc::c_int)?);
    rules.insert(libc::SYS_shmget, huge(2, libc::SHM_HUGETLB)?);
    rules.insert(libc::SYS_mmap, huge(3, libc::MAP_HUGETLB)?);
    Ok(rules)
}

/// Requests that reach out of the sandbox: typing into one's controlling terminal, the console's own, and those for
/// which the kernel loads a driver of bridges, VLANs or frame relay whoever asks (`linux/sockios.h`, `linux/dlci.h`).
const IOCTLS: &[libc::c_int] = &[
    libc::TIOCSTI as libc::c_int,
    libc::TIOCLINUX as libc::c_int,
    libc::TIOCSETD as libc::c_int,
    0x8940,
    0x8941,
    0x8980,
    0x8981,
    0x8982,
    0x8983,
    0x89a0,
    0x89a1,
];

/// Btrfs lets anybody make subvolumes and snapshots, which no limit of the one they are in holds: creating, destroying,
/// both in their second version, flags, the mark of a received one (`linux/btrfs.h`). The helper needs them until the end.
const SUBVOLUMES: &[libc::c_int] = &[
    0x5000_940e,
    0x5000_9418,
    0x5000_9401,
    0x5000_9417,
    0x5000_940f,
    0x5000_943f,
    0x4008_941a,
    0xc0c8_9425_u32 as libc::c_int,
    // The same for callers of 32 bits, which every kernel serves; then what commits the whole volume for everybody.
    0xc0c0_9425_u32 as libc::c_int,
    0x0000_9408,
    0x8008_9418_u32 as libc::c_int,
    0x4008_9416,
];

/// What does not exist. The limit of core files among them: it is 1 already (see `confine::no_dumps`), and any other
/// would have the kernel hand a crash to the host's handler, as the host's root.
fn unknown_rules() -> io::Result<Rules> {
    use SeccompCmpOp::{Eq, Ne};
    let mut rules = whole(UNKNOWN);
    let core = || argument(1, Eq, libc::RLIMIT_CORE as libc::c_int);
    let changes = SeccompCondition::new(2, SeccompCmpArgLen::Qword, Ne, 0).map_err(invalid);
    rules.insert(libc::SYS_prlimit64, vec![when([core(), changes])?]);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    rules.insert(libc::SYS_setrlimit, vec![when([argument(0, Eq, libc::RLIMIT_CORE as libc::c_int)])?]);
    Ok(rules)
}

/// Families other than Unix, IPv4, IPv6 and netlink's routing protocol (which getaddrinfo asks for addresses); raw
/// sockets; and over IP all but TCP and UDP, for the others are loaded into the kernel by whoever asks first. Netlink's
/// sockets are raw by habit. Netfilter's protocol is taken away at the end: the first process sets the rules of its
/// network.
fn socket_rules() -> io::Result<Vec<SeccompRule>> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let mut rules = vec![
        when([libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(|family| argument(0, Ne, family)))?,
        when([
            argument(0, Eq, libc::AF_NETLINK),
            argument(2, Ne, libc::NETLINK_ROUTE),
            argument(2, Ne, libc::NETLINK_NETFILTER),
        ])?,
        when([argument(0, Eq, libc::AF_UNIX), argument(1, MaskedEq(0xf), libc::SOCK_RAW)])?,
    ];
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, SOCK_PACKET] {
            rules.push(when([argument(0, Eq, family), argument(1, MaskedEq(0xf), kind)])?);
        }
        let others = [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP].map(|protocol| argument(2, Ne, protocol));
        let [any, tcp, udp] = others;
        rules.push(when([argument(0, Eq, family), any, tcp, udp])?);
    }
    Ok(rules)
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
    let netfilter =
        when([argument(0, SeccompCmpOp::Eq, libc::AF_NETLINK), argument(2, SeccompCmpOp::Ne, libc::NETLINK_ROUTE)])?;
    rules.insert(libc::SYS_socket, vec![netfilter]);
    let request = |request: &libc::c_int| when([argument(1, SeccompCmpOp::Eq, *request)]);
    rules.insert(libc::SYS_ioctl, SUBVOLUMES.iter().map(request).collect::<io::Result<_>>()?);
    rules.insert(libc::SYS_clone, spaces.iter().map(rule).collect::<io::Result<_>>()?);
    Ok(rules)
}

/// From the kernel's `linux/net.h`: packets by their old name.
const SOCK_PACKET: libc::c_int = 10;
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
            (libc::SYS_socket, [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 1], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_PACKET, libc::SOCK_DGRAM, 0], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_VSOCK, libc::SOCK_STREAM, 0], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP], ALLOW),
            (libc::SYS_socket, [libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP], ALLOW),
            (libc::SYS_socket, [libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_INET6, libc::SOCK_SEQPACKET, 0], errno(libc::EPERM)),
            (libc::SYS_socket, [libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE], errno(libc::EPERM)),
            (libc::SYS_socketpair, [libc::AF_UNIX, libc::SOCK_SEQPACKET, 0], ALLOW),
            (libc::SYS_ioctl, [0, 0x8940, 0], errno(libc::EPERM)),
            (libc::SYS_ioctl, [0, 0x5000_940e, 0], errno(libc::EPERM)),
            (libc::SYS_ioctl, [0, 0xc0c8_9425_u32 as libc::c_int, 0], errno(libc::EPERM)),
            (libc::SYS_ioctl, [0, 0xc0c0_9425_u32 as libc::c_int, 0], errno(libc::EPERM)),
            (libc::SYS_ioctl, [0, 0x9408, 0], errno(libc::EPERM)),
            (libc::SYS_ioctl, [0, libc::FICLONE as libc::c_int, 0], ALLOW),
            (libc::SYS_io_setup, none, errno(libc::ENOSYS)),
            (libc::SYS_prlimit64, [0, libc::RLIMIT_CORE as libc::c_int, 1], errno(libc::ENOSYS)),
            (libc::SYS_prlimit64, [0, libc::RLIMIT_CORE as libc::c_int, 0], ALLOW),
            (libc::SYS_prlimit64, [0, libc::RLIMIT_NOFILE as libc::c_int, 1], ALLOW),
            (libc::SYS_memfd_create, [0, libc::MFD_CLOEXEC as libc::c_int, 0], ALLOW),
            (libc::SYS_memfd_create, [0, libc::MFD_HUGETLB as libc::c_int, 0], errno(libc::EPERM)),
            (libc::SYS_shmget, [0, 4096, libc::SHM_HUGETLB | libc::IPC_CREAT], errno(libc::EPERM)),
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
