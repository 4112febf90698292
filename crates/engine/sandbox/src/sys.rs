//! The few system calls no library offers safely. Every `unsafe` of the platform is here or in the clone of `inside`.
#![allow(unsafe_code, reason = "this file is where the platform talks to the kernel by hand")]

pub(crate) mod disk;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Turns the kernel's -1 into its error.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Lets a broken pipe end this process, as every command line tool does: Rust ignores the signal and panics instead.
/// For commands only; a server must outlive its clients.
pub fn end_on_broken_pipe() {
    // SAFETY: called before any thread exists; the default disposition runs no code of ours.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Where a connection that was redirected meant to go: `SO_ORIGINAL_DST`. One that was made to the listener itself
/// answers the listener's own address, a loopback one.
///
/// # Errors
/// The kernel's, when it tracks no such connection.
pub fn original_destination(connection: impl std::os::fd::AsFd) -> io::Result<std::net::SocketAddrV4> {
    Ok(rustix::net::sockopt::ip_original_dst(connection)?)
}

/// Bytes that an ordinary user may still write to the file system of a path.
///
/// # Errors
/// The kernel's, for example when the path is not there.
pub fn free_bytes(path: &std::path::Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(path)?;
    Ok(space.f_bavail * space.f_frsize)
}

/// Gives back the pages of this program's own file that are mapped now: most were needed by the start alone, and what is
/// needed again is still in the kernel's cache. For the moment when a start is over; a debugger's breakpoints go, too.
pub fn unmap_own_file() {
    unsafe extern "C" {
        // The linker's: where the program begins, and where its last code ends.
        static __executable_start: u8;
        static etext: u8;
    }
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let length = end.addr().saturating_sub(start.addr());
    // SAFETY: from the first to the second symbol there are constants and code only, which nothing ever writes, so that the
    // kernel reads the same bytes from the file again. A refusal leaves everything mapped.
    unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_DONTNEED) };
}

/// Which side of a clone this is.
pub(crate) enum Side {
    /// The new process.
    Child,
    /// The process that called, with the child's pid and pidfd.
    Parent { pid: i32, pidfd: OwnedFd },
}

/// Forks with new namespaces. Must be called from a process with one thread only: the child may then use everything.
pub(crate) fn clone(flags: libc::c_int) -> io::Result<Side> {
    let mut pidfd: RawFd = -1;
    let flags = (flags | libc::CLONE_PIDFD | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: without CLONE_VM and with a null stack this is fork(2); the pointer is to a live local and only read after.
    let pid = check(unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags,
            0 as libc::c_ulong,
            &raw mut pidfd,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    })?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: CLONE_PIDFD has stored a fresh descriptor that nobody else owns.
    Ok(Side::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `MOUNT_ATTR_*` of mount_setattr(2).
pub(crate) mod attr {
    pub(crate) const RDONLY: u64 = 0x1;
    pub(crate) const NOSUID: u64 = 0x2;
    pub(crate) const NODEV: u64 = 0x4;
    pub(crate) const NOEXEC: u64 = 0x8;
}

/// Adds attributes to a mount, and to all mounts below it when `recursive`.
pub(crate) fn mount_setattr(mount: BorrowedFd<'_>, set: u64, recursive: bool) -> io::Result<()> {
    change_mount(mount, &MountAttr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 }, recursive)
}

/// Makes a mount tree private, so that nothing the host does later shows up in it, and adds attributes to all of it.
pub(crate) fn mount_private(mount: BorrowedFd<'_>, set: u64) -> io::Result<()> {
    change_mount(mount, &MountAttr { attr_set: set, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 }, true)
}

fn change_mount(mount: BorrowedFd<'_>, attr: &MountAttr, recursive: bool) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let size = size_of::<MountAttr>();
    // SAFETY: the path is an empty C string and the structure lives through the call with its true size.
    check(unsafe {
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), flags, std::ptr::from_ref(attr), size)
    })?;
    Ok(())
}

/// Closes every descriptor from `first` to `last`.
pub(crate) fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: used only in a freshly forked process, whose descriptors above the allow-list nobody uses any more.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// Marks every descriptor from `first` on to be closed by exec.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: only sets a flag on descriptors.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })?;
    Ok(())
}

/// Puts a copy of `from` at descriptor `to`, which survives exec.
pub(crate) fn dup_to(from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    // SAFETY: only called in freshly forked processes for descriptors 0 to 3, which belong to nobody there.
    check(unsafe { libc::dup2(from.as_raw_fd(), to) }.into())?;
    Ok(())
}

/// Takes ownership of a descriptor this process was born with.
///
/// # Errors
/// When it is not open.
pub(crate) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asking for the flags of any number is harmless.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into())?;
    // SAFETY: it is open, and the callers (process start, once) name descriptors that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has the event loop of the current runtime tell when a descriptor can be read or written.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor becomes the registration's own, and stays open for as long as that lives.
    Ok(unsafe { tokio::io::unix::AsyncFd::register(fd) }?)
}

/// Brings the loopback device of the current network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which lives through the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }.into())?;
    Ok(())
}

/// Replaces this process by a program. Returns only on failure.
pub(crate) fn exec(argv: &[CString], env: &[CString]) -> io::Error {
    let list = |strings: &[CString]| {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<*const libc::c_char>>()
    };
    let (argv_pointers, env_pointers) = (list(argv), list(env));
    let Some(program) = argv.first() else { return io::Error::from_raw_os_error(libc::EINVAL) };
    // SAFETY: both arrays end with null and point to C strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv_pointers.as_ptr(), env_pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Ends this process at once, running nothing.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: never returns and touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// Gives every signal its default action and unblocks all: what a program expects at its start.
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: default actions refer to no handler. The kernel refuses SIGKILL and SIGSTOP, which is fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is initialised by sigemptyset before it is read.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Lets this process open as many descriptors as it may: the usual soft limit of 1,024 is there for programs that use
/// select(2), and each sandbox takes about ten.
pub(crate) fn use_all_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // A refusal leaves the limit as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// What a terminal or a service manager sends to all processes of a server to stop it.
const STOPS: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// Leaves stopping to the server, whose end the helper sees; in good order, then, and not at once.
pub(crate) fn ignore_stops() {
    for signal in STOPS {
        // SAFETY: ignoring refers to no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Undoes [`ignore_stops`], which exec would pass on.
pub(crate) fn heed_stops() {
    for signal in STOPS {
        // SAFETY: the default action refers to no handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The Landlock version of the kernel; 0 where there is none.
pub(crate) fn landlock_abi() -> i64 {
    // SAFETY: a null attribute with the version flag asks for the version and touches nothing.
    unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, 0 as libc::c_ulong, 0 as libc::c_ulong, 1 as libc::c_ulong)
    }
    .max(0)
}

/// The supplementary groups become none.
pub(crate) fn drop_groups() -> io::Result<()> {
    // SAFETY: a count of zero reads no memory.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }.into())?;
    Ok(())
}

/// Leaves the namespaces of `flags` (`CLONE_NEW*`) for new ones.
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    debug_assert_eq!(flags & (libc::CLONE_FILES | libc::CLONE_FS | libc::CLONE_VM), 0, "namespaces only");
    // SAFETY: only namespaces change; the descriptor table and the working folder stay.
    check(unsafe { libc::unshare(flags) }.into())?;
    Ok(())
}

/// Sleeps. Only for the helper's first and last moments, when nobody waits for it.
pub(crate) fn pause_ms(ms: i64) {
    let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 0, tv_nsec: ms * 1_000_000 });
}

/// Has this process ended by a signal in so many seconds; 0 takes it back.
pub(crate) fn alarm(seconds: u32) {
    // SAFETY: touches no memory; without a handler the signal runs no code of ours.
    unsafe { libc::alarm(seconds) };
}

/// Where this process's heap begins, if it has one.
pub(crate) fn heap_start() -> Option<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let heap = maps.lines().find(|line| line.ends_with("[heap]"))?;
    usize::from_str_radix(heap.split('-').next()?, 16).ok()
}

/// The last thing the first process of a sandbox does: gives its heap, which begins at `heap`, back to the kernel, waits until
/// `child` has ended, reaping whatever is orphaned meanwhile, sends what `report` makes of the wait status (whether by a
/// signal; its number or the exit status), and ends. When it ends, the kernel kills all that is left in its pid namespace.
///
/// It is a fork of the helper: each page of the heap that the helper writes to afterwards would else be kept for it alone.
pub(crate) fn reap_without_heap(
    child: i32,
    socket: BorrowedFd<'_>,
    heap: Option<usize>,
    report: fn(bool, i32) -> [u8; 6],
) -> ! {
    // SAFETY: the range is the heap, whole pages of it, and nothing below uses the heap: no allocation, no value that owns
    // one is read or dropped, and the process ends without running anything else. All pointers are to live locals.
    unsafe {
        if let Some(start) = heap {
            let end = libc::sbrk(0) as usize;
            libc::madvise(start as *mut libc::c_void, end.saturating_sub(start), libc::MADV_DONTNEED);
        }
        let mut status = 0;
        loop {
            let ended = libc::waitpid(-1, &raw mut status, 0);
            if ended == child {
                break;
            }
            if ended < 0 && *libc::__errno_location() != libc::EINTR {
                libc::_exit(1);
            }
        }
        let signaled = libc::WIFSIGNALED(status);
        let code = if signaled { libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
        let message = report(signaled, code);
        // Whoever does not hear it hears that this process has ended.
        libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), libc::MSG_NOSIGNAL);
        libc::_exit(0);
    }
}

/// Waits for a child's end. Answers what it and everything it waited for has used.
pub(crate) fn reap(pid: i32) -> io::Result<crate::walls::Usage> {
    // SAFETY: an all-zero rusage is valid.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: both pointers are to live locals.
    check(unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) }.into())?;
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Ok(crate::walls::Usage {
        cpu_user_us: micros(used.ru_utime),
        cpu_system_us: micros(used.ru_stime),
        peak_memory_bytes: used.ru_maxrss as u64 * 1024,
        oom_kills: 0,
    })
}

/// Makes the program of `command` inherit the standard streams only.
pub(crate) fn inherit_nothing(command: &mut tokio::process::Command) {
    // SAFETY: between fork and exec it makes one system call, which takes no lock and no memory.
    unsafe { command.pre_exec(|| close_on_exec_from(3)) };
}

/// How many thousands a second the processor's time stamp counter counts. Takes 20 ms. `None` where there is none.
pub(crate) fn tsc_khz() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        let now = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            // SAFETY: reads a counter that every processor of this architecture has.
            let count = unsafe { std::arch::x86_64::_rdtsc() };
            (time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64, count)
        };
        let (begin, counted) = now();
        pause_ms(20);
        let (end, count) = now();
        count.wrapping_sub(counted).checked_mul(1_000_000)?.checked_div(end.wrapping_sub(begin))
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}
