//! Answers that go out as the function writes them.
//! Source: AWS Lambda developer guide, "Response streaming for Lambda functions" and "Building a custom runtime".

use bytes::{Bytes, BytesMut};
use door::{Body, SiteResponse};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use invoker::Finished;

use super::{failed, interpreted, response};
use crate::flow::{Flow, News};

/// What parts a prelude from the body.
const DELIMITER: [u8; 8] = [0; 8];
/// Longest prelude, bytes: ours.
const PRELUDE_BYTES: usize = 64 * 1024;

/// What is known of the answer before its first byte goes out.
enum Opening {
    /// Nothing.
    Unknown,
    /// The content type; the status is 200.
    Plain(HeaderValue),
    /// A prelude will say; what has come of it.
    Prelude(BytesMut),
}

impl Opening {
    fn of(content_type: Option<&str>, streams: bool) -> Self {
        let kind = content_type.unwrap_or(if streams { response::BYTES_TYPE } else { "application/json" });
        if kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(response::PRELUDE_TYPE) {
            return Self::Prelude(BytesMut::new());
        }
        let otherwise = HeaderValue::from_static(response::BYTES_TYPE);
        Self::Plain(HeaderValue::from_str(kind).unwrap_or(otherwise))
    }

    /// Takes bytes; answers once the head is known: with the status, the headers and what of the body has come.
    fn take(&mut self, bytes: Bytes) -> Result<Option<Head>, Unclear> {
        match self {
            Self::Unknown => Err(Unclear),
            Self::Plain(kind) => {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, kind.clone());
                Ok(Some((200, headers, bytes)))
            }
            Self::Prelude(so_far) => {
                let before = so_far.len().saturating_sub(DELIMITER.len());
                so_far.extend_from_slice(&bytes);
                let found = so_far[before..].windows(DELIMITER.len()).position(|eight| eight == DELIMITER);
                let Some(end) = found.map(|at| before + at) else {
                    return if so_far.len() > PRELUDE_BYTES { Err(Unclear) } else { Ok(None) };
                };
                let (status, headers) = response::prelude(&so_far[..end]).ok_or(Unclear)?;
                let rest = so_far.split_off(end + DELIMITER.len()).freeze();
                Ok(Some((status, headers, rest)))
            }
        }
    }
}

type Head = (u16, HeaderMap, Bytes);

/// What the function wrote is no answer.
struct Unclear;

/// The answer, once its first byte or its end has come.
pub(super) async fn answer(mut flow: Flow) -> SiteResponse {
    let mut opening = Opening::Unknown;
    loop {
        match flow.next().await {
            News::Begun { content_type, streams } => opening = Opening::of(content_type.as_deref(), streams),
            News::Bytes(bytes) => match opening.take(bytes) {
                Ok(None) => {}
                Ok(Some((status, headers, first))) => {
                    return SiteResponse { status, headers, body: Body::Stream(flow.into_body(first)) };
                }
                // The function goes on, and nobody reads what it writes.
                Err(Unclear) => return response::bad_gateway(),
            },
            News::Ended(Err(fault)) => return failed(&fault),
            News::Ended(Ok(done)) => return empty(&opening, &done),
        }
    }
}

/// The answer of a function that has ended before a byte of its body came.
fn empty(opening: &Opening, done: &invoker::Done) -> SiteResponse {
    let response = match (&done.result, opening) {
        (Finished::Response(_), Opening::Plain(kind)) => {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.clone());
            SiteResponse { status: 200, headers, body: Body::Empty }
        }
        _ => response::bad_gateway(),
    };
    interpreted(response, done)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(pieces: &[&[u8]]) -> Option<(u16, HeaderMap, Vec<u8>)> {
        let mut opening = Opening::of(Some(response::PRELUDE_TYPE), true);
        let mut pieces = pieces.iter();
        while let Some(piece) = pieces.next() {
            match opening.take(Bytes::copy_from_slice(piece)) {
                Ok(None) => {}
                Ok(Some((status, headers, first))) => {
                    let rest = pieces.flat_map(|piece| piece.to_vec());
                    return Some((status, headers, first.into_iter().chain(rest).collect()));
                }
                Err(Unclear) => return None,
            }
        }
        None
    }

    #[test]
    fn a_prelude_says_status_headers_and_cookies() {
        let whole = b"{\"statusCode\": 418, \"headers\": {\"X-A\": \"b\"}, \"cookies\": [\"a=1\", \"b=2\"]}\0\0\0\0\0\0\0\0\0body";
        let (status, headers, body) = taken(&[whole]).unwrap();
        assert_eq!((status, body.as_slice()), (418, b"\0body".as_slice()));
        assert_eq!(
            (&headers["x-a"], &headers[CONTENT_TYPE]),
            (&"b".parse().unwrap(), &"application/octet-stream".parse().unwrap())
        );
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        let (status, ..) = taken(&[b"{}\0\0\0\0\0\0\0\0"]).unwrap();
        assert_eq!(status, 200);
    }

    #[test]
    fn what_is_no_prelude_is_unclear() {
        let long = vec![b' '; PRELUDE_BYTES + 1];
        for wrong in [
            &b"no json\0\0\0\0\0\0\0\0"[..],
            b"{\"statusCode\": 99}\0\0\0\0\0\0\0\0",
            b"{\"headers\": 1}\0\0\0\0\0\0\0\0",
            &long,
        ] {
            assert!(taken(&[wrong]).is_none());
        }
    }

    proptest! {
        #[test]
        fn where_a_prelude_is_cut_does_not_matter(cuts in proptest::collection::vec(0usize..30, 0..6)) {
            let whole = b"{\"statusCode\":201}\0\0\0\0\0\0\0\0rest";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|two| &whole[two[0]..two[1]]).collect();
            let (status, _, body) = taken(&pieces).unwrap();
            prop_assert_eq!((status, body), (201, b"rest".to_vec()));
        }
    }
}
