//! The carrier: serves the uplinks of all sandboxes.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{Clocks, Egress, Outward, Rng, Uplink};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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
    /// Connections of one sandbox at a time. Further ones are reset, and the function's log says so.
    pub sandbox_connections: usize,
    /// Connections of all sandboxes at a time: each takes two of this process's descriptors. A sandbox may hold no more of
    /// them than are free, so that whoever comes later finds some.
    pub connections: usize,
    /// Time a dialled host has to answer.
    pub dial: Duration,
    /// How long a connection that one side has ended may be silent. A whole one may be silent for ever.
    pub half_closed: Duration,
    /// Name queries of one sandbox under way at a time. Further ones wait in the socket's buffer.
    pub sandbox_queries: usize,
    /// Name queries of all sandboxes that wait for resolvers at a time: each takes a few descriptors. Further ones wait for
    /// their turn, as long as for an answer; a sandbox takes no more turns than are free.
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
    places: Arc<Semaphore>,
    // One for each name query that resolvers are asked.
    pub(crate) turns: Semaphore,
    // Name queries taken from sandboxes and not answered yet, those that wait for a turn included.
    asking: AtomicUsize,
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
            places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            turns: Semaphore::new(limits.queries.min(Semaphore::MAX_PERMITS)),
            asking: AtomicUsize::new(0),
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
    let shared = &sandbox.shared;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((inside, _)) => match shared.place(connections.len()) {
                    Some(place) => drop(connections.spawn(carry(Arc::clone(&sandbox), inside, place))),
                    None => sandbox.turn_away(inside, connections.len()),
                },
                Err(error) => rest_after(&error).await,
            },
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
        }
    }
}

/// How many a sandbox may hold of what all share: as many as are `free`. One alone gets half of all, n that want
/// everything get an n-plus-first part each, and as much is left for the next. Source: A. K. Choudhury, E. L. Hahne,
/// "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998, with factor 1.
fn share(most: usize, free: usize) -> usize {
    most.min(free)
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
async fn carry(sandbox: Arc<Sandbox>, mut inside: TcpStream, _place: OwnedSemaphorePermit) {
    let shared = &sandbox.shared;
    let Some(mut outside) = sandbox.dial(&inside).await else { return reset(inside) };
    if let Err(error) = both_ways(&mut inside, &mut outside, shared.limits.half_closed).await {
        tracing::debug!(%error, "a connection out of a sandbox broke off");
        reset(inside);
        reset(outside);
    }
}

impl Shared {
    /// A place for a connection of a sandbox that holds so many.
    fn place(&self, held: usize) -> Option<OwnedSemaphorePermit> {
        let free = self.places.available_permits();
        if self.crowded.swap(free == 0, Ordering::Relaxed) != (free == 0) && free == 0 {
            tracing::warn!(
                connections = self.limits.connections,
                "functions hold as many connections to the outside as the platform carries; further ones are reset"
            );
        }
        if held >= share(self.limits.sandbox_connections, free) {
            return None;
        }
        Arc::clone(&self.places).try_acquire_owned().ok()
    }
}

/// A name query under way.
pub(crate) struct Asking(Arc<Sandbox>);

impl Asking {
    pub(crate) fn begin(sandbox: &Arc<Sandbox>) -> Self {
        sandbox.shared.asking.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(sandbox))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.shared.asking.fetch_sub(1, Ordering::Relaxed);
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
    #[error("this function holds {0} connections already, which is its share")]
    Full(usize),
}

impl Sandbox {
    /// How many name queries it may have under way; one always, which then waits for its turn.
    pub(crate) fn share_of_queries(&self) -> usize {
        let limits = &self.shared.limits;
        let free = limits.queries.saturating_sub(self.shared.asking.load(Ordering::Relaxed));
        share(limits.sandbox_queries, free).max(1)
    }

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

    /// Resets one connection too many.
    fn turn_away(&self, inside: TcpStream, held: usize) {
        if let Ok(to) = self.shared.network.destination(&inside) {
            self.tell_once(to, &Unmade::Full(held));
        }
        reset(inside);
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
