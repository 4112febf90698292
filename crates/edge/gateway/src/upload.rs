//! Bodies that are handed on as they come: an object may be larger than memory.
//!
//! The head is checked before the first byte is asked for. What the head promises of the body (a hash, a length, signed chunks, a trailing
//! checksum) is checked as it comes, and what does not hold is the stream's last word.

use std::collections::VecDeque;
use std::pin::Pin;

use base::Fault;
use bytes::Bytes;
use door::{Body, Pieces};
use futures_util::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue};
use http_body::Body as _;
use wire::chunked::{self, Decoder};
use wire::sigv4::BodyHash;

use crate::Gateway;
use crate::arrival::Arrival;
use crate::arriving::Arriving;
use crate::limits::STREAMED_BYTES;

/// How a body is taken.
pub(crate) enum Way {
    /// Read whole before anything else.
    Whole(Arriving),
    /// Handed on.
    Streams(Box<Upload>),
}

/// A request's body on its way to a call.
pub(crate) enum Upload {
    /// It was read, and lies in the request.
    Read,
    /// It is still to come.
    Comes(Arriving),
}

impl Gateway {
    /// Whether a body is streamed: it is large or of unknown size, its operation takes it so, and its head says what there is
    /// to know of it.
    pub(crate) fn uploaded(&self, arrival: &mut Arrival<'_>, body: Arriving) -> Way {
        let small = body.size_hint().upper().is_some_and(|bytes| bytes <= STREAMED_BYTES);
        let signed = arrival.request.headers.contains_key(http::header::AUTHORIZATION);
        let hashed = arrival.request.headers.contains_key("x-amz-content-sha256");
        if small || (signed && !hashed) {
            return Way::Whole(body);
        }
        let guess = self.addressed(arrival).detect(self.options.services, &arrival.request);
        if !guess.operation.is_ok_and(wire::Operation::streams) {
            return Way::Whole(body);
        }
        arrival.streams = true;
        Way::Streams(Box::new(Upload::Comes(body)))
    }

    /// The body that comes, as the call reads it. To be called once the request's own signature has held.
    pub(crate) fn stream(&self, arrival: &mut Arrival<'_>, incoming: Arriving) -> Result<Body, Fault> {
        let decoder = self.decoder(arrival)?;
        let hash = BodyHash::of(&arrival.request);
        if let Some(decoder) = &decoder {
            let algorithm = trailing(arrival);
            chunked::strip(&mut arrival.request.headers, decoder.decoded_bytes());
            if let Some(algorithm) = algorithm {
                let name = HeaderName::from_static("x-amz-sdk-checksum-algorithm");
                arrival.request.headers.entry(name).or_insert(HeaderValue::from_static(algorithm));
            }
        }
        let announced = arrival.header(CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let coming = Coming { decoder, hash, announced, ..self.coming(incoming) };
        Ok(Body::Stream(coming.pieces()))
    }

    fn coming(&self, incoming: Arriving) -> Coming {
        let pause = self.options.limits.body_pause;
        Coming { incoming, decoder: None, hash: None, decoded: VecDeque::new(), announced: None, came: 0, pause }
    }

    /// A body as it comes, of which the head says nothing that is to be checked.
    pub(crate) fn pieces(&self, incoming: Arriving) -> Pieces {
        self.coming(incoming).pieces()
    }
}

/// The algorithm of the checksum that follows a framed body, if the head does not name it otherwise.
fn trailing(arrival: &Arrival<'_>) -> Option<&'static str> {
    let names = arrival.header("x-amz-trailer")?.split(',');
    let algorithm = names.filter_map(|name| wire::checksum::Algorithm::of_header(name.trim())).next()?;
    Some(algorithm.name())
}

/// A body under way.
struct Coming {
    incoming: Arriving,
    decoder: Option<Decoder>,
    hash: Option<BodyHash>,
    decoded: VecDeque<Bytes>,
    /// Bytes that the head announced, decoded.
    announced: Option<u64>,
    came: u64,
    pause: std::time::Duration,
}

impl Coming {
    fn pieces(self) -> Pieces {
        let pieces = stream::unfold(Some(self), |coming| async move {
            let mut coming = coming?;
            match coming.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(coming))),
                Ok(None) => None,
                // Nothing comes after an error.
                Err(fault) => Some((Err(fault), None)),
            }
        });
        Box::pin(pieces)
    }

    /// The next piece; none when all came and is what the head said.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some(piece) = self.decoded.pop_front() {
                self.came += piece.len() as u64;
                return Ok(Some(piece));
            }
            let next = std::future::poll_fn(|context| Pin::new(&mut self.incoming).poll_frame(context));
            let frame = tokio::time::timeout(self.pause, next).await.map_err(|_| too_slow())?;
            let Some(frame) = frame else {
                self.end()?;
                return Ok(None);
            };
            // Trailers of HTTP's own: no AWS protocol has any.
            let Ok(data) = frame.map_err(|_| incomplete())?.into_data() else { continue };
            if let Some(hash) = &mut self.hash {
                hash.update(&data);
            }
            match &mut self.decoder {
                Some(decoder) => {
                    let decoded = &mut self.decoded;
                    decoder.push(data, &mut |piece| decoded.push_back(piece))?;
                }
                None => self.decoded.push_back(data),
            }
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        if let Some(decoder) = self.decoder.take() {
            decoder.finish()?;
        }
        if self.announced.is_some_and(|announced| announced != self.came) {
            return Err(incomplete());
        }
        self.hash.take().map_or(Ok(()), BodyHash::finish)
    }
}

/// S3: the body stopped coming.
pub(crate) fn too_slow() -> Fault {
    let words = "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.";
    Fault::new("RequestTimeout", 400, words)
}

/// S3: the body ended before its announced length.
pub(crate) fn incomplete() -> Fault {
    let words = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    Fault::new("IncompleteBody", 400, words)
}
