//! The port by which requests leave the platform: for keys of issuers, and to integrations elsewhere.

use base::BoxFuture;
use bytes::Bytes;
use http::{HeaderMap, Method};

/// An HTTP request that leaves the platform.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// `http://…` or `https://…`.
    pub url: String,
    /// All headers but the host and those of the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The longest answer that is read, bytes.
    pub most_bytes: usize,
}

/// Its answer, whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// The address may not be reached from here.
    #[error("{0} may not be reached: {1}")]
    Refused(String, String),
    /// The answer is longer than is read.
    #[error("{0} answered with more than {1} bytes")]
    TooLarge(String, usize),
    /// It could not be reached, or broke off.
    #[error("{0} was not reached: {1}")]
    Failed(String, String),
}

/// Sends requests that leave the platform. Which addresses may be reached is its own rule. Dropping the future gives up.
pub trait Outbound: Send + Sync {
    /// Sends one, and reads the whole answer. Redirects are answers like others.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, Unreached>>;
}
