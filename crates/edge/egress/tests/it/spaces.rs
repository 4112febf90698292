//! The real thing in network namespaces of the test's own: a sandbox without a link, a host, and the world behind it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base::{Egress, Outward, SystemClocks, SystemRng, Uplink};
use egress::{Carrier, HostNames, HostNetwork, Limits, Options};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::mpsc;

/// Addresses of the world behind the host.
const INTERNET: &str = "203.0.113.10";
const LAN: &str = "192.168.77.2";
const METADATA: &str = "169.254.169.254";
/// Addresses of the host: to the world, of a bridge that leads nowhere, and a whole range that a route alone makes its own.
const HOST: &str = "198.51.100.2";
const BRIDGE: &str = "172.17.0.1";
const ROUTED: &str = "203.0.113.200";

/// Three namespaces, removed at the end.
struct Spaces {
    prefix: String,
}

impl Spaces {
    /// None, with words, where this cannot be done.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        if let Some(missing) = ["ip", "nft"].into_iter().find(|tool| Command::new(tool).arg("-V").output().is_err()) {
            eprintln!("skipped: {missing} is not installed");
            return None;
        }
        let spaces = Self { prefix: format!("egress{}", std::process::id()) };
        if !run(&format!("ip netns add {}w", spaces.prefix)) {
            eprintln!("skipped: this kernel lets nobody make network namespaces");
            return None;
        }
        let (world, host, inside) = (spaces.name('w'), spaces.name('h'), spaces.name('s'));
        for line in [
            format!("ip netns add {host}"),
            format!("ip netns add {inside}"),
            format!("ip -n {host} link add up0 type veth peer name down0 netns {world}"),
            format!("ip -n {host} addr add {HOST}/24 dev up0"),
            format!("ip -n {host} addr add {BRIDGE}/16 dev lo"),
            format!("ip -n {host} link set lo up"),
            format!("ip -n {host} link set up0 up"),
            format!("ip -n {host} route add default via 198.51.100.1"),
            format!("ip -n {host} route add local {ROUTED}/32 dev lo"),
            format!("ip -n {world} addr add 198.51.100.1/24 dev down0"),
            format!("ip -n {world} link set lo up"),
            format!("ip -n {world} link set down0 up"),
            format!("ip -n {world} addr add {INTERNET}/32 dev lo"),
            format!("ip -n {world} addr add {LAN}/32 dev lo"),
            format!("ip -n {world} addr add {METADATA}/32 dev lo"),
            format!("ip -n {inside} link set lo up"),
            format!("ip -n {inside} addr add 192.0.2.1/32 dev lo"),
            format!("ip -n {inside} route add default dev lo"),
            format!("ip netns exec {inside} nft add table ip out"),
            format!(
                "ip netns exec {inside} nft add chain ip out leave {{ type nat hook output priority -100 ; policy accept ; }}"
            ),
            format!(
                "ip netns exec {inside} nft add rule ip out leave ip daddr != 127.0.0.0/8 meta l4proto tcp redirect to :15001"
            ),
        ] {
            assert!(run(&line), "{line}");
        }
        Some(spaces)
    }

    fn name(&self, which: char) -> String {
        format!("{}{which}", self.prefix)
    }

    /// Moves this thread.
    fn enter(&self, which: char) {
        let space = File::open(format!("/run/netns/{}", self.name(which))).unwrap();
        move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// A listener in one of them that answers every connection with its name.
    fn greeter(&self, which: char, at: &str) {
        let listener = std::thread::scope(|scope| {
            let bound = scope.spawn(|| {
                self.enter(which);
                TcpListener::bind((at, 80)).unwrap()
            });
            bound.join().unwrap()
        });
        let at = at.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A visitor who is gone already is no concern here.
                let _ = stream.and_then(|mut stream| stream.write_all(at.as_bytes()));
            }
        });
    }

    /// What a program inside hears at an address.
    fn hear(&self, at: &str) -> Result<String, std::io::ErrorKind> {
        std::thread::scope(|scope| {
            let heard = scope.spawn(|| {
                self.enter('s');
                let address = SocketAddrV4::new(at.parse().unwrap(), 80).into();
                let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
                stream.set_read_timeout(Some(Duration::from_secs(15)))?;
                let mut text = String::new();
                stream.read_to_string(&mut text).map(|_| text)
            });
            heard.join().unwrap().map_err(|error: std::io::Error| error.kind())
        })
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for which in ['s', 'h', 'w'] {
            run(&format!("ip netns del {}", self.name(which)));
        }
    }
}

fn run(line: &str) -> bool {
    let mut words = line.split(' ');
    let done = Command::new(words.next().unwrap()).args(words).output().unwrap();
    if !done.status.success() {
        eprintln!("{line}: {}", String::from_utf8_lossy(&done.stderr));
    }
    done.status.success()
}

/// Serves the sandbox from the host's namespace while `with` runs: sockets of the one, threads of the other, as in life.
fn served(spaces: &Spaces, rule: Egress, with: impl FnOnce(mpsc::UnboundedReceiver<String>) + Send) {
    let serving = || {
        spaces.enter('s');
        let uplink = Uplink {
            tcp: Some(TcpListener::bind("127.0.0.1:15001").unwrap()),
            dns_udp: UdpSocket::bind("127.0.0.1:53").unwrap(),
            dns_tcp: TcpListener::bind("127.0.0.1:53").unwrap(),
        };
        spaces.enter('h');
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let carrier = Carrier::new(Options {
            network: Arc::new(HostNetwork),
            names: Arc::new(HostNames::default),
            clocks: Arc::new(SystemClocks),
            rng: Arc::new(SystemRng),
            runtime: runtime.handle().clone(),
            limits: Limits { dial: Duration::from_secs(2), ..Limits::default() },
        });
        let (tell, told) = mpsc::unbounded_channel();
        let guard = carrier.connect(uplink, rule, Box::new(move |line| drop(tell.send(line))));
        with(told);
        drop(guard);
    };
    std::thread::scope(|scope| scope.spawn(serving).join().unwrap());
}

#[test]
fn a_sandbox_reaches_what_its_rule_allows_and_never_the_host() {
    let Some(spaces) = Spaces::new() else { return };
    for at in [INTERNET, LAN, METADATA] {
        spaces.greeter('w', at);
    }
    for at in [HOST, BRIDGE, ROUTED, "127.0.0.1"] {
        spaces.greeter('h', at);
    }
    let reset = Err(std::io::ErrorKind::ConnectionReset);
    for rule in [Egress::All, Egress::Public, Egress::None] {
        served(&spaces, rule, |mut told| {
            let reaches = |at: &str, may: bool| {
                let expected = if may { Ok(at.to_owned()) } else { reset.clone() };
                assert_eq!(spaces.hear(at), expected, "{at} by {rule:?}");
            };
            reaches(INTERNET, rule >= Egress::Public);
            reaches(LAN, rule >= Egress::All);
            for at in [METADATA, HOST, BRIDGE, ROUTED] {
                reaches(at, false);
            }
            // An address of a machine that is not there.
            reaches("198.51.100.77", false);
            let lines: Vec<String> = std::iter::from_fn(|| told.try_recv().ok()).collect();
            let of =
                |at: &str| lines.iter().find(|line| line.contains(at)).unwrap_or_else(|| panic!("{at}: {lines:?}"));
            assert!(of(BRIDGE).contains("address of the host"));
            assert!(of(METADATA).contains("link-local"));
            if rule == Egress::All {
                assert!(of(ROUTED).contains("leads back to the host"), "{lines:?}");
            }
        });
    }
    // Inside, loopback is the sandbox's own: nobody listens there.
    assert_eq!(spaces.hear("127.0.0.1"), Err(std::io::ErrorKind::ConnectionRefused));
}
