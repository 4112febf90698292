//! A request whose connection has switched to another protocol: bytes both ways until one side ends.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::member::Member;
use crate::{Done, Finished};

/// The program's side of such a connection. Dropped, the request is over.
#[derive(Debug)]
pub struct WebWire {
    pub(super) member: Member,
    pub(super) stream: TcpStream,
    pub(super) early: Bytes,
    pub(super) deadline: Instant,
}

impl WebWire {
    /// Joins it with the caller's side, until one of them ends or the function's timeout passes.
    pub async fn carry(self, caller: impl AsyncRead + AsyncWrite + Unpin) -> Done {
        let Self { mut member, mut stream, early, deadline } = self;
        let carrying = async {
            let (mut from_caller, mut to_caller) = tokio::io::split(caller);
            let (mut from_program, mut to_program) = stream.split();
            let there = tokio::io::copy(&mut from_caller, &mut to_program);
            let back = async {
                to_caller.write_all(&early).await?;
                to_caller.flush().await?;
                let copied = tokio::io::copy(&mut from_program, &mut to_caller).await;
                to_caller.shutdown().await?;
                copied
            };
            // Protocols say goodbye by themselves: with one direction over, both are. Neither side's errors are ours.
            tokio::select! {
                _ = there => {}
                _ = back => {}
            }
        };
        if timeout_at(deadline, carrying).await.is_err() {
            member.note(" (ended by the timeout)");
        }
        member.finish(Finished::Response(Bytes::new()), None)
    }
}
