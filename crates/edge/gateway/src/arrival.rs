//! A request as it arrived: the AWS codecs' view of it, and what the socket says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base::{Principal, RequestId};
use bytes::Bytes;
use door::{Origin, SiteRequest, Takeover, Via};
use http::header::{COOKIE, HOST, HeaderMap, HeaderValue};
use http::{Uri, Version};
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};

use crate::arriving::Arriving;
use crate::takeover;

/// What a listener says of everyone who comes in through it.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// By which way.
    pub(crate) via: Via,
    /// Who speaks there, whatever a signature claims: a sandbox's function. None where signatures decide.
    pub(crate) principal: Option<Principal>,
    /// A sandbox's places for bodies that are not small. None outside.
    pub(crate) bodies: Option<Arc<tokio::sync::Semaphore>>,
}

/// One connection.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) entrance: Arc<Entrance>,
    /// The other side.
    pub(crate) peer: IpAddr,
    /// Our side, for requests that name no host.
    pub(crate) local: SocketAddr,
    /// Whether it is encrypted.
    pub(crate) tls: bool,
    /// True once the listener stops: endless answers end then.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Held by whoever takes the connection over, which counts until it is let go.
    pub(crate) hold: mpsc::Sender<()>,
}

impl Connection {
    /// Whether nobody can read it on the way: it is encrypted, or stays within the machine.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls || matches!(self.entrance.via, Via::Sandbox | Via::Client { loopback: true })
    }

    /// Completes when the listener stops.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            // An error means the listener is gone altogether, which is a stop too.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }
}

/// One request.
pub(crate) struct Arrival<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) request: wire::Request,
    /// The host without port, lower case.
    pub(crate) host: String,
    /// The host as sent, with port.
    pub(crate) authority: String,
    pub(crate) request_id: RequestId,
    /// Its body is still to come: what the head says of its hash is checked as it comes.
    pub(crate) streams: bool,
    /// It is for the store of objects, which has things that anybody may read.
    pub(crate) stored: bool,
    /// A page of this machine sent it, to a bucket whose rules let it in.
    pub(crate) welcome: bool,
    /// The connection, where WebSocket is asked for.
    pub(crate) takeover: Option<Takeover>,
}

impl<'a> Arrival<'a> {
    /// Takes the head apart; the body follows when it is known how much of it is welcome.
    pub(crate) fn split(
        connection: &'a Connection,
        incoming: hyper::Request<Incoming>,
        request_id: RequestId,
        linger: Duration,
    ) -> (Self, Arriving) {
        let (mut head, body) = incoming.into_parts();
        if head.version == Version::HTTP_2 {
            as_before_2(&head.uri, &mut head.headers);
        }
        let said = (&head.method, head.version);
        let takeover = takeover::wanted(connection, said, &head.headers, &mut head.extensions);
        let body = Arriving::new(body, &head, linger);
        let authority = head
            .uri
            .authority()
            .map(|authority| authority.as_str().to_owned())
            .or_else(|| head.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned))
            .unwrap_or_else(|| connection.local.to_string());
        let request = wire::Request {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: Bytes::new(),
        };
        (
            Self {
                connection,
                request,
                host: bare_host(&authority),
                authority,
                request_id,
                streams: false,
                stored: false,
                welcome: false,
                takeover,
            },
            body,
        )
    }

    /// A header's text, if it is there and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers.get(name)?.to_str().ok()
    }

    /// The request, handed on for good.
    pub(crate) fn take_request(&mut self) -> wire::Request {
        let empty = wire::Request {
            method: http::Method::GET,
            path: String::new(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: Bytes::new(),
        };
        std::mem::replace(&mut self.request, empty)
    }

    /// The request as sites see it.
    pub(crate) fn into_site_request(self, principal: Principal, origin: Origin) -> SiteRequest {
        let wire::Request { method, path, query, headers, body } = self.request;
        SiteRequest {
            method,
            path,
            query,
            host: self.host,
            authority: self.authority,
            headers,
            body,
            peer: self.connection.peer,
            principal,
            origin,
            request_id: self.request_id,
            takeover: self.takeover,
        }
    }
}

/// What rooms behind know from HTTP/1: a `Host`, which signatures are over, and one `Cookie`.
/// Source: RFC 9113, sections 8.3.1 and 8.2.3.
fn as_before_2(uri: &Uri, headers: &mut HeaderMap) {
    let authority = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let (false, Some(authority)) = (headers.contains_key(HOST), authority) {
        headers.insert(HOST, authority);
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, cookie);
    }
}

/// `Example.COM:4566` → `example.com`, `[::1]:4566` → `::1`.
pub(crate) fn bare_host(authority: &str) -> String {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let bare = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{HeaderMap, as_before_2, bare_host};

    #[test]
    fn a_head_of_http_2_reads_as_one_of_http_1() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "a=1".parse().unwrap());
        headers.append("cookie", "b=2".parse().unwrap());
        as_before_2(&"https://x.localhost:4566/p".parse().unwrap(), &mut headers);
        assert_eq!(headers["host"], "x.localhost:4566");
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }

    #[test]
    fn hosts_lose_port_brackets_and_case() {
        for (sent, bare) in [
            ("LOCALHOST:4566", "localhost"),
            ("[::1]:4566", "::1"),
            ("127.0.0.1", "127.0.0.1"),
            ("a.lambda-url.us-east-1.localhost.:1", "a.lambda-url.us-east-1.localhost"),
            ("", ""),
            ("[", ""),
        ] {
            assert_eq!(bare_host(sent), bare, "{sent}");
        }
    }
}
