//! What leaves a sandbox arrives at the server's sockets; what may not leave is refused at once.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::linux::net::SocketAddrExt;

use sandbox::{Environment, ExitCause, WallState, Walls};

use crate::common::{again, eventually, output, python, run, shell, wait_for, walls};

/// Walls, unless this kernel cannot redirect.
fn redirecting() -> Option<std::sync::Arc<sandbox::Linux>> {
    let walls = walls();
    let egress = walls.survey().walls.into_iter().find(|wall| wall.name == "egress").unwrap();
    matches!(egress.state, WallState::Holds(_)).then_some(walls)
}

/// The next connection that leaves.
async fn leaving(environment: &Environment) -> (TcpStream, SocketAddrV4) {
    let listener = environment.uplink.as_ref().unwrap().tcp.as_ref().unwrap().try_clone().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let arrived = tokio::time::timeout(std::time::Duration::from_secs(20), listener.accept()).await;
    let Ok(arrived) = arrived else { panic!("nothing arrived; it said {:?}", output(environment)) };
    let (stream, _) = arrived.unwrap();
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let destination = sandbox::original_destination(&stream).unwrap();
    (stream, destination)
}

/// Tries each of these and prints its name with the error's name, or what it gave.
const TRY: &str = r#"
import errno, socket, sys, time
def attempt(name, f):
    start = time.monotonic()
    try: said = f()
    except OSError as e: said = errno.errorcode.get(e.errno, e)
    slow = '' if time.monotonic() - start < 0.5 else ' after a while'
    print(name, str(said) + slow, flush=True)
def tcp(host, port, family=socket.AF_INET):
    s = socket.socket(family); s.settimeout(5); s.connect((host, port)); return 'connected'
def udp(host, port, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(5); s.sendto(b'x', (host, port)); return s.recvfrom(9)
def bound(host):
    s = socket.socket(); s.settimeout(0.3); s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo')
    try: s.connect((host, 80))
    except TimeoutError: return 'silence'
    return 'connected'
"#;

#[tokio::test]
async fn a_connection_arrives_with_its_destination_and_carries_data_both_ways() {
    let Some(walls) = redirecting() else { return };
    let environment = walls
        .launch(python(
            "import socket\nfor n in range(3):\n    s = socket.create_connection(('8.8.8.8', 443 + n), 5)\n    s.sendall(b'x' * 300000)\n    s.shutdown(1)\n    print(s.getpeername(), len(s.makefile('rb').read()), flush=True)",
        ))
        .await
        .unwrap();
    for port in 443..446 {
        let (mut stream, destination) = leaving(&environment).await;
        assert_eq!(destination, SocketAddrV4::new(Ipv4Addr::new(8, 8, 8, 8), port));
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).unwrap();
        assert_eq!(sent.len(), 300_000);
        stream.write_all(&[b'y'; 500_000]).unwrap();
    }
    assert_eq!(environment.control.exited().await.cause, ExitCause::Exited(0));
    let lines: Vec<String> = (443..446).map(|port| format!("('8.8.8.8', {port}) 500000\n")).collect();
    assert_eq!(output(&environment), lines.concat());
}

#[tokio::test]
async fn what_may_not_leave_is_refused_at_once() {
    let Some(walls) = redirecting() else { return };
    let script = format!(
        "{TRY}
for host in ['169.254.169.254', '169.254.170.2', '0.1.2.3', '224.0.0.1', '240.0.0.1', '255.255.255.255']:
    attempt(host, lambda: tcp(host, 80))
for host, port in [('8.8.8.8', 443), ('192.168.1.1', 161), ('169.254.169.254', 53), ('224.0.0.251', 5353)]:
    attempt('udp ' + host, lambda: udp(host, port))
for host in ['fd00:ec2::254', '2001:db8::1', 'fe80::1']:
    attempt(host, lambda: tcp(host, 80, socket.AF_INET6))
    attempt('udp ' + host, lambda: udp(host, 53, socket.AF_INET6))
attempt('mapped', lambda: tcp('::ffff:169.254.169.254', 80, socket.AF_INET6))
attempt('bound', lambda: bound('169.254.169.254'))
attempt('netfilter', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
attempt('address', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) and 'there')
attempt('low port', lambda: socket.socket().bind(('127.0.0.1', 2)))
"
    );
    let environment = walls.launch(python(&script)).await.unwrap();
    environment.control.exited().await;
    let text = output(&environment);
    let expected = "169.254.169.254 EHOSTUNREACH\n169.254.170.2 EHOSTUNREACH\n0.1.2.3 EHOSTUNREACH\n224.0.0.1 EHOSTUNREACH\n240.0.0.1 EHOSTUNREACH\n255.255.255.255 EHOSTUNREACH\n\
        udp 8.8.8.8 EPERM\nudp 192.168.1.1 EPERM\nudp 169.254.169.254 EHOSTUNREACH\nudp 224.0.0.251 EHOSTUNREACH\n\
        fd00:ec2::254 ENETUNREACH\nudp fd00:ec2::254 ENETUNREACH\n2001:db8::1 ENETUNREACH\nudp 2001:db8::1 ENETUNREACH\nfe80::1 EINVAL\nudp fe80::1 ENETUNREACH\n\
        mapped EHOSTUNREACH\nbound silence\nnetfilter EPERM\naddress there\nlow port EACCES\n";
    assert_eq!(text, expected);
    let listener = environment.uplink.as_ref().unwrap().tcp.as_ref().unwrap();
    assert!(listener.accept().is_err(), "something came out");
}

#[tokio::test]
async fn without_a_listener_connections_are_refused() {
    let Some(walls) = redirecting() else { return };
    let script = format!(
        "import sys; sys.stdin.close()\n{TRY}\nwhile True:\n    try: tcp('8.8.8.8', 443)\n    except ConnectionRefusedError: break\n    except ConnectionResetError: pass\nattempt('then', lambda: tcp('8.8.8.8', 443))"
    );
    let mut environment = walls.launch(python(&script)).await.unwrap();
    environment.uplink.as_mut().unwrap().tcp = None;
    environment.control.exited().await;
    assert_eq!(output(&environment), "then ECONNREFUSED\n");
}

#[tokio::test]
async fn names_are_asked_for_at_one_place_whomever_the_program_asks() {
    let Some(walls) = redirecting() else { return };
    let script = format!(
        "{TRY}
def connected(host):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.connect((host, 53)); s.send(b'x'); return s.recv(9)
attempt('stub', lambda: udp('127.0.0.1', 53))
attempt('named', lambda: udp('8.8.8.8', 53))
attempt('other', lambda: udp('192.168.1.1', 53))
attempt('connected', lambda: connected('1.1.1.1'))
attempt('tcp', lambda: tcp('127.0.0.1', 53))
attempt('tcp named', lambda: tcp('8.8.8.8', 53))
"
    );
    let mut environment = walls.launch(python(&script)).await.unwrap();
    let uplink = environment.uplink.take().unwrap();
    let datagrams = tokio::net::UdpSocket::from_std(uplink.dns_udp).unwrap();
    let mut buffer = [0; 9];
    for _ in 0..4 {
        let (len, asker) = datagrams.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], b"x");
        datagrams.send_to(b"yes", asker).await.unwrap();
    }
    let streams = tokio::net::TcpListener::from_std(uplink.dns_tcp).unwrap();
    for _ in 0..2 {
        streams.accept().await.unwrap();
    }
    environment.control.exited().await;
    let said = |host: &str| format!("(b'yes', ('{host}', 53))");
    let expected = format!(
        "stub {}\nnamed {}\nother {}\nconnected b'yes'\ntcp connected\ntcp named connected\n",
        said("127.0.0.1"),
        said("8.8.8.8"),
        said("192.168.1.1")
    );
    assert_eq!(output(&environment), expected);
}

#[tokio::test]
async fn the_resolver_of_the_system_asks_the_stub() {
    let Some(walls) = redirecting() else { return };
    let script = "import socket; print(socket.gethostbyname('db.example'), socket.getaddrinfo('localhost', 1, socket.AF_INET)[0][4])";
    let mut environment = walls.launch(python(script)).await.unwrap();
    let uplink = environment.uplink.take().unwrap();
    let datagrams = tokio::net::UdpSocket::from_std(uplink.dns_udp).unwrap();
    let mut buffer = [0; 512];
    let (len, asker) = datagrams.recv_from(&mut buffer).await.unwrap();
    // One answer of type A for the name of the question (a pointer to byte 12), one minute, 192.0.2.7.
    let question_end = 12 + buffer[12..len].iter().position(|byte| *byte == 0).unwrap() + 5;
    let mut answer = buffer[..question_end].to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    datagrams.send_to(&answer, asker).await.unwrap();
    environment.control.exited().await;
    assert_eq!(output(&environment), "192.0.2.7 ('127.0.0.1', 1)\n");
}

#[tokio::test]
async fn a_program_talks_to_itself() {
    let walls = walls();
    let script = format!(
        "{TRY}
l = socket.create_server(('0.0.0.0', 8080))
attempt('loopback', lambda: tcp('127.0.0.1', 8080))
attempt('any', lambda: tcp('0.0.0.0', 8080))
attempt('localhost', lambda: tcp('localhost', 8080))
s6 = socket.create_server(('::1', 8081), family=socket.AF_INET6)
attempt('loopback 6', lambda: tcp('::1', 8081, socket.AF_INET6))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0)); u.sendto(b'x', u.getsockname())
attempt('datagram', lambda: u.recv(9))
p = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
attempt('what is my address', lambda: p.connect(('8.8.8.8', 80)) or p.getsockname()[0])
"
    );
    let (text, _) = run(&walls, python(&script)).await;
    let rest = "loopback connected\nany connected\nlocalhost connected\nloopback 6 connected\ndatagram b'x'\n";
    assert!(text.starts_with(rest), "{text}");
}

#[tokio::test]
async fn abstract_sockets_of_the_host_are_out_of_reach() {
    let name = format!("lambent-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    assert!(std::os::unix::net::UnixStream::connect_addr(&address).is_ok());
    let script = format!(
        "{TRY}\ndef to(): s = socket.socket(socket.AF_UNIX); s.connect('\\0{name}'); return 'IN'\nattempt('abstract', to)"
    );
    assert_eq!(run(&walls(), python(&script)).await.0, "abstract ECONNREFUSED\n");
}

#[tokio::test]
async fn two_sandboxes_do_not_hear_each_other() {
    let Some(walls) = redirecting() else { return };
    let listener = python(
        "import socket; s = socket.create_server(('0.0.0.0', 7777)); print('up', flush=True); s.accept(); print('IN')",
    );
    let first = walls.launch(listener).await.unwrap();
    wait_for(&first, "up").await;
    let script = format!(
        "{TRY}\nattempt('loopback', lambda: tcp('127.0.0.1', 7777))\nattempt('own', lambda: tcp('10.0.0.2', 7777))"
    );
    let second = walls.launch(python(&script)).await.unwrap();
    // Its own address, too, belongs to whoever has it outside.
    assert_eq!(leaving(&second).await.1, SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 7777));
    second.control.exited().await;
    assert_eq!(output(&second), "loopback ECONNREFUSED\nown connected\n");
    drop(first);
}

/// Starts a program as on a kernel without netfilter: the answer to its netlink sockets is EPROTONOSUPPORT.
const WITHOUT_NETFILTER: &str = r"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number = {'x86_64': 41, 'aarch64': 198}[os.uname().machine]
steps = [(0x20, 0, 0, 0), (0x15, 0, 5, number), (0x20, 0, 0, 16), (0x15, 0, 3, 16), (0x20, 0, 0, 32), (0x15, 0, 1, 12),
         (0x06, 0, 0, 0x50000 | 93), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))
program = struct.pack('HxxxxxxP', len(steps), ctypes.addressof(code))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn on_a_kernel_that_cannot_redirect() {
    let done = std::process::Command::new("python3")
        .args(["-c", WITHOUT_NETFILTER])
        .args(again("egress::nothing_leaves"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[&*done.stdout, &*done.stderr].concat()).into_owned();
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "run by on_a_kernel_that_cannot_redirect"]
async fn nothing_leaves() {
    let walls = walls();
    let survey = walls.survey();
    assert!(survey.usable);
    let state = |name: &str| survey.walls.iter().find(|wall| wall.name == name).unwrap().state.clone();
    assert!(matches!(state("egress closed"), WallState::Holds(_)));
    let WallState::Missing { why, fix } = state("egress") else { panic!("it holds") };
    assert!(why.starts_with("nf_tables: Protocol not supported") && fix.contains("modprobe"), "{why} {fix}");
    let script = format!(
        "{TRY}\nattempt('tcp', lambda: tcp('8.8.8.8', 443))\nattempt('udp', lambda: udp('8.8.8.8', 53))\nattempt('names', lambda: udp('127.0.0.1', 53))"
    );
    let mut environment = walls.launch(python(&script)).await.unwrap();
    let uplink = environment.uplink.take().unwrap();
    assert!(uplink.tcp.is_none());
    let datagrams = tokio::net::UdpSocket::from_std(uplink.dns_udp).unwrap();
    let (_, asker) = datagrams.recv_from(&mut [0; 9]).await.unwrap();
    datagrams.send_to(b"yes", asker).await.unwrap();
    environment.control.exited().await;
    assert_eq!(output(&environment), "tcp ENETUNREACH\nudp ENETUNREACH\nnames (b'yes', ('127.0.0.1', 53))\n");
}

/// What the kernel keeps in mind of connections, which no limit of a sandbox counts.
#[tokio::test]
async fn a_flood_fills_no_memory_of_the_kernel() {
    let Some(walls) = redirecting() else { return };
    let script = "
import socket, time
def flood(address):
    end = time.monotonic() + 1.5; n = 0
    while time.monotonic() < end:
        if n % 100 == 0: s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 0))
        try: s.sendto(b'', address(n))
        except OSError: pass
        n += 1
flood(lambda n: (f'127.0.{n >> 8 & 255}.{n & 255}', 1000 + n % 50000))
flood(lambda n: (f'8.8.{n >> 8 & 255}.{n & 255}', 53))
l = socket.create_server(('127.0.0.1', 8080), backlog=100)
end = time.monotonic() + 1.5
while time.monotonic() < end: c = socket.create_connection(('127.0.0.1', 8080)); l.accept()[0].close(); c.close()
print(int(open('/proc/sys/net/netfilter/nf_conntrack_count').read()))";
    let (text, _) = run(&walls, python(script)).await;
    let tracked: usize = text.trim().parse().unwrap_or_else(|_| panic!("{text}"));
    assert!(tracked < 8000, "{tracked}");
}

/// The rules as the kernel holds them, told by the tool people know.
#[tokio::test]
async fn the_rules_read_as_they_are_meant() {
    let nft = std::process::Command::new("nft").arg("--version").output();
    if !crate::common::is_root() || nft.is_err() {
        return;
    }
    let Some(walls) = redirecting() else { return };
    let sleeper = crate::common::mark(71, std::process::id());
    let environment = walls.launch(shell(&format!("echo up; exec sleep {sleeper}"))).await.unwrap();
    wait_for(&environment, "up").await;
    let asleep = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path.join("cmdline")).is_ok_and(|line| line.contains(&sleeper))
    };
    let find = || {
        let pids = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        pids.filter(asleep).find_map(|path| path.file_name()?.to_str()?.parse::<u32>().ok())
    };
    // In the middle of exec it has no name.
    eventually("it sleeps", || find().is_some()).await;
    let pid = find().unwrap();
    let listed = std::process::Command::new("nsenter")
        .args([&format!("--net=/proc/{pid}/ns/net"), "nft", "--stateless", "list", "ruleset"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).replace('\t', " ");
    let expected = [
        "type filter hook output priority raw; policy accept;",
        "ip saddr 127.0.0.0/8 ip daddr 127.0.0.0/8 th sport != 1 th sport != 53 notrack",
        "ip daddr 127.0.0.0/8 accept",
        "ip daddr 10.0.0.2 accept",
        "ip daddr 0.0.0.0/8 reject",
        "ip daddr 169.254.0.0/16 reject",
        "meta l4proto tcp accept",
        "limit rate over 1000/second burst 1000 packets reject",
        "udp dport 53 accept",
        "reject",
    ];
    let mut lines = text.lines().map(str::trim);
    for line in expected {
        assert!(lines.any(|other| other == line), "{line} in {text}");
    }
    for line in [
        "type filter hook output priority mangle; policy accept;",
        "type nat hook output priority -100; policy accept;",
        "ip daddr != 127.0.0.0/8 udp dport 53 redirect to :53",
        "ip daddr != 127.0.0.0/8 tcp dport 53 redirect to :53",
        "ip daddr != 127.0.0.0/8 meta l4proto tcp redirect to :1",
    ] {
        assert!(text.lines().any(|other| other.trim() == line), "{line} in {text}");
    }
}
