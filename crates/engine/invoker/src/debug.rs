//! A debugger's way into an environment, and clocks that stand still for it.
//!
//! A function that is debugged names a port of this host's loopback. The first of its environments that lives takes it:
//! connections to that port go to [`PORT`] inside, where the program has a debugger listen. As long as one is connected, the
//! function's deadlines stand still. Others of its environments run as without.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base::EnvironmentId;
use sandbox::Dial;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Target;
use crate::engine::Engine;
use crate::log::Log;

/// Where debuggers listen inside.
pub(crate) const PORT: u16 = 5678;
/// Tells the program that it is to wait for a debugger there.
pub(crate) const VARIABLE: &str = "LAMBENT_DEBUG";
/// How long an INIT may wait for somebody to connect, and what a web function that is debugged has for a request: Lambda's
/// longest timeout.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);
/// Between two tries to reach a debugger that does not listen yet, and for how long.
const TRY_AGAIN: Duration = Duration::from_millis(50);
const TRIES: u32 = 600;

/// Every way that is open, by port of this host.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<HashMap<u16, Weak<Gate>>>);

/// The way into one environment, open as long as this is held.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Debuggers that are connected.
    attached: watch::Sender<usize>,
    dial: watch::Sender<Option<Arc<Dial>>>,
    listening: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Gates {
    /// Takes a port for a new environment. None where another environment of the function has it.
    ///
    /// # Errors
    /// The port cannot be listened on.
    pub(crate) fn take(&self, port: u16, id: EnvironmentId) -> io::Result<Option<Arc<Gate>>> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.strong_count() > 0);
        if gates.contains_key(&port) {
            return Ok(None);
        }
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (attached, dial) = (watch::Sender::new(0), watch::Sender::new(None));
        let listening = tokio::spawn(listen(listener, attached.clone(), dial.subscribe()));
        tracing::debug!(environment = %id, port, "a debugger may connect");
        let gate = Arc::new(Gate { attached, dial, listening });
        gates.insert(port, Arc::downgrade(&gate));
        Ok(Some(gate))
    }
}

impl Gate {
    /// Where it leads, once that is there.
    pub(crate) fn lead(&self, dial: Arc<Dial>) {
        self.dial.send_replace(Some(dial));
    }

    /// What comes of a future within a time that stands still while a debugger is connected; none when the time has passed.
    pub(crate) async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::pin!(future);
        let (mut attached, mut left) = (self.attached.subscribe(), limit);
        loop {
            let stands = *attached.borrow_and_update() > 0;
            let since = tokio::time::Instant::now();
            let passed = async {
                if stands {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(left).await;
            };
            tokio::select! {
                biased;
                output = &mut future => return Some(output),
                // Its sender lives as long as this.
                _ = attached.changed() => {}
                () = passed => return None,
            }
            if !stands {
                left = left.saturating_sub(since.elapsed());
            }
        }
    }
}

/// The way in of a debugger, where the function is debugged and no other environment of it has that.
pub(crate) fn gate(engine: &Engine, target: &Target, id: EnvironmentId, log: &Log) -> Option<Arc<Gate>> {
    let port = target.debug?;
    if engine.weak {
        log.say("Lambent: a debugger needs walls: without them there is no way in".into());
        return None;
    }
    match engine.gates.take(port, id) {
        Ok(gate) => {
            if gate.is_some() {
                log.say(format!("Lambent: waiting for a debugger at 127.0.0.1:{port}"));
            }
            gate
        }
        Err(error) => {
            log.say(format!("Lambent: no debugger can connect, since 127.0.0.1:{port} cannot be listened on: {error}"));
            None
        }
    }
}

async fn listen(listener: TcpListener, attached: watch::Sender<usize>, dial: watch::Receiver<Option<Arc<Dial>>>) {
    // They end with this.
    let mut joined = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((outside, _)) => drop(joined.spawn(join(outside, attached.clone(), dial.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "a debugger could not connect");
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            },
            Some(_) = joined.join_next() => {}
        }
    }
}

/// Joins a debugger with what it debugs.
async fn join(mut outside: TcpStream, attached: watch::Sender<usize>, mut dial: watch::Receiver<Option<Arc<Dial>>>) {
    let Ok(dial) = dial.wait_for(Option::is_some).await.map(|dial| dial.clone()) else { return };
    let Some(dial) = dial else { return };
    let mut tries = 0;
    let mut inside = loop {
        match dial.connect_to(PORT).await {
            Ok(inside) => break inside,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(error) => return tracing::debug!(%error, "nothing inside waits for a debugger"),
        }
    };
    let _attached = Attached::new(attached);
    // Whichever side ends it, it has ended.
    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
}

/// One debugger that is connected.
struct Attached(watch::Sender<usize>);

impl Attached {
    fn new(attached: watch::Sender<usize>) -> Self {
        attached.send_modify(|count| *count += 1);
        Self(attached)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn free_port() -> u16 {
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn the_clock_stands_still_while_a_debugger_is_connected() {
        let gates = Gates::default();
        let gate = gates.take(free_port(), EnvironmentId(1)).unwrap().unwrap();
        let short = Duration::from_millis(40);
        assert_eq!(gate.within(short, std::future::pending::<()>()).await, None);
        assert_eq!(gate.within(short, std::future::ready(7)).await, Some(7));
        let attached = Attached::new(gate.attached.clone());
        let work = gate.within(short, tokio::time::sleep(Duration::from_millis(200)));
        assert_eq!(work.await, Some(()), "five times as long as it has");
        let leaves = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(attached);
        };
        let (ended, ()) = tokio::join!(gate.within(short, std::future::pending::<()>()), leaves);
        assert_eq!(ended, None, "it goes on once nobody is connected");
    }

    #[tokio::test]
    async fn a_port_is_one_environments_and_leads_into_it() {
        let (gates, port) = (Gates::default(), free_port());
        let gate = gates.take(port, EnvironmentId(1)).unwrap().unwrap();
        assert!(gates.take(port, EnvironmentId(2)).unwrap().is_none());
        let debugger = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).await.unwrap();
        let mut outside = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        gate.lead(Arc::new(Dial::of_host(PORT)));
        let (mut inside, _) = debugger.accept().await.unwrap();
        outside.write_all(b"ping").await.unwrap();
        let mut read = [0; 4];
        inside.read_exact(&mut read).await.unwrap();
        assert_eq!((&read, *gate.attached.borrow()), (b"ping", 1));
        drop(gate);
        assert_eq!(outside.read(&mut read).await.unwrap_or(0), 0, "the way ends with its environment");
        drop(gates.take(port, EnvironmentId(2)).unwrap().unwrap());
    }
}
