//! A signed request's claim, and whether it holds.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base::{Fault, Timestamp};
use http::HeaderName;
use http::header::DATE;

use super::canonical::{self, hex, string_to_sign};
use super::fault::Dialect;
use super::{ALGORITHM, LONGEST_EXPIRY_S, SKEW_MS, Scope, TERMINATOR, key};
use crate::chunked::{Chain, Decoder, Framing};
use crate::{Request, TimestampFormat, moment};

static AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
static SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// By which way a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In the `Authorization` header.
    Header,
    /// In the query string: presigned, good for so many seconds.
    Query {
        /// Seconds from the request's date.
        expires_s: i64,
    },
}

/// What a signed request says of who signed it. Nothing in it is proven before [`Claim::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The access key's id.
    pub key_id: String,
    /// What the signature is good for.
    pub scope: Scope,
    /// The names of the signed headers, lower case, as claimed: `host;x-amz-date`.
    pub signed_headers: String,
    /// The signature, lower-case hexadecimal.
    pub signature: String,
    /// The session token that came along; temporary credentials have one.
    pub token: Option<String>,
    /// Where the signature stands.
    pub kind: Kind,
    /// The request's own date, to the second.
    pub date: Timestamp,
    pub(super) dialect: Dialect,
}

/// Reads the claim of a signed request; none when it is not signed. Faults when it is signed incompletely.
pub fn parse(request: &Request) -> Result<Option<Claim>, Fault> {
    if let Some(header) = request.headers.get(http::header::AUTHORIZATION) {
        let text = header.to_str().unwrap_or_default();
        return from_header(request, text).map(Some);
    }
    if request.query.contains("X-Amz-") {
        return from_query(request);
    }
    Ok(None)
}

fn from_header(request: &Request, text: &str) -> Result<Claim, Fault> {
    let dialect = Dialect::of(request);
    let Some(parameters) = text.strip_prefix(ALGORITHM) else {
        let name = text.split(' ').next().unwrap_or_default();
        return Err(dialect.incomplete(format!("Unsupported AWS 'algorithm': '{name}'.")));
    };
    let part = |name: &str| {
        let parts = parameters.split(',').map(str::trim);
        parts.filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let (credential, headers, signature) = (part("Credential"), part("SignedHeaders"), part("Signature"));
    let date = date_header(request);
    let mut missing = String::new();
    for (name, value) in [("Credential", credential), ("Signature", signature), ("SignedHeaders", headers)] {
        if value.is_none() {
            missing.push_str(&format!("Authorization header requires '{name}' parameter. "));
        }
    }
    if date.is_none() {
        missing.push_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ");
    }
    let (Some(credential), Some(headers), Some(signature), Some(date)) = (credential, headers, signature, date) else {
        return Err(dialect.incomplete(format!("{missing}Authorization={ALGORITHM}")));
    };
    let token = request.headers.get(&SECURITY_TOKEN).and_then(|token| token.to_str().ok());
    let raw = Raw { credential, headers, signature, token, date, kind: Kind::Header };
    raw.claim(dialect)
}

/// `X-Amz-Date`, else `Date`.
fn date_header(request: &Request) -> Option<Timestamp> {
    let text = |name: &HeaderName| request.headers.get(name)?.to_str().ok();
    match text(&AMZ_DATE) {
        Some(basic) => basic_date(basic),
        None => text(&DATE).and_then(|date| basic_date(date).or_else(|| moment::parse(date, TimestampFormat::Rfc822))),
    }
}

/// `20261121T052000Z`.
fn basic_date(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || !text.is_ascii() {
        return None;
    }
    if bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = &bytes[range];
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    let clock = (number(9..11)?, number(11..13)?, number(13..15)?);
    moment::civil(number(0..4)?, number(4..6)?, number(6..8)?, clock, 0)
}

fn from_query(request: &Request) -> Result<Option<Claim>, Fault> {
    let dialect = Dialect::of(request);
    let pairs: Vec<_> = form_urlencoded::parse(request.query.as_bytes()).collect();
    let find = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
    let Some(algorithm) = find("X-Amz-Algorithm") else { return Ok(None) };
    if algorithm != ALGORITHM {
        return Err(dialect.unsupported(algorithm));
    }
    let need = |name: &str| find(name).ok_or_else(|| dialect.lacks(name));
    let expires_s = match find("X-Amz-Expires") {
        Some(text) => {
            let expiry = text.parse::<i64>().ok();
            expiry.filter(|expiry| (0..=LONGEST_EXPIRY_S).contains(expiry)).ok_or_else(|| dialect.bad_expiry(expiry))?
        }
        None if dialect == Dialect::S3 => return Err(dialect.lacks("X-Amz-Expires")),
        // Only S3 insists on it; elsewhere a presigned request lives as long as a signed one.
        None => SKEW_MS / 1000,
    };
    let raw = Raw {
        credential: need("X-Amz-Credential")?,
        headers: need("X-Amz-SignedHeaders")?,
        signature: need("X-Amz-Signature")?,
        token: find("X-Amz-Security-Token"),
        date: basic_date(need("X-Amz-Date")?).ok_or_else(|| dialect.bad_date())?,
        kind: Kind::Query { expires_s },
    };
    raw.claim(dialect).map(Some)
}

/// The parts as the request spells them.
struct Raw<'a> {
    credential: &'a str,
    headers: &'a str,
    signature: &'a str,
    token: Option<&'a str>,
    date: Timestamp,
    kind: Kind,
}

impl Raw<'_> {
    fn claim(self, dialect: Dialect) -> Result<Claim, Fault> {
        let mut parts = self.credential.split('/');
        let five = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(key_id), Some(date), Some(region), Some(service), Some(terminator), None) = five else {
            return Err(dialect.incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
                self.credential
            )));
        };
        if terminator != TERMINATOR {
            return Err(dialect.mismatch_with(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'."
            )));
        }
        let (year, month, day, ..) = self.date.civil();
        let number = year * 10_000 + i64::from(month) * 100 + i64::from(day);
        let is_number = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || date.parse() != Ok(number) {
            let day = canonical::basic(self.date);
            return Err(dialect.mismatch_with(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{date}' != '{}', from '{day}'.",
                &day[..8]
            )));
        }
        let signed_headers = self.headers.to_ascii_lowercase();
        if !signed_headers.split(';').any(|name| name == "host" || name == ":authority") {
            return Err(
                dialect.mismatch_with("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
            );
        }
        Ok(Claim {
            key_id: key_id.to_owned(),
            scope: Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() },
            signed_headers,
            signature: self.signature.to_owned(),
            token: self.token.map(str::to_owned),
            kind: self.kind,
            date: self.date,
            dialect,
        })
    }
}

impl Claim {
    /// Checks date and signature against the key's secret. `now` is the signing clock's.
    ///
    /// A header signature holds ±15 minutes, a presigned one from its date to its expiry. Whether the session token is
    /// the key's is [`Claim::token_is`]; whether the key exists the caller knows.
    pub fn verify(&self, request: &Request, secret: &str, now: Timestamp) -> Result<(), Fault> {
        self.check_date(now)?;
        let payload = canonical::payload(request, self.kind, &self.scope, self.dialect)?;
        self.check(request, secret, &payload)
    }

    /// The same for a request whose body is still to come: what its head says of the body's hash is taken for true, and
    /// [`BodyHash`](super::BodyHash) checks that as it comes.
    pub fn verify_head(&self, request: &Request, secret: &str, now: Timestamp) -> Result<(), Fault> {
        self.check_date(now)?;
        let payload = canonical::announced(request);
        self.check(request, secret, payload)
    }

    /// What was not signed must not act: S3 refuses further headers of its own.
    fn check_signed(&self, request: &Request) -> Result<(), Fault> {
        // What it says of the body is checked against the body.
        const FREE: &str = "x-amz-content-sha256";
        if self.scope.service != "s3" {
            return Ok(());
        }
        let signed = |name: &str| self.signed_headers.split(';').any(|known| known == name);
        let own = |name: &&str| name.starts_with("x-amz-") && *name != FREE;
        let missing: Vec<_> =
            request.headers.keys().map(http::HeaderName::as_str).filter(own).filter(|name| !signed(name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(Dialect::not_signed(&missing.join(", "))) }
    }

    fn check(&self, request: &Request, secret: &str, payload: &str) -> Result<(), Fault> {
        self.check_signed(request)?;
        let canonical = canonical::request(request, self, payload);
        let to_sign = string_to_sign(self.date, &self.scope, &canonical);
        let signature = key::sign(secret, &self.scope, to_sign.as_bytes());
        let expected = hex(signature.as_ref());
        verify_slices_are_equal(expected.as_bytes(), self.signature.as_bytes()).map_err(|_| {
            let fault = self.dialect.mismatch();
            if self.dialect != Dialect::S3 {
                return fault;
            }
            // S3 tells what it signed, so that a client can find where it signs otherwise.
            fault
                .with("AWSAccessKeyId", self.key_id.clone())
                .with("StringToSign", to_sign)
                .with("SignatureProvided", self.signature.clone())
                .with("CanonicalRequest", canonical)
        })
    }

    /// A decoder of the request's body, whose chunks must be signed with the key's secret; none when the body is not
    /// framed. To be asked after [`Claim::verify`], which has shown the signature that the chunks begin with.
    pub fn decoder(&self, request: &Request, secret: &str) -> Result<Option<Decoder>, Fault> {
        let Some(framing) = Framing::of(request)? else { return Ok(None) };
        let chain = Chain::new(key::derived(secret, &self.scope), self.date, &self.scope, &self.signature);
        Decoder::new(framing, request, Some(chain)).map(Some)
    }

    /// Whether the token that came along is the one the key needs, compared in constant time.
    pub fn token_is(&self, expected: Option<&str>) -> bool {
        match (expected, self.token.as_deref()) {
            (None, None) => true,
            (Some(expected), Some(token)) => verify_slices_are_equal(expected.as_bytes(), token.as_bytes()).is_ok(),
            _ => false,
        }
    }

    fn check_date(&self, now: Timestamp) -> Result<(), Fault> {
        let early = self.date.0 - now.0 > SKEW_MS;
        let late = match self.kind {
            Kind::Header => now.0 - self.date.0 > SKEW_MS,
            Kind::Query { expires_s } => now.0 - self.date.0 > expires_s * 1000,
        };
        match (early, late, self.kind) {
            (false, false, _) => Ok(()),
            (true, _, Kind::Query { .. }) if self.dialect == Dialect::S3 => {
                Err(Fault::new("AccessDenied", 403, "Request is not yet valid"))
            }
            (true, ..) => Err(self.dialect.too_early(self.date, now)),
            (_, _, Kind::Header) => Err(self.dialect.too_late(self.date, now)),
            (_, _, Kind::Query { expires_s }) => Err(self.dialect.expired_url(self.date, expires_s, now)),
        }
    }
}
