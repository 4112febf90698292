//! TLS on the same port as plain HTTP: which certificate is shown to whom.

mod authority;
mod names;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock};

use base::{Clocks, Rng, SystemRng, Timestamp};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::sync::OnceCell;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::line::Line;

pub use authority::{Authority, Pair};

/// Names for which certificates are kept; the oldest goes first.
const KEPT: usize = 512;
/// How long a certificate is kept and shown: a third of the time it holds, so that nobody sees one at its end.
const FRESH_MS: i64 = 30 * 86_400_000;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The given certificates and key do not serve.
    #[error("the certificate and key do not serve: {0}")]
    Unusable(String),
    /// The files of the local certificate authority.
    #[error("the local certificate authority cannot be used: {0}")]
    Authority(String),
}

/// Reads or makes the local certificate authority. Called once, on a thread that may block, when it is first needed.
pub type Open = Box<dyn Fn() -> Result<Authority, Error> + Send + Sync>;

/// What a listener needs to speak TLS 1.2 and 1.3, with HTTP/2 or HTTP/1.1 inside.
pub struct Tls(Shown);

enum Shown {
    /// One certificate, whatever name is asked for.
    Own(Arc<ServerConfig>),
    /// One for each of this platform's names, by the local authority.
    Local(Box<Local>),
}

impl Tls {
    /// With the operator's certificates, the server's first, and its key, both PEM.
    ///
    /// # Errors
    /// [`Error::Unusable`] if they are no such thing, or do not belong together.
    pub fn own(certificates: &[u8], key: &[u8]) -> Result<Self, Error> {
        let unusable = |why: &dyn std::fmt::Display| Error::Unusable(why.to_string());
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().map_err(|why| unusable(&why))?;
        if chain.is_empty() {
            return Err(unusable(&"there is no certificate in PEM"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|why| unusable(&why))?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let certified = certified.map_err(|why| unusable(&why))?;
        Ok(Self(Shown::Own(Arc::new(config(Arc::new(SingleCertAndKey::from(certified)))))))
    }

    /// With certificates of the local authority, made as they are asked for: for `localhost` and what is below it, for loopback, for
    /// the address by which a client came in, and for `hosts`. Other names are refused.
    pub fn local(open: Open, hosts: Vec<String>, clocks: Arc<dyn Clocks>) -> Self {
        Self(Shown::Local(Box::new(Local {
            open: Arc::new(open),
            authority: OnceCell::new(),
            hosts,
            clocks,
            rng: SystemRng,
            refusing: OnceLock::new(),
            made: Mutex::default(),
        })))
    }

    /// The certificate of the local authority, PEM; none when the operator's own certificate is shown.
    ///
    /// # Errors
    /// [`Error::Authority`].
    pub async fn authority(&self) -> Result<Option<String>, Error> {
        match &self.0 {
            Shown::Own(_) => Ok(None),
            Shown::Local(local) => Ok(Some(local.authority().await?.certificate().to_owned())),
        }
    }

    /// The handshake on a connection that came in by the address `at`.
    pub(crate) async fn accept(&self, line: Line, at: IpAddr) -> io::Result<TlsStream<Line>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), line).await?;
        let config = match &self.0 {
            Shown::Own(config) => Arc::clone(config),
            Shown::Local(local) => {
                let asked = start.client_hello().server_name().map(str::to_ascii_lowercase);
                local.config(asked.as_deref(), at.to_canonical()).await.map_err(io::Error::other)?
            }
        };
        start.into_stream(config).await
    }
}

/// What a handshake needs, with that certificate.
fn config(certificate: Arc<dyn ResolvesServerCert>) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("the provider has suites of both versions");
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Has a certificate for nobody: the handshake ends with an alert.
#[derive(Debug)]
struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

struct Local {
    open: Arc<Open>,
    authority: OnceCell<Arc<Authority>>,
    hosts: Vec<String>,
    clocks: Arc<dyn Clocks>,
    rng: SystemRng,
    /// What all have in common, the sessions to be resumed among it, with a certificate for nobody. Made for the first who needs it.
    refusing: OnceLock<Arc<ServerConfig>>,
    made: Mutex<Made>,
}

/// Certificates by name, and the names in the order they were made.
#[derive(Default)]
struct Made {
    by_name: HashMap<String, (Arc<ServerConfig>, Timestamp)>,
    order: VecDeque<String>,
}

impl Made {
    fn keep(&mut self, name: String, config: Arc<ServerConfig>, now: Timestamp) {
        if self.by_name.insert(name.clone(), (config, now)).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.by_name.remove(&oldest);
            }
        }
    }

    fn find(&self, name: &str, now: Timestamp) -> Option<Arc<ServerConfig>> {
        let (config, made) = self.by_name.get(name)?;
        (now.0 - made.0 < FRESH_MS).then(|| Arc::clone(config))
    }
}

impl Local {
    async fn authority(&self) -> Result<&Arc<Authority>, Error> {
        let opened = self.authority.get_or_try_init(|| async {
            let open = Arc::clone(&self.open);
            let opened = tokio::task::spawn_blocking(move || open()).await;
            opened.map_err(|broken| Error::Authority(broken.to_string()))?.map(Arc::new)
        });
        opened.await.inspect_err(|error| tracing::error!(%error, "no TLS"))
    }

    /// What a client gets that asks for a name, or for none: then it was given an address.
    async fn config(&self, asked: Option<&str>, at: IpAddr) -> Result<Arc<ServerConfig>, Error> {
        let subjects = match asked {
            Some(name) if !names::is_ours(name, &self.hosts) => {
                tracing::debug!(name, "a certificate for a name that is not this platform's");
                return Ok(Arc::clone(self.refusing()));
            }
            Some(name) => names::Subjects::of_name(name),
            None => names::Subjects::of_address(at),
        };
        let now = self.clocks.signing();
        if let Some(found) = self.made().find(subjects.key(), now) {
            return Ok(found);
        }
        let mut serial = [0; 16];
        self.rng.fill(&mut serial);
        let certified = self.authority().await?.issue(subjects.all(), serial, now)?;
        let certificate: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(certified));
        // A session is resumed under the name it was made for, so one store serves all names.
        let mut config = ServerConfig::clone(self.refusing());
        config.cert_resolver = certificate;
        let config = Arc::new(config);
        self.made().keep(subjects.key().to_owned(), Arc::clone(&config), now);
        Ok(config)
    }

    fn refusing(&self) -> &Arc<ServerConfig> {
        self.refusing.get_or_init(|| Arc::new(config(Arc::new(Nobody))))
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        // Nothing panics while it is held.
        self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_fresh() {
        let mut made = Made::default();
        let one = Arc::new(config(Arc::new(Nobody)));
        for index in 0..KEPT + 10 {
            made.keep(index.to_string(), Arc::clone(&one), Timestamp(0));
        }
        assert_eq!((made.by_name.len(), made.order.len()), (KEPT, KEPT));
        assert!(made.find("9", Timestamp(0)).is_none() && made.find("10", Timestamp(0)).is_some());
        assert!(made.find("10", Timestamp(FRESH_MS)).is_none());
        made.keep("10".into(), one, Timestamp(FRESH_MS));
        assert!(made.find("10", Timestamp(FRESH_MS)).is_some());
        assert_eq!(made.order.len(), KEPT);
    }

    #[test]
    fn an_own_certificate_must_fit_its_key() {
        let now = Timestamp(1_800_000_000_000);
        let [one, other] = [(); 2].map(|()| Pair::make(now).unwrap());
        assert!(Tls::own(one.certificate.as_bytes(), one.key.as_bytes()).is_ok());
        for (certificate, key) in [(&*one.certificate, &*other.key), ("", &*one.key), (&*one.certificate, "x")] {
            assert!(matches!(Tls::own(certificate.as_bytes(), key.as_bytes()), Err(Error::Unusable(_))));
        }
    }
}
