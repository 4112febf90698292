//! A first probe: what a hostile program tries, and must fail at. Each attempt prints one line; `IN` means it got through.

use std::net::TcpListener;

use sandbox::{ExitCause, Walls};

use crate::common::{folder, python, run, shell, walls};

/// Attempts in Python: system calls by number through ctypes, files and sockets by the library.
const ATTEMPTS: &str = r#"
import ctypes, os, platform, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == 'x86_64'
secret, host_pid, host_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

# Descriptors: exactly the standard streams.
extra = [fd for fd in os.listdir('/proc/self/fd') if int(fd) > 2 and os.path.exists('/proc/self/fd/' + fd)]
print('descriptors', extra)

def call(number_x86, number_arm, *args):
    got = libc.syscall(number_x86 if x86 else number_arm, *args)
    if got < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return got

def attempt(name, f):
    try: result = f()
    except (OSError, ValueError) as e: print("denied", name, e)
    else: print('denied' if result is False else 'IN', name, result)

attempt('read a host file', lambda: open(secret).read())
attempt('read a host file through its process', lambda: open('/proc/1/root' + secret).read())
attempt('read /etc/shadow', lambda: open('/etc/shadow').read())
attempt('see host processes', lambda: len([p for p in os.listdir('/proc') if p.isdigit()]) > 3)
attempt('signal a host process', lambda: os.kill(host_pid, 0) if host_pid > 10 else False)
# Denied by being without effect: this program would end with it.
attempt('signal the first process', lambda: os.kill(1, signal.SIGKILL) or os.kill(1, 0) or False)
attempt('see the first process', lambda: os.stat('/proc/1'))
attempt('read memory of the first process', lambda: open('/proc/1/mem', 'rb').read(1))
attempt('follow descriptors of the first process', lambda: os.readlink('/proc/1/fd/3'))
attempt('adjust the first process', lambda: open('/proc/1/oom_score_adj', 'w').write('1000'))
attempt('mount', lambda: call(165, 40, b'none', b'/tmp', b'tmpfs', 0, 0))
attempt('open_tree', lambda: call(428, 428, -100, b'/', 1))
attempt('unmount /proc', lambda: call(166, 39, b'/proc', 2))
attempt('pivot_root', lambda: call(155, 41, b'/tmp', b'/tmp'))
attempt('chroot', lambda: os.chroot('/tmp'))
for flag, name in [(0x10000000, 'user'), (0x20000, 'mount'), (0x40000000, 'net'), (0x20000000, 'pid')]:
    attempt('unshare ' + name, lambda: call(272, 97, flag))
attempt('clone a user namespace', lambda: call(56, 220, 0x10000000 | 17, 0, 0, 0, 0) and True)
attempt('clone3', lambda: call(435, 435, 0, 0))
attempt('setns', lambda: call(308, 268, os.open('/proc/self/ns/net', os.O_RDONLY), 0))
attempt('ptrace the first process', lambda: call(101, 117, 16, 1, 0, 0))
attempt('ptrace traceme', lambda: call(101, 117, 0, 0, 0, 0))
attempt('process_vm_readv', lambda: call(310, 270, 1, 0, 0, 0, 0, 0))
attempt('mknod a block device', lambda: os.mknod('/tmp/disk', 0o060600, os.makedev(254, 0)))
attempt('connect to host loopback', lambda: socket.create_connection(('127.0.0.1', host_port), 2))
attempt('send out', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 123)))
attempt('connect to metadata', lambda: socket.create_connection(('169.254.169.254', 80), 2))
attempt('netfilter netlink', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
attempt('raw socket', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt('packet socket', lambda: socket.socket(17, socket.SOCK_RAW, 0))
attempt('vsock', lambda: socket.socket(40, socket.SOCK_STREAM, 0))
attempt('alg socket', lambda: socket.socket(38, socket.SOCK_SEQPACKET, 0))
attempt('audit netlink', lambda: socket.socket(16, socket.SOCK_RAW, 9))
attempt('setuid 0', lambda: os.setuid(0))
attempt('setgid 0', lambda: os.setgid(0))
attempt('write /usr', lambda: open('/usr/lambent-was-here', 'w'))
attempt('write /var/task', lambda: open('/var/task/lambent-was-here', 'w'))
attempt('write /', lambda: os.mkdir('/lambent-was-here'))
attempt('write /etc', lambda: open('/etc/passwd', 'a'))
attempt('write /proc/sys', lambda: open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x'))
attempt('write own ns sysctl', lambda: open('/proc/sys/net/ipv4/ip_forward', 'w').write('1'))
attempt('raise user namespaces', lambda: open('/proc/sys/user/max_user_namespaces', 'w').write('9'))
attempt('sysrq', lambda: open('/proc/sysrq-trigger', 'w').write('h'))
attempt('kcore', lambda: open('/proc/kcore', 'rb').read(1) == b'' and False)
attempt('bpf', lambda: call(321, 280, 0, 0, 0))
attempt('keyctl', lambda: call(250, 219, 0, -3, 1))
attempt('add_key', lambda: call(248, 217, b'user', b'x', b'y', 1, -2))
attempt('perf_event_open', lambda: call(298, 241, 0, 0, -1, -1, 0))
attempt('userfaultfd', lambda: call(323, 282, 1))
attempt('io_uring_setup', lambda: call(425, 425, 8, 0))
attempt('kexec', lambda: call(246, 104, 0, 0, 0, 0))
attempt('open_by_handle_at', lambda: call(304, 265, -100, 0, 0))
attempt('reboot', lambda: call(169, 142, 0xfee1dead, 672274793, 0, 0))
attempt('set the clock', lambda: call(227, 112, 0, 0))
attempt('set the host name', lambda: call(170, 161, b'x', 1))
attempt('type into the terminal', lambda: call(16, 29, 0, 0x5412, b'x'))
attempt('raise a limit', lambda: __import__('resource').setrlimit(7, (1 << 20, 1 << 20)))
if x86:
    attempt('x32 ptrace', lambda: call(0x40000000 + 521, 0, 0, 0, 0, 0))
    attempt('x32 mount', lambda: call(0x40000000 + 165, 0, b'none', b'/tmp', b'tmpfs', 0, 0))
    attempt('iopl', lambda: call(172, 0, 3))
print('end')
"#;

#[tokio::test]
async fn a_hostile_program_gets_nowhere() {
    let walls = walls();
    let secret = folder().join("secret.txt");
    std::fs::write(&secret, "the host's").unwrap();
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let (pid, port) = (std::process::id().to_string(), host.local_addr().unwrap().port().to_string());
    let mut spec = python(ATTEMPTS);
    spec.argv.extend([secret.into_os_string(), pid.into(), port.into()]);
    let (text, exit) = run(&walls, spec).await;
    assert_eq!(exit.cause, ExitCause::Exited(0), "{text}");
    let through: Vec<&str> = text.lines().filter(|line| !line.starts_with("denied ")).collect();
    assert_eq!(through, ["descriptors []", "end"], "{text}");
    assert!(text.lines().count() > 55, "{text}");
    // Two walls stand here, Landlock and the mounts: see the first, so that one does not hide the loss of the other.
    for place in ["/usr", "/var/task", "/", "/proc/sys"] {
        let line = text.lines().find(|line| line.starts_with(&format!("denied write {place} ")));
        assert!(line.is_some_and(|line| line.contains("Read-only file system")), "{line:?}");
    }
}

#[tokio::test]
async fn what_programs_need_works() {
    let walls = walls();
    let spec = python(
        r#"
import os, socket, subprocess, tempfile, threading, multiprocessing.shared_memory, ssl, zoneinfo, pwd
open('/tmp/a', 'w').write('x'); os.rename('/tmp/a', '/tmp/b'); os.mkdir('/tmp/d'); os.rename('/tmp/b', '/tmp/d/b')
os.link('/tmp/d/b', '/tmp/l'); os.symlink('/tmp/l', '/tmp/s'); os.chmod('/tmp/l', 0o700)
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); c = socket.create_connection(s.getsockname())
a, b = socket.socketpair()
u = socket.socket(socket.AF_UNIX); u.bind('/tmp/u')
t = threading.Thread(target=lambda: None); t.start(); t.join()
print(subprocess.run(['/bin/sh', '-c', 'echo child; echo > /dev/null; head -c 3 /dev/urandom | wc -c'], capture_output=True, text=True).stdout.split())
m = multiprocessing.shared_memory.SharedMemory(create=True, size=100); m.close(); m.unlink()
print(pwd.getpwuid(os.getuid()).pw_name, socket.gethostname(), socket.gethostbyname('localhost'), os.cpu_count() > 0)
print(open('/proc/self/comm').read().strip()[:6], os.path.exists('/proc/meminfo'), os.nice(0))
"#,
    );
    let (text, exit) = run(&walls, spec).await;
    assert_eq!(exit.cause, ExitCause::Exited(0), "{text}");
    assert_eq!(text, "['child', '3']\nsbx_user1051 lambent 127.0.0.1 True\npython True 0\n");
}

#[tokio::test]
async fn two_sandboxes_share_nothing() {
    let walls = walls();
    let first = walls.launch(shell("echo mine > /tmp/mine; echo mine > /dev/shm/mine; sleep 60")).await.unwrap();
    let (text, _) = run(
        &walls,
        shell("ls /tmp /dev/shm; test $(ls -d /proc/[0-9]* | wc -l) -le 5 && echo few; grep -c . /proc/net/tcp"),
    )
    .await;
    // A heading, and the two listeners of what leaves.
    assert_eq!(text, "/dev/shm:\n\n/tmp:\nfew\n3\n");
    first.control.kill();
    assert_eq!(first.control.exited().await.cause, ExitCause::Killed);
}
