//! Connections to the port on which the program of a sandbox listens.
//!
//! A socket belongs to the network namespace it was made in, whoever holds it. A process in the sandbox, started only where
//! a port is served, makes sockets when it is asked and hands them over; the server connects them. What the program says
//! then goes from it to the server through nobody else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpSocket, TcpStream};

use crate::channel;
use crate::sys;

/// Sockets made at a time.
const AT_A_TIME: usize = 16;

/// The way to the served port of one sandbox.
#[derive(Debug)]
pub struct Dial {
    port: u16,
    // None where the program shares the host's network.
    maker: Option<Maker>,
}

#[derive(Debug)]
struct Maker {
    socket: AsyncFd<OwnedFd>,
    stock: Mutex<Vec<OwnedFd>>,
    // Held while more are asked for: whether somebody has asked who did not wait for the answer.
    asked: tokio::sync::Mutex<bool>,
}

impl Dial {
    /// To a port inside, by the socket of the process that makes sockets. Must be called inside a tokio runtime.
    pub(crate) fn inside(port: u16, maker: OwnedFd) -> io::Result<Self> {
        let maker = Maker { socket: sys::watch(maker)?, stock: Mutex::default(), asked: tokio::sync::Mutex::default() };
        Ok(Self { port, maker: Some(maker) })
    }

    /// To a port of the host's own, for walls that keep nothing apart.
    #[must_use]
    pub fn of_host(port: u16) -> Self {
        Self { port, maker: None }
    }

    /// Connects to 127.0.0.1 inside, at [`crate::Spec::serves`].
    ///
    /// # Errors
    /// `ConnectionRefused` while nothing listens there; `BrokenPipe` when the sandbox has ended.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        self.connect_to(self.port).await
    }

    /// Connects to another port of 127.0.0.1 inside.
    ///
    /// # Errors
    /// As [`Dial::connect`].
    pub async fn connect_to(&self, port: u16) -> io::Result<TcpStream> {
        let socket = match &self.maker {
            Some(maker) => TcpSocket::from_std_stream(std::net::TcpStream::from(maker.socket().await?)),
            None => TcpSocket::new_v4()?,
        };
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Maker {
    fn take(&self) -> Option<OwnedFd> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn socket(&self) -> io::Result<OwnedFd> {
        if let Some(socket) = self.take() {
            return Ok(socket);
        }
        let mut asked = self.asked.lock().await;
        if let Some(socket) = self.take() {
            return Ok(socket);
        }
        // Never waits: the other side is the function's to stop.
        if !std::mem::replace(&mut *asked, true) {
            channel::try_send(self.socket.get_ref(), &[1], &[])?;
        }
        loop {
            let mut ready = self.socket.readable().await?;
            let mut answer = [0u8; 8];
            let got = match channel::receive(self.socket.get_ref(), &mut answer, false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.clear_ready();
                    continue;
                }
                other => other?,
            };
            if got.len == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            *asked = false;
            let mut made = got.fds;
            let first = made.pop().ok_or_else(|| io::Error::other("no more sockets can be made in the sandbox"))?;
            self.stock.lock().unwrap_or_else(PoisonError::into_inner).extend(made);
            return Ok(first);
        }
    }
}

/// What the process in the sandbox does: makes sockets for as long as somebody asks. Inherited descriptors are closed first.
pub(crate) fn make_sockets(asked: OwnedFd) -> ! {
    let _ = rustix::thread::set_name(c"lambent-dial");
    let serve = || -> io::Result<()> {
        const KEPT: i32 = 3;
        sys::dup_to(asked.as_fd(), KEPT)?;
        sys::close_range(KEPT as u32 + 1, u32::MAX)?;
        // Its number is closed now.
        std::mem::forget(asked);
        let asked = sys::adopt(KEPT)?;
        let mut question = [0u8; 8];
        while channel::receive(&asked, &mut question, true)?.len > 0 {
            let one = |_| {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
            };
            // As many as there may be: an answer without any says that there can be no more.
            let made: Vec<OwnedFd> = (0..AT_A_TIME).map_while(|number| one(number).ok()).collect();
            let fds: Vec<_> = made.iter().map(AsFd::as_fd).collect();
            channel::send(&asked, &[1], &fds)?;
        }
        Ok(())
    };
    // The end of the socket tells the server.
    sys::exit_now(i32::from(serve().is_err()))
}
