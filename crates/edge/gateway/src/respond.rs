//! Answers as HTTP.

use std::pin::Pin;
use std::task::{Context, Poll};

use base::Fault;
use bytes::Bytes;
use door::{Body, Site, SiteResponse};
use futures_util::{Stream, StreamExt};
use http::header::{self, HeaderMap, HeaderValue};
use http::{HeaderName, StatusCode};
use http_body::{Frame, SizeHint};

use crate::Gateway;
use crate::arrival::{Arrival, Connection};
use crate::body::Unread;
use crate::way::{self, Way};

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

fn build(status: u16, headers: HeaderMap, body: Outgoing) -> Response {
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

/// JSON that is already text.
pub(crate) fn json_text(status: u16, text: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    build(status, headers, Outgoing::Whole(Some(text.into())))
}

/// JSON.
pub(crate) fn json(status: u16, value: &serde_json::Value) -> Response {
    json_text(status, value.to_string())
}

/// A sentence outside every AWS protocol.
pub(crate) fn plain(status: u16, message: &str) -> Response {
    json(status, &serde_json::json!({ "message": message }))
}

/// A refusal that a person reads in a browser.
fn for_people(fault: &Fault) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let words = format!(
        "This page is for the person at this machine: open it there, at http://localhost or http://127.0.0.1. ({})\n",
        fault.message
    );
    build(fault.status, headers, Outgoing::Whole(Some(words.into())))
}

/// A body that was not read; the connection ends, since what is left of it stands in the way of the next request.
pub(crate) fn unread(
    why: &Unread,
    way: &Way<'_>,
    arrival: &Arrival<'_>,
    services: &[&'static wire::Service],
) -> Response {
    let (code, status) = match why {
        Unread::TooLarge { .. } => ("RequestEntityTooLargeException", 413),
        Unread::TooSlow => ("RequestTimeoutException", 408),
        Unread::Broken(_) => ("SerializationException", 400),
    };
    let mut response = match way {
        Way::Api => {
            let guess = wire::route::detect(services, &arrival.request);
            let fault = Fault::new(code, status, why.to_string());
            printed(wire::encode_fault(guess.protocol, guess.service, &fault, arrival.request_id.as_str()))
        }
        _ => plain(status, &why.to_string()),
    };
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
    response
}

/// Headers that are about the connection, not the answer: the gateway's.
const OURS: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

impl Gateway {
    /// A site anybody may call, as who a valid signature says they are.
    pub(crate) async fn public(&self, site: &dyn Site, arrival: Arrival<'_>) -> Response {
        let principal = match self.visitor(&arrival) {
            Ok(principal) => principal,
            Err(fault) => return plain(fault.status, &fault.message),
        };
        let connection = arrival.connection;
        let shares_origin = !way::is_function_url(&arrival.host);
        let answer = site.serve(arrival.into_site_request(principal)).await;
        let mut response = from_site(answer, connection);
        if shares_origin {
            // Tenants' pages stand at the same origin as ours here; as documents they get an origin of their own.
            let policy =
                HeaderValue::from_static("sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads");
            response.headers_mut().append(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    /// A site for the person at this machine: it is shown to whom the APIs would believe.
    pub(crate) async fn page(&self, site: &dyn Site, arrival: Arrival<'_>) -> Response {
        let caller = match self.authenticate(&arrival) {
            Ok(caller) => caller,
            Err(fault) if way::wants_html(&arrival) => return for_people(&fault),
            Err(fault) => return plain(fault.status, &fault.message),
        };
        let connection = arrival.connection;
        let answer = site.serve(arrival.into_site_request(caller.principal)).await;
        from_site(answer, connection)
    }
}

fn from_site(answer: SiteResponse, connection: &Connection) -> Response {
    let SiteResponse { status, mut headers, body } = answer;
    for name in OURS {
        headers.remove(name);
    }
    let is_events =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = match body {
        Body::Empty => Outgoing::Whole(None),
        Body::Bytes(bytes) => Outgoing::Whole(Some(bytes)),
        // Events never end by themselves and their readers come back: they must not hold up a stop.
        Body::Stream(stream) if is_events => Outgoing::Pieces(Box::pin(stream.take_until(connection.stopped()))),
        Body::Stream(stream) => Outgoing::Pieces(stream),
    };
    build(status, headers, body)
}
