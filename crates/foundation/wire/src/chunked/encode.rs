//! Frames a body as clients do.

use std::fmt::Write;

use base::Timestamp;
use bytes::Bytes;

use super::{Chain, Framing};
use crate::Request;
use crate::codec::header;
use crate::sigv4::{self, Signer, key};

/// Frames the request's body in chunks of `chunk_bytes`, signs the request and, where the framing says so, every chunk and
/// the trailing headers. `trailers` are lower-case names and values; none where the framing has none.
pub fn encode(
    request: &mut Request,
    framing: Framing,
    chunk_bytes: usize,
    trailers: &[(&str, &str)],
    signer: &Signer<'_>,
    now: Timestamp,
) {
    let body = std::mem::take(&mut request.body);
    header(&mut request.headers, "x-amz-content-sha256", framing.word());
    header(&mut request.headers, "x-amz-decoded-content-length", &body.len().to_string());
    header(&mut request.headers, "content-encoding", "aws-chunked");
    if framing.trailer {
        let names: Vec<_> = trailers.iter().map(|(name, _)| *name).collect();
        header(&mut request.headers, "x-amz-trailer", &names.join(","));
    }
    sigv4::sign(request, signer, now);
    let claim = sigv4::parse(request).ok().flatten();
    let mut chain = claim
        .filter(|_| framing.signed)
        .map(|claim| Chain::new(key::derived(signer.secret, &claim.scope), claim.date, &claim.scope, &claim.signature));
    let mut out = Vec::with_capacity(body.len() + 256);
    let empty: &[u8] = &[];
    for chunk in body.chunks(chunk_bytes.max(1)).chain([empty]) {
        let mut line = format!("{:x}", chunk.len());
        if let Some(chain) = &mut chain {
            chain.update(chunk);
            write!(line, ";chunk-signature={}", chain.chunk()).expect("writing to memory does not fail");
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(chunk);
        if !chunk.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
    }
    let canonical: String = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    out.extend_from_slice(canonical.replace('\n', "\r\n").as_bytes());
    if let Some(chain) = chain.as_mut().filter(|_| framing.trailer) {
        out.extend_from_slice(format!("x-amz-trailer-signature:{}\r\n", chain.trailer(&canonical)).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    request.body = Bytes::from(out);
}
