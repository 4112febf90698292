//! Signing as a client: our own command line calls the platform like everyone else.

use base::Timestamp;
use http::HeaderValue;

use super::canonical::{self, basic, hex, string_to_sign};
use super::claim::{Claim, Kind};
use super::fault::Dialect;
use super::{ALGORITHM, Scope, key};
use crate::Request;
use crate::codec::header;

/// Who signs, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The access key's id.
    pub key_id: &'a str,
    /// Its secret.
    pub secret: &'a str,
    /// The session token of temporary credentials.
    pub token: Option<&'a str>,
    /// The region, for example `us-east-1`.
    pub region: &'a str,
    /// The signing name of the service.
    pub service: &'a str,
}

/// Signs in the `Authorization` header. Adds `x-amz-date`, and for temporary credentials the token; S3 also gets the
/// body's hash, unless `x-amz-content-sha256` already says what stands for it. `host` must be set, and neither path, query, body nor signed headers may change afterwards.
pub fn sign(request: &mut Request, signer: &Signer<'_>, now: Timestamp) {
    let date = basic(now);
    header(&mut request.headers, "x-amz-date", &date);
    if let Some(token) = signer.token {
        header(&mut request.headers, "x-amz-security-token", token);
    }
    // Who frames the body has already said how; S3 otherwise gets the body's hash.
    let named = request.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let payload = named.unwrap_or_else(|| {
        let hash = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &request.body).as_ref());
        if signer.service == "s3" {
            header(&mut request.headers, "x-amz-content-sha256", &hash);
        }
        hash
    });
    let mut signed_headers: Vec<String> = request.headers.keys().map(|name| name.as_str().to_owned()).collect();
    signed_headers.retain(|name| matches!(name.as_str(), "host" | "content-type") || name.starts_with("x-amz-"));
    signed_headers.sort_unstable();
    let signed_headers = signed_headers.join(";");
    let scope =
        Scope { date: date[..8].to_owned(), region: signer.region.to_owned(), service: signer.service.to_owned() };
    let claim = Claim {
        key_id: signer.key_id.to_owned(),
        scope,
        signed_headers,
        signature: String::new(),
        token: None,
        kind: Kind::Header,
        date: now,
        dialect: Dialect::Rest,
    };
    let canonical = canonical::request(request, &claim, &payload);
    let to_sign = string_to_sign(now, &claim.scope, &canonical);
    let signature = hex(key::sign(signer.secret, &claim.scope, to_sign.as_bytes()).as_ref());
    let text = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        signer.key_id,
        claim.scope.text(),
        claim.signed_headers
    );
    // Key ids and header names are ASCII, so this is always a header's value; were it not, the server would say so.
    request
        .headers
        .insert(http::header::AUTHORIZATION, HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")));
}
