//! Proof that what leaves a sandbox arrives at the platform: the helper takes sockets out of the network of the sandbox it
//! tries at its start, sends something away, and looks where it comes out.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::ThreadNameSpaceType;

use crate::channel;
use crate::survey::{holds, missing};
use crate::sys::{self, Side};
use crate::walls::Wall;

/// An address for documentation (RFC 5737), which is nobody's.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// How long a packet may take from one socket of this machine to another; it takes microseconds.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// The wall, from what the first process said (empty when it set the rules), its sockets, and how they behave.
pub(super) fn wall(pidfd: BorrowedFd<'_>, closed: &str, sockets: Vec<OwnedFd>) -> Wall {
    let proved = match closed {
        "" => prove(pidfd, sockets).map_err(|error| format!("what is sent away does not arrive: {error}")),
        why => Err(why.to_owned()),
    };
    match proved {
        Ok(()) => holds("egress", "TCP and name queries are redirected to the platform"),
        Err(why) => {
            let fix = "load or build the kernel's nf_tables with NAT (CONFIG_NF_TABLES, CONFIG_NFT_CT, CONFIG_NFT_LIMIT, CONFIG_NFT_REDIR, CONFIG_NFT_REJECT): `sudo modprobe -a nft_ct nft_limit nft_redir nft_reject_ipv4`; until then functions reach nothing outside";
            missing("egress", why, fix)
        }
    }
}

fn prove(pidfd: BorrowedFd<'_>, sockets: Vec<OwnedFd>) -> io::Result<()> {
    let Ok([dns_udp, _, tcp]) = <[OwnedFd; 3]>::try_from(sockets) else {
        return Err(io::Error::other("sockets are missing"));
    };
    let [stream, datagrams] = sockets_inside(pidfd)?;
    let web = SocketAddrV4::new(ELSEWHERE, 443);
    match rustix::net::connect(&stream, &web) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let tcp = TcpListener::from(tcp);
    wait(tcp.as_fd())?;
    let (arrived, _) = tcp.accept()?;
    if rustix::net::sockopt::ip_original_dst(&arrived)? != web {
        return Err(io::Error::other("its destination is lost"));
    }
    let (resolver, datagrams) = (UdpSocket::from(dns_udp), UdpSocket::from(datagrams));
    datagrams.connect(SocketAddrV4::new(ELSEWHERE, 53))?;
    datagrams.send(b"?")?;
    wait(resolver.as_fd())?;
    let mut buffer = [0; 2];
    let (_, asker) = resolver.recv_from(&mut buffer)?;
    resolver.send_to(b"!", asker)?;
    // Connected: an answer that came from another address than was asked would not be heard.
    wait(datagrams.as_fd())?;
    datagrams.recv(&mut buffer).map(drop)
}

/// A stream and a datagram socket of the sandbox's network, fetched by a child: who is not root of the host could not
/// come back.
fn sockets_inside(pidfd: BorrowedFd<'_>) -> io::Result<[OwnedFd; 2]> {
    let (mine, theirs) = channel::pair()?;
    let child = match sys::clone(0)? {
        Side::Child => {
            let sent = make_sockets(pidfd)
                .and_then(|[stream, datagrams]| channel::send(&theirs, b"!", &[stream.as_fd(), datagrams.as_fd()]));
            sys::exit_now(i32::from(sent.is_err()));
        }
        Side::Parent { pid, .. } => pid,
    };
    drop(theirs);
    let received = channel::receive(&mine, &mut [0; 1], true);
    sys::reap(child)?;
    received?.fds.try_into().map_err(|_| io::Error::other("the sandbox's network cannot be entered"))
}

fn make_sockets(pidfd: BorrowedFd<'_>) -> io::Result<[OwnedFd; 2]> {
    rustix::thread::move_into_thread_name_spaces(pidfd, ThreadNameSpaceType::NETWORK)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = |kind| rustix::net::socket_with(AddressFamily::INET, kind, flags, None);
    Ok([socket(SocketType::STREAM)?, socket(SocketType::DGRAM)?])
}

fn wait(socket: BorrowedFd<'_>) -> io::Result<()> {
    match rustix::event::poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&PATIENCE))? {
        0 => Err(io::Error::from(io::ErrorKind::TimedOut)),
        _ => Ok(()),
    }
}
