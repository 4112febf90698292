//! The network of a sandbox: loopback, and no link to anywhere. What would leave arrives at sockets in here that the
//! server holds. Made ahead of need by the first process, while it has the capabilities of its own namespaces.

mod netlink;
mod rules;

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use netlink::{Attributes, Batch, CREATE};

use super::{Failure, Step};
use crate::sys;

/// What programs see as their own address.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Where name queries are answered, on 127.0.0.1.
const DNS_PORT: u16 = 53;
/// Where TCP that would leave arrives, on 127.0.0.1. No program inside may bind a port this low, so it is in nobody's way.
const TCP_PORT: u16 = 1;

/// The sockets at which everything that would leave arrives.
pub(super) struct Uplink {
    /// The resolver's UDP socket, its listener, then, where the kernel can redirect, the listener of everything else.
    pub(super) sockets: Vec<OwnedFd>,
    /// Why TCP is not redirected, where it is not.
    pub(super) closed: Option<String>,
}

/// Builds the network of this namespace.
pub(super) fn build() -> Result<Uplink, Failure> {
    sys::loopback_up().step("bring up the loopback device")?;
    let mut sockets = resolver().step("listen for name queries")?;
    let closed = match redirect() {
        Ok(listener) => {
            sockets.push(listener.into());
            forget_soon();
            None
        }
        Err(why) => Some(why),
    };
    Ok(Uplink { sockets, closed })
}

/// Seconds after which the kernel forgets a connection that is over, or a query nobody answers. Its table is the whole
/// host's, no cgroup counts it, and by default it remembers for minutes: a function that connects to itself again and
/// again would fill it. A query of a name may take as long as resolvers wait.
const REMEMBERED: &[(&str, &str)] = &[
    ("udp_timeout", "6"),
    ("tcp_timeout_syn_sent", "30"),
    ("tcp_timeout_fin_wait", "5"),
    ("tcp_timeout_close_wait", "10"),
    ("tcp_timeout_last_ack", "5"),
    ("tcp_timeout_time_wait", "2"),
    ("tcp_timeout_close", "1"),
];

fn forget_soon() {
    for (name, seconds) in REMEMBERED {
        // Where /proc/sys may not be written, as in some containers, the kernel's own times stay.
        let _ = std::fs::write(format!("/proc/sys/net/netfilter/nf_conntrack_{name}"), seconds);
    }
}

fn resolver() -> io::Result<Vec<OwnedFd>> {
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, DNS_PORT))?;
    datagrams.set_nonblocking(true)?;
    Ok(vec![datagrams.into(), listen(DNS_PORT)?.into()])
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Gives every address a way to the platform. The rules come first: without them a connection would hang.
fn redirect() -> Result<TcpListener, String> {
    let say = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    rules::set().map_err(say("nf_tables"))?;
    let listener = listen(TCP_PORT).map_err(say("listen for what leaves"))?;
    routes().map_err(say("routes"))?;
    Ok(listener)
}

/// Destinations that are refused while the program still calls connect: "this network", link-local with the clouds'
/// metadata services, multicast, and what is reserved.
const UNREACHABLE: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The address and the routes. IPv6 has no route but to itself, as outside a VPC with two stacks.
fn routes() -> io::Result<()> {
    const LOOPBACK: u32 = 1;
    let v4 = libc::AF_INET as u8;
    // `struct ifaddrmsg`: family, prefix, flags, scope, device.
    let mut head = vec![v4, 32, 0, libc::RT_SCOPE_UNIVERSE];
    head.extend(LOOPBACK.to_ne_bytes());
    let address = ADDRESS.octets();
    let attributes = Attributes::default().bytes(libc::IFA_LOCAL, &address).bytes(libc::IFA_ADDRESS, &address);
    // `struct rtmsg`: family, two prefixes, type of service, table, protocol, scope, type, flags.
    let route = |prefix: u8, scope: u8, kind: u8| {
        [v4, prefix, 0, 0, libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, scope, kind, 0, 0, 0, 0]
    };
    let default =
        Attributes::default().bytes(libc::RTA_OIF, &LOOPBACK.to_ne_bytes()).bytes(libc::RTA_PREFSRC, &address);
    let mut batch = Batch::default().message(libc::RTM_NEWADDR, CREATE, &head, attributes).message(
        libc::RTM_NEWROUTE,
        CREATE,
        &route(0, libc::RT_SCOPE_LINK, libc::RTN_UNICAST),
        default,
    );
    for (network, prefix) in UNREACHABLE {
        let attributes = Attributes::default().bytes(libc::RTA_DST, &network.octets());
        let head = route(*prefix, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNREACHABLE);
        batch = batch.message(libc::RTM_NEWROUTE, CREATE, &head, attributes);
    }
    batch.exchange(None, 2 + UNREACHABLE.len())
}
