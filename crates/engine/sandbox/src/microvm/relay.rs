//! The relay: the program of a machine's sandbox. It starts the monitor as its child, talks to the guest over the monitor's
//! stdin and stdout, and makes the connections that the guest asks for in the sandbox's own network, where the server
//! listens. What it may do is what the sandbox may do; it trusts the guest with nothing more.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::process::{Child, Command};

use super::frame::Frame;
use super::mux::{self, Mux, Sender};
use super::note::{Assignment, Note};
use crate::message::Message;
use crate::sys;

/// The first argument of a relay.
pub(crate) const MARKER: &str = "lambent-microvm-relay";

/// Whether this is how a relay is started.
pub(crate) fn is_relay(argv: &[Vec<u8>]) -> bool {
    argv.get(1).is_some_and(|word| word == MARKER.as_bytes())
}

/// Where the monitor writes the machine's console: in the sandbox's own `/tmp`.
pub(super) const CONSOLE: &str = "/tmp/console";

/// How much of the console and of the monitor's own words goes into a message.
const WORDS: usize = 600;

/// How long an answer to a name query is waited for; resolvers ask again after five seconds.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Runs the relay: the port of the server's listener, the boot's most seconds, then the monitor and its arguments.
pub(crate) fn main(arguments: &[OsString]) -> i32 {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return 1 };
    match runtime.block_on(run(arguments)) {
        Ok(()) => 0,
        Err(error) => {
            // It stands in the function's log, where the end of the environment is looked for.
            let _ = io::Write::write_all(&mut io::stderr(), format!("microVM: {error}\n").as_bytes());
            1
        }
    }
}

struct Relay {
    server: TcpStream,
    output: tokio::net::unix::pipe::Sender,
    guest: Sender,
    mux: Arc<Mux>,
    /// For the machine, once it is up.
    assignment: Assignment,
    started: bool,
}

async fn run(arguments: &[OsString]) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let [port, boot_s, monitor, arguments @ ..] = arguments else { return Err(invalid()) };
    let number = |word: &OsString| word.to_str().and_then(|word| word.parse::<u16>().ok()).ok_or_else(invalid);
    let (port, boot) = (number(port)?, Duration::from_secs(number(boot_s)?.into()));
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let Some(Frame::Note(bytes)) = Frame::read(&mut server).await? else { return Err(invalid()) };
    let assignment = Assignment::decode(&bytes).map_err(|_| invalid())?;
    let (mut child, channel) = start(monitor, arguments)?;
    let (mut from, to) = channel.into_split();
    let guest = mux::writer(to);
    let stdout = sys::adopt(1)?;
    let output = tokio::net::unix::pipe::Sender::from_owned_fd(stdout)?;
    let mux = Mux::new(guest.clone(), None);
    let mut relay = Relay { server, output, guest, mux, assignment, started: false };
    // One task reads frames, so that none is cut in two when something else happens.
    let (frames, mut arrived) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok(Some(frame)) = Frame::read(&mut from).await {
            if frames.send(frame).await.is_err() {
                return;
            }
        }
    });
    let late = tokio::time::sleep(boot);
    tokio::pin!(late);
    let mut byte = [0];
    loop {
        tokio::select! {
            biased;
            frame = arrived.recv() => match frame {
                Some(frame) => if relay.hear(frame).await? { return Ok(()) },
                None => {
                    let status = child.wait().await?;
                    return relay.fail(format!("the machine ended by itself ({status}){}", words(&mut child).await)).await;
                }
            },
            () = &mut late, if !relay.started => {
                let why = format!("the machine did not start within {} s{}", boot.as_secs(), console());
                return relay.fail(why).await;
            }
            // The server says nothing more: this is its end.
            _ = relay.server.read(&mut byte) => return Ok(()),
        }
    }
}

/// Starts the monitor, which dies with this process.
fn start(monitor: &OsString, arguments: &[OsString]) -> io::Result<(Child, tokio::net::UnixStream)> {
    let (mine, theirs) = UnixStream::pair()?;
    mine.set_nonblocking(true)?;
    let child = Command::new(monitor)
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", monitor.display())))?;
    Ok((child, tokio::net::UnixStream::from_std(mine)?))
}

impl Relay {
    /// Handles a frame of the guest. Answers true when the program has ended.
    async fn hear(&mut self, frame: Frame) -> io::Result<bool> {
        match frame {
            Frame::Note(bytes) => {
                let note = Note::decode(&bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                if note == Note::Up {
                    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
                    self.assignment.clock_ns = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
                    let _ = self.guest.send(Frame::Note(self.assignment.encode())).await;
                    return Ok(false);
                }
                self.started |= note == Note::Started;
                self.server.write_all(&Frame::Note(bytes).encode()).await?;
                Ok(matches!(note, Note::Ended { .. } | Note::Program(_) | Note::Failed(_)))
            }
            // Written before the next frame is looked at: what a program wrote before it answered is there before the answer.
            Frame::Output(bytes) => self.output.write_all(&bytes).await.map(|()| false),
            Frame::Open { stream, to } => {
                let claim = self.mux.claim(stream);
                tokio::spawn(Arc::clone(&self.mux).answer(claim, to));
                Ok(false)
            }
            Frame::Datagram { query, bytes } => {
                tokio::spawn(ask(self.guest.clone(), query, bytes));
                Ok(false)
            }
            other => {
                self.mux.take(other);
                Ok(false)
            }
        }
    }

    async fn fail(&mut self, why: String) -> io::Result<()> {
        self.server.write_all(&Frame::Note(Note::Failed(why.clone()).encode()).encode()).await?;
        Err(io::Error::other(why))
    }
}

/// Asks the sandbox's resolver.
async fn ask(guest: Sender, query: u32, packet: Vec<u8>) {
    let resolver = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);
    let answer = async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(resolver).await?;
        socket.send(&packet).await?;
        let mut bytes = vec![0; 64 * 1024];
        let len = socket.recv(&mut bytes).await?;
        bytes.truncate(len);
        io::Result::Ok(bytes)
    };
    // A query without an answer is asked again by who asked it.
    if let Ok(Ok(bytes)) = tokio::time::timeout(ANSWER_WAIT, answer).await {
        let _ = guest.send(Frame::Datagram { query, bytes }).await;
    }
}

/// What the machine's kernel said last.
fn console() -> String {
    let text = std::fs::read(CONSOLE).unwrap_or_default();
    tell("its console says", &String::from_utf8_lossy(&text))
}

/// What the monitor and the machine's kernel said last.
async fn words(child: &mut Child) -> String {
    let mut said = Vec::new();
    if let Some(stderr) = &mut child.stderr {
        let _ = stderr.take(64 * 1024).read_to_end(&mut said).await;
    }
    tell("its monitor says", &String::from_utf8_lossy(&said)) + &console()
}

fn tell(who: &str, text: &str) -> String {
    let text = text.trim();
    let cut = text.char_indices().rev().nth(WORDS).map_or(0, |(at, _)| at);
    if text.is_empty() { String::new() } else { format!("; {who}: {}", &text[cut..]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_told_and_no_more() {
        assert_eq!(tell("x says", " \n"), "");
        assert_eq!(tell("x says", "a\n"), "; x says: a");
        let long = "é".repeat(2 * WORDS);
        assert_eq!(tell("x says", &long).chars().count(), "; x says: ".len() + WORDS + 1);
    }
}
