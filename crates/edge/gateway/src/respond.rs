//! Answers as HTTP.

use std::pin::Pin;
use std::task::{Context, Poll};

use base::{Fault, RequestId};
use bytes::Bytes;
use door::Body;
use futures_util::Stream;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

use crate::Gateway;
use crate::arrival::Arrival;
use crate::body::Unread;
use crate::upload;
use crate::way::Way;

/// An answer on its way to the socket.
pub(crate) type Response = http::Response<Outgoing>;

/// Its body.
pub(crate) enum Outgoing {
    /// Held whole; none once it was handed out.
    Whole(Option<Bytes>),
    /// Pieces as they come; the socket sets the pace.
    Pieces(Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>),
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut *self {
            Self::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Pieces(stream) => {
                stream.as_mut().poll_next(context).map(|next| next.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None)) || matches!(self, Self::Whole(Some(bytes)) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

pub(crate) fn build(status: u16, headers: HeaderMap, body: Outgoing) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    response
}

/// What a codec printed.
pub(crate) fn printed(printed: wire::Response) -> Response {
    build(printed.status, printed.headers, Outgoing::Whole(Some(printed.body)))
}

/// What a codec printed, with the streamed body in place of the codec's where the operation has one.
pub(crate) fn reply(head: wire::Response, body: Body) -> Response {
    match body {
        Body::Empty => printed(head),
        Body::Bytes(bytes) => build(head.status, head.headers, Outgoing::Whole(Some(bytes))),
        Body::Stream(stream) => build(head.status, head.headers, Outgoing::Pieces(stream)),
    }
}

/// The answer with its request's id, if it does not carry one yet: every answer can be found again in the logs.
pub(crate) fn numbered(mut response: Response, id: &RequestId) -> Response {
    let name = HeaderName::from_static("x-amzn-requestid");
    if !response.headers().contains_key(&name)
        && let Ok(value) = HeaderValue::from_str(id.as_str())
    {
        response.headers_mut().insert(name, value);
    }
    response
}

/// JSON that is already text.
pub(crate) fn json_text(status: u16, text: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    build(status, headers, Outgoing::Whole(Some(text.into())))
}

/// Prometheus's text format.
pub(crate) fn text(text: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    build(200, headers, Outgoing::Whole(Some(text.into())))
}

/// A certificate in PEM. Source of the type: RFC 8555, section 9.1.
pub(crate) fn certificate(pem: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pem-certificate-chain"));
    build(200, headers, Outgoing::Whole(Some(pem.into())))
}

/// JSON.
pub(crate) fn json(status: u16, value: &serde_json::Value) -> Response {
    json_text(status, value.to_string())
}

/// A sentence outside every AWS protocol.
pub(crate) fn plain(status: u16, message: &str) -> Response {
    json(status, &serde_json::json!({ "message": message }))
}

impl Gateway {
    /// A body that was not read; the connection ends, since what is left of it stands in the way of the next request.
    pub(crate) fn unread(&self, why: &Unread, way: &Way<'_>, arrival: &Arrival<'_>) -> Response {
        let (code, status) = match why {
            Unread::TooLarge { .. } => ("RequestEntityTooLargeException", 413),
            Unread::TooSlow => ("RequestTimeoutException", 408),
            Unread::Broken(_) => ("SerializationException", 400),
        };
        let response = match way {
            Way::Api => {
                let guess = self.addressed(arrival).detect(self.options.services, &arrival.request);
                let fault = match why {
                    _ if guess.service.is_none_or(|service| !service.bare_errors) => {
                        Fault::new(code, status, why.to_string())
                    }
                    Unread::TooLarge { .. } => Fault::new("MaxMessageLengthExceeded", 400, "Your request was too big."),
                    Unread::TooSlow => upload::too_slow(),
                    Unread::Broken(_) => upload::incomplete(),
                };
                printed(wire::encode_fault(guess.protocol, guess.service, &fault, arrival.request_id.as_str()))
            }
            _ => plain(status, &why.to_string()),
        };
        last(response)
    }
}

/// The last answer of its connection.
pub(crate) fn last(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Lets any page read the answer: whether its request was welcome was decided before.
pub(crate) fn readable_by_pages(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    response
}

/// What pages may send to the AWS APIs: anything. The request itself is then judged by its signature and origin.
pub(crate) fn preflight(arrival: &Arrival<'_>) -> Response {
    let mut response = build(204, HeaderMap::new(), Outgoing::Whole(None));
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers
        .insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(asked) = arrival.request.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    // A page of the internet that speaks to this machine. Source: the draft on private network access, of the WICG.
    if arrival.request.headers.contains_key("access-control-request-private-network") {
        headers.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
    }
    response
}
