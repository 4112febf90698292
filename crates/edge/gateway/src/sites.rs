//! What sites answer: function URLs for anybody, pages for the person at this machine.

use base::{Account, Fault};
use door::{Body, Site, SiteResponse};
use futures_util::StreamExt;
use http::header::{self, HeaderMap, HeaderValue};
use http::{HeaderName, Method};

use crate::arrival::{Arrival, Connection};
use crate::respond::{Outgoing, Response, build, plain};
use crate::way;
use crate::{Gateway, loopback};

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
    pub(crate) async fn public(&self, site: &dyn Site, mut arrival: Arrival<'_>) -> Response {
        let (principal, origin) = match self.visitor(&arrival) {
            Ok(visitor) => visitor,
            Err(fault) => return plain(fault.status, &fault.message),
        };
        let connection = arrival.connection;
        if connection.tls {
            // Of the signature that was checked it is no part.
            let headers = &mut arrival.request.headers;
            headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
            if !arrival.authority.contains(':') {
                headers.insert("x-forwarded-port", HeaderValue::from_static("443"));
            }
        }
        let shares_origin = !way::is_tenants(&arrival.host);
        let only_head = arrival.request.method == Method::HEAD;
        let answer = site.serve(arrival.into_site_request(principal, origin)).await;
        let mut response = from_site(answer, connection, only_head);
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
            Err(fault) => return self.page_refused(&arrival, &fault),
        };
        let connection = arrival.connection;
        let only_head = arrival.request.method == Method::HEAD;
        let answer = site.serve(arrival.into_site_request(caller.principal, caller.origin)).await;
        from_site(answer, connection, only_head)
    }

    /// Why a person does not see a page, in words for a person; a browser shows them bare.
    fn page_refused(&self, arrival: &Arrival<'_>, fault: &Fault) -> Response {
        let words = if !loopback(arrival.connection.entrance.via) {
            "this page is for the person at the machine itself: open it there, on a loopback listener"
        } else if self.options.keys.account_has_keys(Account::DEFAULT) {
            "this account has access keys, so only signed requests are believed, and a browser signs none: \
             use the AWS CLI with a key, or delete the account's keys to see this page"
        } else {
            &fault.message
        };
        if !way::wants_html(arrival) {
            return plain(fault.status, words);
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        build(fault.status, headers, Outgoing::Whole(Some(format!("Lambent: {words}\n").into())))
    }
}

/// `only_head`: the length is the site's word, since there is no body to count.
fn from_site(answer: SiteResponse, connection: &Connection, only_head: bool) -> Response {
    let SiteResponse { status, mut headers, body } = answer;
    for name in OURS {
        if (only_head && name == header::CONTENT_LENGTH) || (status == 101 && name == header::UPGRADE) {
            continue;
        }
        headers.remove(name);
    }
    if status == 101 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
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
