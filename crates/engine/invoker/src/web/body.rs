//! An answer's body, as it is read.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use runtime::web;
use tokio::time::Sleep;

use super::member::Member;
use crate::{Done, Finished};

/// An answer's body under way. Dropped before its end, the program is told that nobody reads any more.
#[derive(Debug)]
pub struct WebBody {
    // None once the request has ended.
    pub(super) member: Option<Member>,
    pub(super) answer: web::Answer,
    pub(super) deadline: std::pin::Pin<Box<Sleep>>,
    pub(super) done: Option<Box<Done>>,
}

/// Why a body has no more bytes though it is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebBroken {
    /// The program ended its connection.
    #[error("the program ended the connection within its answer")]
    Truncated,
    /// The function's timeout passed.
    #[error("the function's timeout passed within its answer")]
    Timeout,
}

impl WebBody {
    /// The next bytes; none at the end, when [`WebBody::done`] is there.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WebBroken>>> {
        if self.member.is_none() {
            return Poll::Ready(None);
        }
        let late = tokio::time::Instant::now() >= self.deadline.deadline();
        let next = match self.answer.poll_next(cx) {
            // It is the caller who has not read in time, and the environment is as good as before.
            Poll::Ready(Some(_)) if late => {
                self.done = self.member.take().map(|member| Box::new(member.unread()));
                return Poll::Ready(Some(Err(WebBroken::Timeout)));
            }
            Poll::Ready(next) => next,
            Poll::Pending => {
                std::task::ready!(std::future::Future::poll(self.deadline.as_mut(), cx));
                self.done = self.member.take().map(|member| Box::new(member.timed_out()));
                return Poll::Ready(Some(Err(WebBroken::Timeout)));
            }
        };
        Poll::Ready(match next {
            Some(Ok(bytes)) => Some(Ok(bytes)),
            Some(Err(error)) => {
                self.done = self.member.take().map(|member| Box::new(member.no_answer(&error.to_string())));
                Some(Err(WebBroken::Truncated))
            }
            None => {
                self.done = self.member.take().map(|member| Box::new(member.answered()));
                None
            }
        })
    }

    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, WebBroken>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// How many bytes are to come, if the program has said.
    pub fn to_come(&self) -> Option<u64> {
        self.answer.to_come()
    }

    /// What the request used, once its end has come. [`Done::result`] holds no bytes of the body.
    pub fn done(&self) -> Option<&Done> {
        self.done.as_deref()
    }

    /// The request is over, with this result where the answer as it came is not it. What has not been read is not wanted.
    #[must_use]
    pub fn end(mut self, result: Option<Finished>) -> Done {
        match (self.member.take(), self.done.take()) {
            (None, Some(mut done)) => {
                done.result = result.unwrap_or(done.result);
                *done
            }
            (Some(member), _) => match result {
                Some(Finished::FunctionError { kind, error_type, payload }) => member.failed(kind, error_type, payload),
                _ => member.answered(),
            },
            (None, None) => unreachable!("a request that is over has an end"),
        }
    }

    /// All that is to come, at most so many bytes; none when there are more. What it used is there then.
    ///
    /// # Errors
    /// [`WebBroken`].
    pub async fn whole(&mut self, most: usize) -> Result<Option<Bytes>, WebBroken> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Some(Bytes::new())) };
        let mut all: Option<BytesMut> = None;
        let mut length = first.len();
        while let Some(more) = self.next().await.transpose()? {
            length += more.len();
            if length > most {
                break;
            }
            all.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&more);
        }
        if length > most {
            return Ok(None);
        }
        Ok(Some(all.map_or(first, BytesMut::freeze)))
    }
}
