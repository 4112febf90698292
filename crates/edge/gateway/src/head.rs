//! Heads that say two things at once. Whoever stands between a client and this server may read the other one, and then take one
//! request for two: so none of them is answered, and their connection ends.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Version};
use hyper::Request;

/// Why a request cannot be taken as it stands: status and sentence.
pub(crate) type Refusal = (u16, &'static str);

/// Looks at what HTTP itself leaves open. Sources: RFC 9112, sections 3.2 and 6; RFC 9113, section 8.3.1.
///
/// Of a Content-Length beside a Transfer-Encoding hyper lets nothing through, and the connection ends after such a request; several in
/// HTTP/1 that are equal become one.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let (mut lengths, mut coding, mut host) = (0, None, None);
    // One walk: every request pays for it.
    for (name, value) in request.headers() {
        if name == HOST {
            if host.replace(value).is_some() {
                return Err((400, "a request has one Host"));
            }
        } else if name == CONTENT_LENGTH {
            lengths += 1;
        } else if name == TRANSFER_ENCODING && coding.replace(value).is_some() {
            lengths += 2;
        }
    }
    if lengths > 1 {
        return Err((400, "the length of the body is said more than once"));
    }
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err((501, "the only Transfer-Encoding understood here is chunked"));
    }
    check_host(request, host)
}

/// The host is one, and the target's.
fn check_host<B>(request: &Request<B>, host: Option<&HeaderValue>) -> Result<(), Refusal> {
    let target = request.uri().authority();
    let Some(host) = host else {
        let needed = request.version() == Version::HTTP_11 && target.is_none();
        return if needed { Err((400, "a request needs a Host")) } else { Ok(()) };
    };
    if !host.as_bytes().iter().all(|byte| OF_A_HOST[usize::from(*byte)]) {
        return Err((400, "the Host is no host"));
    }
    match target {
        Some(target) if !target.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            Err((400, "the request's target and its Host differ"))
        }
        _ => Ok(()),
    }
}

/// What a name, an address or a port is written with: no blank, no control character, nothing that ends an authority, and no user.
const OF_A_HOST: [bool; 256] = {
    let (mut may, mut byte) = ([false; 256], 0);
    while byte < 256 {
        may[byte] = (byte as u8).is_ascii_graphic()
            && !matches!(
                byte as u8,
                b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}'
            );
        byte += 1;
    }
    may
};

#[cfg(test)]
mod tests {
    use super::*;

    fn status(target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap()).map_or_else(|(status, _)| status, |()| 200)
    }

    #[test]
    fn a_head_says_one_thing() {
        let host = ("host", "localhost:4566");
        for (target, headers, expected) in [
            ("/", &[host][..], 200),
            ("/", &[host, ("content-length", "1")], 200),
            ("/", &[host, ("transfer-encoding", "Chunked")], 200),
            ("/", &[host, ("content-length", "1"), ("content-length", "1")], 400),
            ("/", &[host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], 400),
            ("/", &[host, ("transfer-encoding", "gzip, chunked")], 501),
            ("/", &[host, ("transfer-encoding", "xchunked")], 501),
            ("/", &[], 400),
            ("/", &[host, host], 400),
            ("/", &[("host", "")], 200),
            ("/", &[("host", "a b")], 400),
            ("/", &[("host", "a/b")], 400),
            ("/", &[("host", "a@b")], 400),
            ("/", &[("host", "[::1]:4566")], 200),
            ("http://LOCALHOST:4566/", &[host], 200),
            ("http://localhost:4566/", &[], 200),
            ("http://localhost:4567/", &[host], 400),
            ("http://evil.example/", &[host], 400),
        ] {
            assert_eq!(status(target, headers), expected, "{target} {headers:?}");
        }
    }
}
