//! Heads that say two things at once. Whoever stands between a client and this server may read the other one, and then take one
//! request for two: so none of them is answered, and their connection ends.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, Version};
use hyper::Request;

/// Why a request cannot be taken as it stands: status and sentence.
pub(crate) type Refusal = (u16, &'static str);

/// Looks at what HTTP itself leaves open. Sources: RFC 9112, sections 3.2 and 6; RFC 9113, section 8.3.1.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    framing(request.headers())?;
    host(request)
}

/// The length of the body is said once. Of a Content-Length beside a Transfer-Encoding hyper lets nothing through, and the connection ends
/// after such a request; several that are equal become one.
fn framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if lengths > 1 || codings.next().is_some() {
        return Err((400, "the length of the body is said more than once"));
    }
    let Some(coding) = coding else { return Ok(()) };
    if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err((501, "the only Transfer-Encoding understood here is chunked"));
    }
    Ok(())
}

/// The host is said once, and is one.
fn host<B>(request: &Request<B>) -> Result<(), Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err((400, "a request has one Host"));
    }
    let target = request.uri().authority();
    let Some(host) = host else {
        let needed = request.version() == Version::HTTP_11 && target.is_none();
        return if needed { Err((400, "a request needs a Host")) } else { Ok(()) };
    };
    if host.is_empty() && target.is_none() {
        return Ok(());
    }
    let host: Authority = host.to_str().ok().and_then(|host| host.parse().ok()).ok_or((400, "the Host is no host"))?;
    match target {
        Some(target) if *target != host => Err((400, "the request's target and its Host differ")),
        _ => Ok(()),
    }
}

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
            ("http://LOCALHOST:4566/", &[host], 200),
            ("http://localhost:4566/", &[], 200),
            ("http://localhost:4567/", &[host], 400),
            ("http://evil.example/", &[host], 400),
        ] {
            assert_eq!(status(target, headers), expected, "{target} {headers:?}");
        }
    }
}
