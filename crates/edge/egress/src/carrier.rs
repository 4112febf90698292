//! The carrier: serves the uplinks of all sandboxes.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{Clocks, Egress, Outward, Rng, Uplink};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::copy::both_ways;
use crate::dns;
use crate::names::{HostNames, Source};
use crate::network::Network;
use crate::rules::{Denial, allowed};

/// What the carrier is made of.
pub struct Options {
    /// By which it leaves. [`crate::HostNetwork`] outside tests.
    pub network: Arc<dyn Network>,
    /// Reads the host's name settings. Asked again when some seconds have passed, so that a change is followed.
    pub names: Arc<dyn Fn() -> HostNames + Send + Sync>,
    /// Says when that is.
    pub clocks: Arc<dyn Clocks>,
    /// The ids of name queries come from it.
    pub rng: Arc<dyn Rng>,
    /// On which everything runs: uplinks are handed over from threads outside any runtime too.
    pub runtime: tokio::runtime::Handle,
    /// Counts and times.
    pub limits: Limits,
}

/// Counts and times that the carrier keeps.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of one sandbox at a time. Further ones are reset.
    pub sandbox_connections: usize,
    /// Connections of all sandboxes at a time: each takes two of this process's descriptors. Further ones are reset.
    pub connections: usize,
    /// Time a dialled host has to answer.
    pub dial: Duration,
    /// How long a connection that one side has ended may be silent. A whole one may be silent for ever.
    pub half_closed: Duration,
    /// Name queries of one sandbox under way at a time. Further ones wait in the socket's buffer.
    pub sandbox_queries: usize,
    /// Name queries of all sandboxes that wait for resolvers at a time: each takes a few descriptors. Further ones wait for
    /// their turn, as long as for an answer.
    pub queries: usize,
    /// Connections of one sandbox for name queries at a time. Further ones wait to be accepted.
    pub query_connections: usize,
    /// How long a resolver is waited for before the next is asked too.
    pub next_resolver: Duration,
    /// How long an answer is looked for altogether: less than the five seconds after which a resolver's client asks again.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sandbox_connections: 1024,
            connections: 16 * 1024,
            dial: Duration::from_secs(10),
            half_closed: Duration::from_secs(600),
            sandbox_queries: 64,
            queries: 1024,
            query_connections: 16,
            next_resolver: Duration::from_millis(1500),
            answer: Duration::from_millis(4500),
        }
    }
}

/// [`Outward`] for the invoker.
pub struct Carrier(Arc<Shared>);

/// What all sandboxes share.
pub(crate) struct Shared {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) names: Source,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) limits: Limits,
    runtime: tokio::runtime::Handle,
    // One for each connection.
    places: Semaphore,
    // One for each name query that resolvers are asked.
    pub(crate) turns: Semaphore,
    // Whether it was said that there is none left.
    crowded: AtomicBool,
}

/// One sandbox.
pub(crate) struct Sandbox {
    pub(crate) shared: Arc<Shared>,
    pub(crate) rule: Egress,
    tell: Box<dyn Fn(String) + Send + Sync>,
    // Destinations that were told of: one line for each is enough, and a few lines in all.
    told: Mutex<HashSet<SocketAddrV4>>,
}

/// Lines in the log of one sandbox, at most.
const LINES: usize = 8;
/// How long accepting rests when the process is out of descriptors.
const REST: Duration = Duration::from_millis(100);

impl Carrier {
    /// A carrier without sandboxes.
    pub fn new(options: Options) -> Self {
        let Options { network, names, clocks, rng, runtime, limits } = options;
        Self(Arc::new(Shared {
            network,
            names: Source::new(names, clocks),
            rng,
            places: Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)),
            turns: Semaphore::new(limits.queries.min(Semaphore::MAX_PERMITS)),
            limits,
            runtime,
            crowded: AtomicBool::new(false),
        }))
    }
}

/// Ends everything of one sandbox when dropped: the tasks own its sockets, and the tasks of its connections.
struct Guard([Option<AbortHandle>; 3]);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.iter().flatten().for_each(AbortHandle::abort);
    }
}

impl Outward for Carrier {
    fn connect(&self, uplink: Uplink, rule: Egress, tell: Box<dyn Fn(String) + Send + Sync>) -> Box<dyn Send + Sync> {
        let Uplink { tcp, dns_udp, dns_tcp } = uplink;
        let sandbox = Arc::new(Sandbox { shared: Arc::clone(&self.0), rule, tell, told: Mutex::default() });
        let runtime = &self.0.runtime;
        let _entered = runtime.enter();
        let start = |serving: io::Result<base::BoxFuture<'static, ()>>| match serving {
            Ok(serving) => Some(runtime.spawn(serving).abort_handle()),
            Err(error) => {
                tracing::error!(%error, "cannot serve what leaves a sandbox");
                None
            }
        };
        let listen = |listener: std::net::TcpListener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let datagrams = dns_udp.set_nonblocking(true).and_then(|()| tokio::net::UdpSocket::from_std(dns_udp));
        let connections = tcp.map(|tcp| listen(tcp).map(|tcp| Box::pin(serve(Arc::clone(&sandbox), tcp)) as _));
        Box::new(Guard([
            connections.and_then(start),
            start(datagrams.map(|socket| Box::pin(dns::serve_udp(Arc::clone(&sandbox), socket)) as _)),
            start(listen(dns_tcp).map(|listener| Box::pin(dns::serve_tcp(Arc::clone(&sandbox), listener)) as _)),
        ]))
    }
}

/// Takes the connections of one sandbox until it is dropped.
async fn serve(sandbox: Arc<Sandbox>, listener: TcpListener) {
    let most = sandbox.shared.limits.sandbox_connections;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((inside, _)) if connections.len() < most => {
                    connections.spawn(carry(Arc::clone(&sandbox), inside));
                }
                Ok((inside, _)) => reset(inside),
                Err(error) => rest_after(&error).await,
            },
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
        }
    }
}

/// After a failed accept or receive: the cause is the process's, and trying again at once would only burn time.
pub(crate) async fn rest_after(error: &io::Error) {
    tracing::warn!(%error, "cannot take what a sandbox sends");
    sleep(REST).await;
}

pub(crate) fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection out of a sandbox broke an invariant; it was closed");
    }
}

/// One connection from its arrival to its end.
async fn carry(sandbox: Arc<Sandbox>, mut inside: TcpStream) {
    let shared = &sandbox.shared;
    let Some(_place) = shared.place() else { return reset(inside) };
    let Some(mut outside) = sandbox.dial(&inside).await else { return reset(inside) };
    if let Err(error) = both_ways(&mut inside, &mut outside, shared.limits.half_closed).await {
        tracing::debug!(%error, "a connection out of a sandbox broke off");
        reset(inside);
        reset(outside);
    }
}

impl Shared {
    fn place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let place = self.places.try_acquire().ok();
        if self.crowded.swap(place.is_none(), Ordering::Relaxed) != place.is_none() && place.is_none() {
            tracing::warn!(
                connections = self.limits.connections,
                "functions hold as many connections to the outside as the platform carries; further ones are reset"
            );
        }
        place
    }
}

/// Why a connection was not made.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error("{0}")]
    Denied(#[from] Denial),
    #[error("{0}")]
    Failed(#[from] io::Error),
    #[error("nobody answered in time")]
    Late,
}

impl Sandbox {
    /// The other half of a connection that arrived; what is in the way is told.
    async fn dial(&self, inside: &TcpStream) -> Option<TcpStream> {
        let to = match self.shared.network.destination(inside) {
            Ok(to) => to,
            Err(error) => {
                tracing::debug!(%error, "a connection of a sandbox arrived without a destination");
                return None;
            }
        };
        match self.reach(inside, to).await {
            Ok(outside) => Some(outside),
            Err(why) => {
                tracing::debug!(%to, rule = ?self.rule, %why, "a connection out of a sandbox was not made");
                self.tell_once(to, &why);
                None
            }
        }
    }

    async fn reach(&self, inside: &TcpStream, to: SocketAddrV4) -> Result<TcpStream, Unmade> {
        let network = &self.shared.network;
        // Asked each time: addresses come and go with networks and containers. Without an answer nothing is dialled.
        let own = network.own_addresses()?;
        allowed(*to.ip(), self.rule, &own)?;
        let outside = timeout(self.shared.limits.dial, network.connect(to)).await.map_err(|_| Unmade::Late)??;
        // Whoever writes has decided what belongs together; nothing is held back here.
        inside.set_nodelay(true)?;
        outside.set_nodelay(true)?;
        Ok(outside)
    }

    fn tell_once(&self, to: SocketAddrV4, why: &Unmade) {
        let mut told = self.told.lock().expect("no code panics while holding it");
        if told.len() < LINES && told.insert(to) {
            drop(told);
            (self.tell)(format!("Lambent: no connection to {to}: {why}"));
        }
    }
}

/// Closes a connection so that the other side sees an error at once.
fn reset(stream: TcpStream) {
    if let Err(error) = SockRef::from(&stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection is closed without a reset");
    }
}
