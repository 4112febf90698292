//! Many connections over one stream of bytes, with credit for each, so that one that nobody reads holds up no other.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use super::frame::Frame;

/// Bytes of a connection that may be on their way without having arrived.
const WINDOW: usize = 256 * 1024;
/// Most bytes of one frame of a connection.
const CHUNK: usize = 32 * 1024;
/// Frames that wait to be written.
const QUEUE: usize = 32;

/// What is done before bytes of a connection are sent, for what must be seen before them.
pub(super) type Before = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// What arrives for a connection.
enum Arrival {
    Bytes(Vec<u8>),
    End,
}

struct Stream {
    arrivals: mpsc::UnboundedSender<Arrival>,
    /// What may still be sent.
    credit: Arc<Semaphore>,
}

/// A connection that has a number, before its socket is there.
pub(super) struct Claim {
    stream: u32,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    credit: Arc<Semaphore>,
}

/// The way to the other side.
pub(super) type Sender = mpsc::Sender<Frame>;

/// Writes frames until nobody sends any more, or the other side is gone.
pub(super) fn writer(mut to: impl AsyncWrite + Unpin + Send + 'static) -> Sender {
    let (sender, mut frames) = mpsc::channel::<Frame>(QUEUE);
    tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            if to.write_all(&frame.encode()).await.is_err() {
                return;
            }
        }
    });
    sender
}

/// One side of the connections. What the other side sends is bounded by its credit only if it keeps to it; both sides
/// live inside the walls of their sandbox, so one that does not spends its own memory.
pub(super) struct Mux {
    sender: Sender,
    before: Option<Before>,
    next: AtomicU32,
    streams: Mutex<HashMap<u32, Stream>>,
}

impl Mux {
    pub(super) fn new(sender: Sender, before: Option<Before>) -> Arc<Self> {
        Arc::new(Self { sender, before, next: AtomicU32::new(1), streams: Mutex::default() })
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<u32, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a stream known. Must be called before another frame is read.
    pub(super) fn claim(&self, stream: u32) -> Claim {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let credit = Arc::new(Semaphore::new(WINDOW));
        self.streams().insert(stream, Stream { arrivals: sender, credit: Arc::clone(&credit) });
        Claim { stream, arrivals, credit }
    }

    /// Lets the other side connect to `to`, and carries `socket` there until both ways have ended.
    pub(super) async fn open(self: Arc<Self>, to: SocketAddrV4, socket: TcpStream) {
        let claim = self.claim(self.next.fetch_add(1, Ordering::Relaxed));
        let open = Frame::Open { stream: claim.stream, to };
        if self.sender.send(open).await.is_ok() {
            self.carry(claim, socket).await;
        }
    }

    /// Connects to `to` because the other side asked, and carries what comes.
    pub(super) async fn answer(self: Arc<Self>, claim: Claim, to: SocketAddrV4) {
        match TcpStream::connect(to).await {
            Ok(socket) => self.carry(claim, socket).await,
            Err(_) => self.reset(claim.stream).await,
        }
    }

    /// Sends a name query.
    pub(super) async fn datagram(&self, query: u32, bytes: Vec<u8>) {
        let _ = self.sender.send(Frame::Datagram { query, bytes }).await;
    }

    async fn reset(&self, stream: u32) {
        self.streams().remove(&stream);
        let _ = self.sender.send(Frame::Reset { stream }).await;
    }

    async fn carry(&self, claim: Claim, socket: TcpStream) {
        let Claim { stream, mut arrivals, credit } = claim;
        let _ = socket.set_nodelay(true);
        let (mut from, mut to) = socket.into_split();
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let outward = async {
            let mut buffer = vec![0; CHUNK];
            loop {
                let len = from.read(&mut buffer).await?;
                if len == 0 {
                    return self.sender.send(Frame::End { stream }).await.map_err(|_| gone());
                }
                credit.acquire_many(len as u32).await.map_err(|_| gone())?.forget();
                if let Some(before) = &self.before {
                    before().await;
                }
                let data = Frame::Data { stream, bytes: buffer[..len].to_vec() };
                self.sender.send(data).await.map_err(|_| gone())?;
            }
        };
        let inward = async {
            loop {
                match arrivals.recv().await {
                    Some(Arrival::Bytes(bytes)) => {
                        to.write_all(&bytes).await?;
                        let credit = Frame::Credit { stream, bytes: bytes.len() as u32 };
                        self.sender.send(credit).await.map_err(|_| gone())?;
                    }
                    Some(Arrival::End) => return to.shutdown().await,
                    None => return Err(gone()),
                }
            }
        };
        match tokio::try_join!(outward, inward) {
            Ok(_) => drop(self.streams().remove(&stream)),
            Err(_) => self.reset(stream).await,
        }
    }

    /// Takes a frame of a connection; all others are none of its business.
    pub(super) fn take(&self, frame: Frame) {
        let mut streams = self.streams();
        match frame {
            Frame::Data { stream, bytes } => {
                if let Some(stream) = streams.get(&stream) {
                    let _ = stream.arrivals.send(Arrival::Bytes(bytes));
                }
            }
            Frame::End { stream } => {
                if let Some(stream) = streams.get(&stream) {
                    let _ = stream.arrivals.send(Arrival::End);
                }
            }
            Frame::Credit { stream, bytes } => {
                if let Some(stream) = streams.get(&stream) {
                    let most = WINDOW.saturating_sub(stream.credit.available_permits());
                    stream.credit.add_permits((bytes as usize).min(most));
                }
            }
            Frame::Reset { stream } => {
                if let Some(stream) = streams.remove(&stream) {
                    stream.credit.close();
                }
            }
            Frame::Note(_) | Frame::Output(_) | Frame::Open { .. } | Frame::Datagram { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Two sides over a pipe of memory; the second connects wherever it is asked to.
    fn sides() -> Arc<Mux> {
        let (near, far) = tokio::io::duplex(4096);
        let (mut near_in, near_out) = tokio::io::split(near);
        let (mut far_in, far_out) = tokio::io::split(far);
        let first = Mux::new(writer(near_out), None);
        let second = Mux::new(writer(far_out), None);
        let taking = Arc::clone(&first);
        tokio::spawn(async move {
            while let Ok(Some(frame)) = Frame::read(&mut near_in).await {
                taking.take(frame);
            }
        });
        tokio::spawn(async move {
            while let Ok(Some(frame)) = Frame::read(&mut far_in).await {
                match frame {
                    Frame::Open { stream, to } => {
                        drop(tokio::spawn(Arc::clone(&second).answer(second.claim(stream), to)))
                    }
                    other => second.take(other),
                }
            }
        });
        first
    }

    async fn listen() -> (TcpListener, SocketAddrV4) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("it is IPv4") };
        (listener, address)
    }

    /// A socket that leads to `to` through the two sides.
    async fn connect(first: &Arc<Mux>, to: SocketAddrV4) -> TcpStream {
        let (inner, address) = listen().await;
        let client = TcpStream::connect(address).await.unwrap();
        let (accepted, _) = inner.accept().await.unwrap();
        tokio::spawn(Arc::clone(first).open(to, accepted));
        client
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_each_way_ends_by_itself() {
        let first = sides();
        let (server, address) = listen().await;
        let mut client = connect(&first, address).await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        let mut text = String::new();
        served.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");
        let answer = vec![7; 3 * WINDOW];
        let expected = answer.clone();
        tokio::spawn(async move { served.write_all(&answer).await });
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got == expected, "{} bytes", got.len());
    }

    #[tokio::test]
    async fn a_connection_that_nobody_reads_holds_up_no_other() {
        let first = sides();
        let (server, address) = listen().await;
        let mut idle = connect(&first, address).await;
        let (_unread, _) = server.accept().await.unwrap();
        tokio::spawn(async move { idle.write_all(&vec![1; 64 * WINDOW]).await });
        let mut client = connect(&first, address).await;
        let (mut served, _) = server.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        let mut byte = [0];
        served.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"x");
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_closed() {
        let first = sides();
        let (server, address) = listen().await;
        drop(server);
        let mut client = connect(&first, address).await;
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    }
}
