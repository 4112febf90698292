//! Bodies that come or go compressed.
//! Source: API Gateway Developer Guide, "Payload compression for REST APIs in API Gateway": gzip and deflate, of bodies that
//! are not shorter than the API's `minimumCompressionSize`.

use std::io::{self, Read, Write};

use bytes::Bytes;
use door::{Body, SiteRequest, SiteResponse};
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};

use super::Failure;
use crate::limits::BODY_BYTES;

/// Bodies that are longer are not worked on where requests are waited for.
const AT_ONCE: usize = 32 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    // RFC 9110, 8.4.1.2: deflate within zlib.
    Deflate,
}

impl Coding {
    fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn read(self, from: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let most = BODY_BYTES as u64 + 1;
        match self {
            Self::Gzip => GzDecoder::new(from).take(most).read_to_end(&mut out)?,
            Self::Deflate => ZlibDecoder::new(from).take(most).read_to_end(&mut out)?,
        };
        Ok(out)
    }

    fn write(self, from: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(from)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(from)?;
                encoder.finish()
            }
        }
    }
}

/// Does what takes a while for long bodies where it holds up nobody.
///
/// # Errors
/// The platform is ending.
pub(super) async fn apart<T: Send + 'static>(
    body: Bytes,
    work: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> io::Result<T> {
    if body.len() <= AT_ONCE {
        return Ok(work(&body));
    }
    tokio::task::spawn_blocking(move || work(&body)).await.map_err(io::Error::other)
}

/// Takes a request's body apart, if it is compressed and long enough.
pub(super) async fn unpack(request: &mut SiteRequest, least: Option<usize>) -> Result<(), Failure> {
    let Some(least) = least else { return Ok(()) };
    let Some(named) = request.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return Ok(());
    };
    if named.trim().eq_ignore_ascii_case("identity") || request.body.len() < least || request.body.is_empty() {
        return Ok(());
    }
    let coding = Coding::parse(named).ok_or_else(Failure::unsupported)?;
    let plain = apart(request.body.clone(), move |body| coding.read(body)).await;
    let plain = plain.flatten().map_err(|_| Failure::unsupported())?;
    if plain.len() > BODY_BYTES {
        return Err(Failure::too_large());
    }
    request.body = plain.into();
    request.headers.remove(CONTENT_ENCODING);
    Ok(())
}

/// Compresses an answer's body, if the client accepts that and it is long enough.
pub(super) async fn pack(request: &SiteRequest, response: &mut SiteResponse, least: Option<usize>) {
    let (Some(least), Body::Bytes(body)) = (least, &response.body) else { return };
    if body.len() < least || body.is_empty() || response.headers.contains_key(CONTENT_ENCODING) {
        return;
    }
    let Some(coding) = accepted(&request.headers) else { return };
    match apart(body.clone(), move |body| coding.write(body)).await.flatten() {
        Ok(packed) => {
            response.body = Body::Bytes(packed.into());
            response.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        }
        // It goes out as it is.
        Err(error) => tracing::warn!(%error, "an answer was not compressed"),
    }
}

/// The coding that a client likes best: by `q`, then as it names them. `*` names none.
fn accepted(headers: &HeaderMap) -> Option<Coding> {
    let mut best: Option<(f32, Coding)> = None;
    for value in headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for one in value.split(',') {
            let (name, rest) = one.split_once(';').unwrap_or((one, ""));
            let liked = rest.split(';').find_map(|part| part.trim().strip_prefix("q="));
            let liked: f32 = liked.map_or(1.0, |text| text.parse().unwrap_or(0.0));
            let Some(coding) = Coding::parse(name).filter(|_| liked > 0.0) else { continue };
            if best.is_none_or(|(before, _)| liked > before) {
                best = Some((liked, coding));
            }
        }
    }
    best.map(|(_, coding)| coding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_likes_best_is_taken() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(text))]);
            accepted(&headers).map(Coding::as_str)
        };
        assert_eq!(of("gzip, deflate, br"), Some("gzip"));
        assert_eq!(of("gzip;q=0.5, deflate;q=0.8"), Some("deflate"));
        assert_eq!(of("deflate, gzip"), Some("deflate"));
        for none in ["*", "identity", "br", "gzip;q=0", "", "gzip;q=x"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_and_never_more_than_a_body() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = coding.write(b"hello").unwrap();
            assert_eq!(coding.read(&packed).unwrap(), b"hello");
            assert!(coding.read(b"hello").is_err());
            let bomb = coding.write(&vec![0; 3 * BODY_BYTES]).unwrap();
            assert_eq!(coding.read(&bomb).unwrap().len(), BODY_BYTES + 1);
        }
    }
}
