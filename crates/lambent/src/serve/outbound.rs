//! What leaves for HTTP APIs: requests to issuers of tokens and to integrations elsewhere.
//!
//! Who may be reached is decided where the connection is made, after the name is resolved. What holds for functions holds
//! here (`egress::allowed`): no metadata service and no link-local address ever, and nothing beyond the platform's own rule. This
//! machine is reached only where its owner said so (`--apis-reach-host`), since functions may make APIs too; the platform's own
//! port never, which would take the request for its owner's. Only IPv4 is spoken.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{BoxFuture, Egress};
use bytes::Bytes;
use egress::{HostNetwork, Network};
use http::Uri;
use http_body_util::{BodyExt, Full, Limited};
use httpapis::outbound::{Outbound, Request, Response, Unreached};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::sync::{OnceCell, Semaphore};
use tokio_rustls::TlsConnector;

/// Requests under way at once; more are refused.
const REQUESTS: usize = 512;
/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Connections to one host that are kept.
const IDLE_PER_HOST: usize = 16;

/// Sends requests by the platform's rule.
pub(super) struct Sender {
    client: Client<Connector, Full<Bytes>>,
    places: Semaphore,
}

impl Sender {
    /// `rule` is the platform's. With `own_machine` this machine itself may be reached, but for that port: the platform's own.
    pub(super) fn new(rule: Egress, own_machine: Option<u16>) -> Arc<Self> {
        let connector = Connector { rule, own_machine, tls: Arc::default() };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build(connector);
        Arc::new(Self { client, places: Semaphore::new(REQUESTS) })
    }
}

impl Outbound for Sender {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, Unreached>> {
        Box::pin(async move {
            let Request { method, url, headers, body, most_bytes } = request;
            let failed = |why: &dyn std::fmt::Display| Unreached::Failed(url.clone(), why.to_string());
            let _place = self.places.try_acquire().map_err(|_| failed(&"too many requests leave at once"))?;
            let uri: Uri = url.parse().map_err(|why| failed(&why))?;
            let mut outgoing = http::Request::new(Full::new(body));
            *outgoing.method_mut() = method;
            *outgoing.uri_mut() = uri;
            *outgoing.headers_mut() = headers;
            let answer = self.client.request(outgoing).await.map_err(|error| match refusal(&error) {
                Some(Refusal(why)) => Unreached::Refused(url.clone(), why.clone()),
                None => Unreached::Failed(url.clone(), chain(&error)),
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, most_bytes).collect().await.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    return Unreached::TooLarge(url.clone(), most_bytes);
                }
                failed(&error)
            })?;
            Ok(Response { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
        })
    }
}

/// That an address may not be reached, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

fn refusal<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Refusal> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error with what led to it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections by rule.
#[derive(Clone)]
struct Connector {
    rule: Egress,
    own_machine: Option<u16>,
    // The host's certificate authorities, read when the first TLS connection is made.
    tls: Arc<OnceCell<TlsConnector>>,
}

impl Connector {
    /// Whether a port of an address may be reached.
    fn allowed(&self, address: IpAddr, port: u16, own: &[Ipv4Addr]) -> Result<Ipv4Addr, String> {
        let IpAddr::V4(address) = address.to_canonical() else { return Err("only IPv4 addresses are reached".into()) };
        if address.is_loopback() || address.is_unspecified() || own.contains(&address) {
            return match self.own_machine {
                None => Err("this machine is reached only by a platform started with --apis-reach-host".into()),
                Some(platform) if platform == port => Err("the platform itself is not reached".into()),
                Some(_) => Ok(address),
            };
        }
        egress::allowed(address, self.rule, own).map(|()| address).map_err(|denial| denial.to_string())
    }

    async fn connect(self, uri: Uri) -> Result<Link, Broken> {
        let host = uri.host().ok_or("the URL has no host")?.trim_matches(['[', ']']).to_owned();
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let own = HostNetwork.own_addresses()?;
        let mut why: Broken = format!("{host} has no address").into();
        for found in tokio::net::lookup_host((host.as_str(), port)).await? {
            let address = match self.allowed(found.ip(), port, &own) {
                Ok(address) => address,
                Err(refused) => {
                    why = Refusal(refused).into();
                    continue;
                }
            };
            match TcpSocket::new_v4()?.connect(SocketAddr::from((address, port))).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    if !secure {
                        return Ok(Link(TokioIo::new(Box::new(stream))));
                    }
                    let stream = self.tls().await?.connect(ServerName::try_from(host.clone())?, stream).await?;
                    return Ok(Link(TokioIo::new(Box::new(stream))));
                }
                Err(error) => why = error.into(),
            }
        }
        Err(why)
    }

    async fn tls(&self) -> Result<&TlsConnector, Broken> {
        let made = self.tls.get_or_try_init(|| async {
            let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await?;
            let mut roots = rustls::RootCertStore::empty();
            let (known, _) = roots.add_parsable_certificates(found.certs);
            if known == 0 {
                return Err("the host has no certificate authorities".into());
            }
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Ok::<_, Broken>(TlsConnector::from(Arc::new(config)))
        });
        made.await
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Link;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Link, Broken>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, with TLS or without.
struct Link(TokioIo<Box<dyn Stream>>);

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl hyper::rt::Write for Link {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rule: Egress, own_machine: Option<u16>, address: &str) -> bool {
        let connector = Connector { rule, own_machine, tls: Arc::default() };
        connector.allowed(address.parse().unwrap(), 80, &[Ipv4Addr::new(192, 168, 1, 5)]).is_ok()
    }

    #[test]
    fn this_machine_is_reached_only_where_its_owner_said_so() {
        for address in ["127.0.0.1", "192.168.1.5", "::ffff:127.0.0.1"] {
            assert!(allowed(Egress::All, Some(4566), address), "{address}");
            assert!(!allowed(Egress::All, None, address), "{address}");
            assert!(!allowed(Egress::All, Some(80), address), "{address}: the platform's own port");
        }
        assert!(!allowed(Egress::All, None, "0.0.0.0") && !allowed(Egress::All, Some(80), "0.0.0.0"));
        assert!(allowed(Egress::All, None, "10.0.0.1") && !allowed(Egress::Public, None, "10.0.0.1"));
        assert!(!allowed(Egress::None, Some(4566), "93.184.216.34"));
    }

    #[test]
    fn metadata_services_are_never_reached() {
        for address in ["169.254.169.254", "100.100.100.200", "::ffff:169.254.169.254", "fd00:ec2::254"] {
            assert!(!allowed(Egress::All, Some(4566), address), "{address}");
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_told_apart_from_what_fails() {
        let get = |url: &str| Request {
            method: http::Method::GET,
            url: url.into(),
            headers: http::HeaderMap::new(),
            body: Bytes::new(),
            most_bytes: 10,
        };
        let shared = Sender::new(Egress::Public, None);
        let refused = shared.send(get("http://127.0.0.1:1/")).await.unwrap_err();
        assert!(matches!(refused, Unreached::Refused(..)), "{refused}");
        let own = Sender::new(Egress::All, Some(4566));
        let failed = own.send(get("http://127.0.0.1:1/")).await.unwrap_err();
        assert!(matches!(failed, Unreached::Failed(..)), "{failed}");
    }
}
