//! The local certificate authority: made once, kept by whoever may hold files, trusted by whoever chooses to.
//!
//! Its certificate says itself that it vouches for `localhost` and what is below it and for no other name, so that whoever trusts it does
//! not have to trust whoever may read its key.

use base::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData as _, SerialNumber,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::{Error, names};

/// How long the authority's own certificate holds, days.
const AUTHORITY_DAYS: u64 = 3650;
/// How long a server's certificate holds, days.
const SERVER_DAYS: u64 = 90;
/// Certificates hold from this long ago, ms: clocks differ.
const BEFORE_MS: i64 = 86_400_000;
const DAY_SECONDS: u64 = 86_400;

/// A certificate and its private key, both PEM.
///
/// The key is a secret: it has no `Debug`.
#[allow(missing_debug_implementations, reason = "a key is not to be printed")]
pub struct Pair {
    /// For everybody.
    pub certificate: String,
    /// For nobody else.
    pub key: String,
}

impl Pair {
    /// A new authority. `now` is the signing clock's.
    ///
    /// # Errors
    /// [`Error::Authority`] when the cryptographic library fails.
    pub fn make(now: Timestamp) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = authority(&key, now)?.self_signed(&key).map_err(failed)?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// An authority that vouches.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
    /// One for all certificates of this process.
    servers_key: KeyPair,
}

impl Authority {
    /// Reads what [`Pair::make`] made.
    ///
    /// # Errors
    /// [`Error::Authority`] when it is no such pair.
    pub fn read(pair: Pair) -> Result<Self, Error> {
        let key = KeyPair::from_pem(&pair.key).map_err(|_| wrong("its key cannot be read"))?;
        let der = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
        let der = der.map_err(|_| wrong("its certificate cannot be read"))?;
        let public = key.der_bytes();
        if !der.windows(public.len()).any(|part| part == public) {
            return Err(wrong("its certificate is of another key"));
        }
        // Who vouches is named by the key alone, so the certificate needs no reading.
        let issuer = Issuer::new(authority(&key, Timestamp(0))?, key);
        let servers_key = KeyPair::generate().map_err(failed)?;
        Ok(Self { certificate: pair.certificate, issuer, servers_key })
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A server's certificate for these names and addresses.
    pub(super) fn issue(&self, subjects: &[String], serial: [u8; 16], now: Timestamp) -> Result<CertifiedKey, Error> {
        let mut params = CertificateParams::new(subjects).map_err(failed)?;
        params.distinguished_name = named("Lambent server".to_owned());
        hold(&mut params, now, SERVER_DAYS);
        // Browsers refuse two certificates of one issuer with the same number.
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.servers_key, &self.issuer).map_err(failed)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.servers_key.serialize_der()));
        let provider = aws_lc_rs::default_provider();
        CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider).map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Authority(error.to_string())
}

fn wrong(why: &str) -> Error {
    Error::Authority(why.to_owned())
}

fn named(name: String) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::OrganizationName, "Lambent");
    names.push(DnType::CommonName, name);
    names
}

fn authority(key: &KeyPair, now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    hold(&mut params, now, AUTHORITY_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let own = names::OURS.map(|name| GeneralSubtree::DnsName(name.to_owned()));
    params.name_constraints = Some(NameConstraints { permitted_subtrees: own.to_vec(), excluded_subtrees: Vec::new() });
    // Several may be trusted by one host, and are told apart by their names.
    let id: String = params.key_identifier(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = named(format!("Lambent local CA {id}"));
    Ok(params)
}

/// From a day before `now`.
fn hold(params: &mut CertificateParams, now: Timestamp, days: u64) {
    let start_seconds = u64::try_from((now.0 - BEFORE_MS) / 1000).unwrap_or_default();
    let after = |seconds: u64| rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds);
    params.not_before = after(start_seconds);
    params.not_after = after(start_seconds + days * DAY_SECONDS);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn an_authority_is_the_same_after_a_restart() {
        let pair = Pair::make(NOW).unwrap();
        let again = Pair { certificate: pair.certificate.clone(), key: pair.key.clone() };
        let [one, two] = [pair, again].map(|pair| Authority::read(pair).unwrap());
        assert_eq!(one.certificate(), two.certificate());
        let issuer = |authority: &Authority| {
            authority.issue(&["x.localhost".to_owned()], [1; 16], NOW).unwrap().cert[0].to_vec()
        };
        assert!(!issuer(&one).is_empty() && !issuer(&two).is_empty());
    }

    #[test]
    fn what_is_no_authority_is_told() {
        let [one, other] = [(); 2].map(|()| Pair::make(NOW).unwrap());
        let read = |certificate: &str, key: &str| {
            let read = Authority::read(Pair { certificate: certificate.to_owned(), key: key.to_owned() });
            read.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(read(&one.certificate, &other.key).contains("another key"));
        assert!(read(&one.certificate, "").contains("key cannot be read"));
        assert!(read("", &one.key).contains("certificate cannot be read"));
    }
}
