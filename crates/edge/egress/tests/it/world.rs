//! A sandbox's uplink on loopback, and a network whose hosts are listeners of the test.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base::{BoxFuture, Clocks, Egress, Outward, SystemClocks, SystemRng, Timestamp, Turn, Uplink};
use egress::{Carrier, HostNames, Limits, Network, Options};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const PUBLIC: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), 80);
pub(crate) const LAN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 77, 2), 5432);
pub(crate) const OWN: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);

/// Hosts by their address, and where each connection of the sandbox wants to go.
#[derive(Default)]
pub(crate) struct PaperNetwork {
    hosts: Mutex<HashMap<SocketAddrV4, SocketAddr>>,
    wanted: Mutex<HashMap<SocketAddr, SocketAddrV4>>,
}

/// This address never answers.
pub(crate) const SILENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 99), 80);

impl Network for PaperNetwork {
    fn destination(&self, inside: &TcpStream) -> io::Result<SocketAddrV4> {
        let wanted = self.wanted.lock().unwrap();
        wanted.get(&inside.peer_addr()?).copied().ok_or_else(|| io::Error::other("not redirected"))
    }
    fn own_addresses(&self) -> io::Result<Vec<Ipv4Addr>> {
        Ok(vec![Ipv4Addr::LOCALHOST, OWN])
    }
    fn connect(&self, to: SocketAddrV4) -> BoxFuture<'static, io::Result<TcpStream>> {
        let host = self.hosts.lock().unwrap().get(&to).copied();
        Box::pin(async move {
            match host {
                Some(host) => TcpStream::connect(host).await,
                None if to == SILENT => std::future::pending().await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

/// Real time, and what a test adds.
#[derive(Default)]
pub(crate) struct Later(Mutex<Duration>);

impl Later {
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clocks for Later {
    fn monotonic(&self) -> Instant {
        SystemClocks.monotonic() + *self.0.lock().unwrap()
    }
    fn signing(&self) -> Timestamp {
        SystemClocks.signing()
    }
    fn product(&self) -> Timestamp {
        SystemClocks.product()
    }
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, Turn> {
        SystemClocks.product_reaches(due)
    }
}

pub(crate) struct World {
    carrier: Arc<Carrier>,
    rule: Egress,
    pub(crate) network: Arc<PaperNetwork>,
    pub(crate) clocks: Arc<Later>,
    pub(crate) names: Arc<Mutex<HostNames>>,
    /// Lines for the function's log.
    pub(crate) told: mpsc::UnboundedReceiver<String>,
    /// Where the sandbox's connections and queries arrive.
    pub(crate) tcp: SocketAddr,
    pub(crate) dns_udp: SocketAddr,
    pub(crate) dns_tcp: SocketAddr,
    pub(crate) guard: Option<Box<dyn Send + Sync>>,
}

impl World {
    pub(crate) fn new(rule: Egress) -> Self {
        Self::with(rule, Limits::default())
    }

    pub(crate) fn with(rule: Egress, limits: Limits) -> Self {
        let (network, clocks, names) =
            (Arc::<PaperNetwork>::default(), Arc::<Later>::default(), Arc::new(Mutex::new(HostNames::default())));
        let read = Arc::clone(&names);
        let carrier = Carrier::new(Options {
            network: network.clone(),
            names: Arc::new(move || read.lock().unwrap().clone()),
            clocks: clocks.clone(),
            rng: Arc::new(SystemRng),
            runtime: tokio::runtime::Handle::current(),
            limits,
        });
        Self::of(Arc::new(carrier), rule, network, clocks, names)
    }

    /// Another sandbox that the same carrier serves.
    pub(crate) fn another(&self) -> Self {
        let (network, clocks, names) = (Arc::clone(&self.network), Arc::clone(&self.clocks), Arc::clone(&self.names));
        Self::of(Arc::clone(&self.carrier), self.rule, network, clocks, names)
    }

    fn of(
        carrier: Arc<Carrier>,
        rule: Egress,
        network: Arc<PaperNetwork>,
        clocks: Arc<Later>,
        names: Arc<Mutex<HostNames>>,
    ) -> Self {
        let uplink = Uplink {
            tcp: Some(std::net::TcpListener::bind("127.0.0.1:0").unwrap()),
            dns_udp: std::net::UdpSocket::bind("127.0.0.1:0").unwrap(),
            dns_tcp: std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
        };
        let tcp = uplink.tcp.as_ref().unwrap().local_addr().unwrap();
        let (dns_udp, dns_tcp) = (uplink.dns_udp.local_addr().unwrap(), uplink.dns_tcp.local_addr().unwrap());
        let (tell, told) = mpsc::unbounded_channel();
        // The invoker hands uplinks over from threads of its own.
        let carries = Arc::clone(&carrier);
        let connect = move || carries.connect(uplink, rule, Box::new(move |line| drop(tell.send(line))));
        let guard = std::thread::spawn(connect).join().unwrap();
        Self { carrier, rule, network, clocks, names, told, tcp, dns_udp, dns_tcp, guard: Some(guard) }
    }

    /// A host of the network.
    pub(crate) async fn host(&self, at: SocketAddrV4) -> tokio::net::TcpListener {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.network.hosts.lock().unwrap().insert(at, listener.local_addr().unwrap());
        listener
    }

    /// What a program inside does: its connection is redirected, and so made at once.
    pub(crate) async fn dial(&self, to: SocketAddrV4) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        self.network.wanted.lock().unwrap().insert(socket.local_addr().unwrap(), to);
        socket.connect(self.tcp).await.unwrap()
    }

    /// The next line of the function's log.
    pub(crate) async fn line(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.told.recv()).await.expect("a line is told").unwrap()
    }
}

/// What must happen soon.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens soon")
}
