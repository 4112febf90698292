//! Whom our own commands believe over HTTPS.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::serve::{certificates, default_data};

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The host's authorities, those in the file that `AWS_CA_BUNDLE` names, and the local authority of the data folder (`LAMBENT_DATA`,
/// or the default one), where there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust(Arc<OnceLock<Arc<ClientConfig>>>);

impl Trust {
    /// The handshake with `host:port`.
    pub(crate) async fn shake(&self, authority: &str, socket: TcpStream) -> anyhow::Result<TlsStream<TcpStream>> {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).with_context(|| format!("{host} is no name of a server"))?;
        let config = match self.0.get() {
            Some(config) => Arc::clone(config),
            None => Arc::clone(self.0.get_or_init(|| Arc::new(trusting(roots())))),
        };
        Ok(TlsConnector::from(config).connect(name, socket).await?)
    }
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    config.expect("the provider has suites of both versions").with_root_certificates(roots).with_no_client_auth()
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = named("LAMBENT_DATA").or_else(|| default_data().ok()).map(|data| certificates::certificate(&data));
    for file in named("AWS_CA_BUNDLE").into_iter().chain(own) {
        // What cannot be read vouches for nobody, and the handshake then says so.
        let Ok(text) = std::fs::read(&file) else { continue };
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).flatten());
    }
    roots
}
