//! The host's network as this room uses it, and the port that lets tests put another in its place.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use base::BoxFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

/// What is asked of the network a connection leaves by.
pub trait Network: Send + Sync {
    /// Where a connection that was redirected to us wanted to go.
    ///
    /// # Errors
    /// It was not redirected.
    fn destination(&self, inside: &TcpStream) -> io::Result<SocketAddrV4>;

    /// The addresses of this host's interfaces now.
    ///
    /// # Errors
    /// The kernel does not say: nothing may be dialled then.
    fn own_addresses(&self) -> io::Result<Vec<Ipv4Addr>>;

    /// Connects.
    ///
    /// # Errors
    /// The other side's refusal; that the connection ended at this host.
    fn connect(&self, to: SocketAddrV4) -> BoxFuture<'static, io::Result<TcpStream>>;
}

/// The network of the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostNetwork;

/// A silent peer is asked for a sign of life after this long, then this often, and given up after so many: the function
/// cannot ask itself, since its own probes end at this process.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

impl Network for HostNetwork {
    fn destination(&self, inside: &TcpStream) -> io::Result<SocketAddrV4> {
        let address = SockRef::from(inside).original_dst_v4()?;
        address.as_socket_ipv4().ok_or_else(|| io::Error::other("the redirected connection has no IPv4 destination"))
    }

    fn own_addresses(&self) -> io::Result<Vec<Ipv4Addr>> {
        let interfaces = if_addrs::get_if_addrs()?;
        let v4 = interfaces.into_iter().filter_map(|interface| match interface.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        Ok(v4.collect())
    }

    fn connect(&self, to: SocketAddrV4) -> BoxFuture<'static, io::Result<TcpStream>> {
        Box::pin(async move {
            let outside = TcpSocket::new_v4()?.connect(SocketAddr::V4(to)).await?;
            let (idle, interval, retries) = KEEPALIVE;
            let probes = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(retries);
            SockRef::from(&outside).set_tcp_keepalive(&probes)?;
            // A route may lead an address that no interface shows back to this host; the kernel then uses it at both ends.
            if outside.local_addr()?.ip() == outside.peer_addr()?.ip() {
                return Err(io::Error::other("the address leads back to the host"));
            }
            Ok(outside)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_ends_at_this_host_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { unreachable!("bound to IPv4") };
        let error = HostNetwork.connect(address).await.unwrap_err();
        assert_eq!(error.to_string(), "the address leads back to the host");
    }

    #[test]
    fn loopback_is_among_the_hosts_own_addresses() {
        assert!(HostNetwork.own_addresses().unwrap().contains(&Ipv4Addr::LOCALHOST));
    }

    #[tokio::test]
    async fn a_connection_that_was_not_redirected_has_no_other_destination() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _client = TcpStream::connect(address).await.unwrap();
        let (inside, _) = listener.accept().await.unwrap();
        // Where connection tracking is loaded the kernel answers with the listener itself, which no rule allows.
        match HostNetwork.destination(&inside) {
            Ok(to) => assert!(to.ip().is_loopback()),
            Err(error) => assert!(error.raw_os_error().is_some()),
        }
    }
}
