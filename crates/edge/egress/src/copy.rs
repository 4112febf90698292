//! Bytes both ways between two connections, until both have ended.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

/// Bytes read at most in one go. A buffer exists only while there is something to move.
const CHUNK_BYTES: usize = 16 * 1024;

/// Copies until both sides have ended their half. An end of one side is handed on as that, so that half-closed
/// connections work; once one side has ended, the other may be silent for `half_closed` at most.
///
/// # Errors
/// A side broke off, or the half that was left stayed silent too long.
pub(crate) async fn both_ways(
    inside: &mut TcpStream,
    outside: &mut TcpStream,
    half_closed: Duration,
) -> io::Result<()> {
    let (from_inside, to_inside) = inside.split();
    let (from_outside, to_outside) = outside.split();
    let moved = AtomicU64::new(0);
    let up = one_way(from_inside, to_outside, &moved);
    let down = one_way(from_outside, to_inside, &moved);
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut up => {
            ended?;
            rest(down, &moved, half_closed).await
        }
        ended = &mut down => {
            ended?;
            rest(up, &moved, half_closed).await
        }
    }
}

/// The half that is left. A peer that has gone altogether is not heard of on a connection where nothing moves.
async fn rest(half: impl Future<Output = io::Result<()>>, moved: &AtomicU64, silence: Duration) -> io::Result<()> {
    tokio::pin!(half);
    loop {
        let before = moved.load(Ordering::Relaxed);
        match timeout(silence, &mut half).await {
            Ok(ended) => return ended,
            Err(_) if moved.load(Ordering::Relaxed) == before => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) => {}
        }
    }
}

async fn one_way(from: ReadHalf<'_>, to: WriteHalf<'_>, moved: &AtomicU64) -> io::Result<()> {
    loop {
        from.readable().await?;
        if !burst(&from, &to, moved).await? {
            return end(to).await;
        }
    }
}

/// Moves what is there; false once the sender has ended its half.
async fn burst(from: &ReadHalf<'_>, to: &WriteHalf<'_>, moved: &AtomicU64) -> io::Result<bool> {
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    loop {
        match from.try_read_buf(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
        let mut left = buffer.as_slice();
        while !left.is_empty() {
            to.writable().await?;
            match to.try_write(left) {
                Ok(written) => {
                    left = &left[written..];
                    moved.fetch_add(written as u64, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        buffer.clear();
        // Two quick ends would keep a worker to themselves.
        tokio::task::consume_budget().await;
    }
}

async fn end(mut to: WriteHalf<'_>) -> io::Result<()> {
    match to.shutdown().await {
        // The peer has ended both halves already.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}
