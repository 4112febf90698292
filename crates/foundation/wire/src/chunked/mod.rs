//! `aws-chunked` bodies: chunks within the body, each signed over the one before, and headers after the last.
//!
//! Source: AWS, "Signature calculations for the Authorization header: transferring payload in multiple chunks" and
//! "… including trailing headers" (Amazon S3 API reference).

mod chain;
mod decode;
mod encode;
mod fault;

use base::Fault;
use http::HeaderMap;

use crate::Request;

pub use decode::{Decoder, Trailers};
pub use encode::encode;

pub(crate) use chain::Chain;

/// How a body is sent, as `x-amz-content-sha256` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Whether each chunk carries a signature.
    pub signed: bool,
    /// Whether headers follow the last chunk.
    pub trailer: bool,
}

/// The word of a body that nothing is said of.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The words that say so, beside a hash and `UNSIGNED-PAYLOAD`.
const WORDS: [(&str, Framing); 3] = [
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Framing { signed: true, trailer: false }),
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Framing { signed: true, trailer: true }),
    ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Framing { signed: false, trailer: true }),
];

impl Framing {
    /// The framing of a request's body; none when the body is not framed.
    ///
    /// Faults with InvalidArgument, 400, when it names a framing that does not exist, and with NotImplemented for the
    /// asymmetric signatures.
    pub fn of(request: &Request) -> Result<Option<Self>, Fault> {
        let Some(value) = request.headers.get("x-amz-content-sha256") else { return Ok(None) };
        let Ok(text) = value.to_str() else { return Err(fault::unsupported("")) };
        if !text.starts_with("STREAMING-") {
            let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            return if is_hash || text == UNSIGNED { Ok(None) } else { Err(fault::unsupported(text)) };
        }
        if let Some((_, framing)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*framing));
        }
        if text.starts_with("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") {
            return Err(Fault::not_implemented(format_args!("asymmetric signatures ({text})")));
        }
        Err(fault::unsupported(text))
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, framing)| *framing == self).map_or(UNSIGNED, |(word, _)| word)
    }
}

/// Removes what headers say of the framing, once the body is decoded: `aws-chunked` is no encoding of the object.
pub fn strip(headers: &mut HeaderMap, decoded_bytes: u64) {
    let kept: Vec<String> = headers
        .get_all(http::header::CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .map(str::to_owned)
        .collect();
    headers.remove(http::header::CONTENT_ENCODING);
    if !kept.is_empty() {
        crate::codec::header(headers, "content-encoding", &kept.join(","));
    }
    headers.remove("x-amz-decoded-content-length");
    headers.remove(http::header::TRANSFER_ENCODING);
    headers.insert(http::header::CONTENT_LENGTH, http::HeaderValue::from(decoded_bytes));
}
