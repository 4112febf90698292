//! Hosts and paths outside the AWS APIs: function URLs, the console, later API Gateway's data plane.

use std::sync::{Mutex, PoisonError};

use base::{BoxFuture, Principal, RequestId};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Body, Origin};

/// An HTTP request to a [`Site`], body included.
#[derive(Debug)]
pub struct SiteRequest {
    /// The method.
    pub method: http::Method,
    /// The path as sent, percent-encoded.
    pub path: String,
    /// The query as sent, without `?`.
    pub query: String,
    /// The host without port, lower case.
    pub host: String,
    /// The `Host` header as sent, or the listener's address.
    pub authority: String,
    /// All headers.
    pub headers: http::HeaderMap,
    /// The whole body, at most [`Site::body_bytes`] (else the gateway answered 413).
    pub body: Bytes,
    /// The peer's address, for `sourceIp`.
    pub peer: std::net::IpAddr,
    /// Who calls: anonymous unless signed.
    pub principal: Principal,
    /// What the connection says of the caller.
    pub origin: Origin,
    /// Names the request.
    pub request_id: RequestId,
    /// The connection itself, where the client asks for WebSocket on one that can be had (HTTP/1.1).
    pub takeover: Option<Takeover>,
}

/// A connection after its last HTTP: bytes both ways. It ends when the platform stops.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The right to the connection of a request. Dropped, the connection goes on with HTTP.
pub struct Takeover(Mutex<BoxFuture<'static, Option<Box<dyn Duplex>>>>);

impl Takeover {
    /// `taken` completes when the answer has gone out; with nothing if it did not.
    pub fn new(taken: BoxFuture<'static, Option<Box<dyn Duplex>>>) -> Self {
        Self(Mutex::new(taken))
    }

    /// The connection, once a [`SiteResponse`] with status 101 has gone out; none when the client has left before.
    pub async fn take(self) -> Option<Box<dyn Duplex>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).await
    }
}

impl std::fmt::Debug for Takeover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Takeover")
    }
}

/// A [`Site`]'s answer.
#[derive(Debug, Default)]
pub struct SiteResponse {
    /// The status; 101 where the connection is taken over.
    pub status: u16,
    /// The headers; `content-length` is the gateway's.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Body,
}

impl SiteResponse {
    /// What a site of the platform's own says: JSON, or a fault's status with its code and message.
    pub fn of_json(answer: Result<serde_json::Value, base::Fault>) -> Self {
        let (status, value) = match answer {
            Ok(value) => (200, value),
            Err(fault) => (fault.status, serde_json::json!({"code": fault.code, "message": fault.message})),
        };
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Self { status, headers, body: Body::Bytes(value.to_string().into()) }
    }
}

/// Answers plain HTTP requests of certain hosts or paths.
pub trait Site: Send + Sync {
    /// Whether it answers this host (without port, lower case) and path. Cheap: asked for every request no AWS rule took.
    fn claims(&self, host: &str, path: &str) -> bool;
    /// How long a body may be, bytes; the gateway answers 413 to longer ones.
    fn body_bytes(&self) -> usize {
        base::limits::SYNC_PAYLOAD_BYTES
    }
    /// Answers. Faults are answers too: a site never fails.
    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse>;
}
