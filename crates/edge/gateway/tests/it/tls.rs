//! One port speaks plain HTTP and HTTPS.

use std::sync::Arc;

use base::{Clocks, SystemClocks};
use gateway::{Authority, Pair, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{Got, Made, World};

const HEALTH: &[u8] = b"GET /_lambent/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// A world with an authority, and what a client trusts that knows it.
async fn world(made: Made) -> (World, ClientConfig) {
    let pair = Pair::make(SystemClocks.signing()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let open = move || Authority::read(Pair { certificate: pair.certificate.clone(), key: pair.key.clone() });
    let tls = Tls::local(Box::new(open), Vec::new(), Arc::new(SystemClocks));
    (World::made(Made { tls: Some(Arc::new(tls)), ..made }).await, client)
}

async fn shake(world: &World, client: &ClientConfig, name: &str) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(client.clone())).connect(name, world.connect().await).await
}

async fn health(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> u16 {
    stream.write_all(HEALTH).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Got::of(&answer).status
}

#[tokio::test]
async fn every_name_of_the_platform_has_a_certificate_and_no_other_has() {
    let (world, client) = world(Made::default()).await;
    for name in ["localhost", "127.0.0.1", "abc.lambda-url.us-east-1.localhost", "a.b.c.s3.localhost", "A.Localhost"] {
        let stream = shake(&world, &client, name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(health(stream).await, 200, "{name}");
    }
    for name in ["example.com", "localhost.evil.example", "lambda.us-east-1.amazonaws.com"] {
        let refused = shake(&world, &client, name).await.expect_err(name).to_string();
        assert!(refused.contains("alert"), "{name}: {refused}");
    }
    assert_eq!(health(world.connect().await).await, 200, "plain HTTP on the same port");
}

#[tokio::test]
async fn the_protocol_inside_is_agreed_on_in_the_handshake() {
    let (world, mut client) = world(Made::default()).await;
    for (offered, taken) in
        [(&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])), (&[b"http/1.1"], Some(b"http/1.1")), (&[], None)]
    {
        client.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let stream = shake(&world, &client, "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), taken);
    }
    client.alpn_protocols = vec![b"spdy/3".to_vec()];
    assert!(shake(&world, &client, "localhost").await.is_err());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let only = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let mut only = only.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        only.alpn_protocols.clear();
        let refused = shake(&world, &only, "localhost").await.unwrap_err().to_string();
        assert!(refused.contains("UnknownIssuer"), "{version:?} is spoken, and nobody trusts it: {refused}");
    }
}

#[tokio::test]
async fn where_others_listen_in_only_https_is_answered() {
    let (world, client) = world(Made { loopback: false, insecure: false, ..Made::default() }).await;
    let mut plain = world.connect().await;
    plain.write_all(HEALTH).await.unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.unwrap();
    let got = Got::of(&answer);
    assert_eq!((got.status, got.header("connection")), (403, "close"));
    assert!(got.body.contains("https://") && got.body.contains("--insecure"), "{}", got.body);
    assert_eq!(health(shake(&world, &client, "localhost").await.unwrap()).await, 200);
}

#[tokio::test]
async fn without_certificates_a_handshake_is_refused() {
    let world = World::new().await;
    let got = world.raw(b"\x16\x03\x01\x00\x05hello").await;
    assert!([0, 400].contains(&got.status), "{got:?}");
}

#[tokio::test]
async fn the_certificate_of_the_authority_is_for_everybody() {
    let (world, _) = world(Made::default()).await;
    let got = world.ask("GET", "/_lambent/ca.pem", &[], b"").await;
    assert!(got.status == 200 && got.body.starts_with("-----BEGIN CERTIFICATE-----"), "{got:?}");
    assert!(!got.body.contains("PRIVATE"));
    assert_eq!(World::new().await.ask("GET", "/_lambent/ca.pem", &[], b"").await.status, 404);
}
