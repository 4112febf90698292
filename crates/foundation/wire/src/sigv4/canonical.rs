//! The canonical form of a request, over which both sides compute the signature.

use std::borrow::Cow;
use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use base::{Fault, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::fault::Dialect;
use super::{ALGORITHM, Claim, Kind, Scope};
use crate::Request;
use crate::chunked::Framing;

/// RFC 3986's unreserved characters stay.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &ENCODED.remove(b'/');

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// `20261121T052000Z`.
pub(crate) fn basic(moment: Timestamp) -> String {
    let (year, month, day, hour, minute, second, _) = moment.civil();
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The payload's part of the canonical request: its hash, or the word that stands for one.
///
/// S3 lets the client name the hash, so it must be the body's.
pub(super) fn payload(request: &Request, kind: Kind, scope: &Scope, dialect: Dialect) -> Result<String, Fault> {
    let s3 = scope.service == "s3";
    let named = request.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    match named {
        Some(UNSIGNED) => return Ok(UNSIGNED.to_owned()),
        // The body's own signatures or checksums stand in it: see `chunked`.
        Some(word) if Framing::of(request)?.is_some() => return Ok(word.to_owned()),
        None if s3 && kind != Kind::Header => return Ok(UNSIGNED.to_owned()),
        _ => {}
    }
    let computed = hex(digest(&SHA256, &request.body).as_ref());
    match named {
        Some(named) if s3 && named != computed => Err(dialect.wrong_hash(named, &computed)),
        _ => Ok(computed),
    }
}

/// What the head of a request says of its body: its hash, or the word that stands for one.
pub(super) fn announced(request: &Request) -> &str {
    let named = request.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    named.unwrap_or(UNSIGNED)
}

/// The canonical request of a claim.
pub(super) fn request(request: &Request, claim: &Claim, payload: &str) -> String {
    let mut out = String::with_capacity(1024);
    out.push_str(request.method.as_str());
    out.push('\n');
    path(&mut out, &request.path, &claim.scope);
    out.push('\n');
    query(&mut out, &request.query);
    out.push('\n');
    for name in claim.signed_headers.split(';') {
        out.push_str(name);
        out.push(':');
        header(&mut out, request, name);
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&claim.signed_headers);
    out.push('\n');
    out.push_str(payload);
    out
}

/// What is signed: algorithm, date, scope and the canonical request's hash.
pub(super) fn string_to_sign(date: Timestamp, scope: &Scope, canonical: &str) -> String {
    let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    format!("{ALGORITHM}\n{}\n{}\n{hash}", basic(date), scope.text())
}

/// S3 signs the path as it is, encoded once. Every other service resolves dots and doubled slashes and encodes what was
/// sent, percent signs included, once more.
fn path(out: &mut String, path: &str, scope: &Scope) {
    if scope.service == "s3" {
        let decoded: Cow<'_, [u8]> = percent_decode(path.as_bytes()).into();
        out.extend(percent_encode(&decoded, PATH));
        return;
    }
    // Nothing to resolve, and nothing to encode but what was encoded: the common case.
    let plain = path.starts_with('/') && !path.contains("//") && !path.contains("/.");
    if plain {
        out.extend(percent_encode(path.as_bytes(), PATH));
        return;
    }
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    for part in &kept {
        out.push('/');
        out.extend(percent_encode(part.as_bytes(), PATH));
    }
    if kept.is_empty() || path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") {
        out.push('/');
    }
}

/// Parameters in order of their encoded names, then values; the signature itself is not part of it.
fn query(out: &mut String, query: &str) {
    if query.is_empty() {
        return;
    }
    let encode = |text: &str| {
        // A plus sign in a query string is a space to AWS.
        let plus = text.replace('+', " ");
        let decoded: Cow<'_, [u8]> = percent_decode(plus.as_bytes()).into();
        percent_encode(&decoded, ENCODED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let and = if index == 0 { "" } else { "&" };
        write!(out, "{and}{name}={value}").expect("writing to memory does not fail");
    }
}

/// A header's values joined by commas, each trimmed and with runs of spaces made one.
fn header(out: &mut String, request: &Request, name: &str) {
    for (index, value) in request.headers.get_all(name).iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        // Most values have nothing to make one.
        if !text.contains("  ") && !text.starts_with(' ') && !text.ends_with(' ') && !text.contains(['\t', '\n', '\r'])
        {
            out.push_str(&text);
            continue;
        }
        let mut words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
        out.extend(words.next());
        for word in words {
            out.push(' ');
            out.push_str(word);
        }
    }
}
