//! URLs as integrations.
//! Source: API Gateway Developer Guide, "Create HTTP proxy integrations for HTTP APIs".

use door::{Body, SiteResponse};
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{Failed, Visit};
use crate::outbound::{Request, Unreached};
use crate::rules::{target, variables};
use crate::{HttpApis, limits};

/// Headers that are about a connection, not about what it carries: RFC 9110, 7.6.1.
const OF_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

impl HttpApis {
    /// Sends a request on to a URL, and its answer back.
    pub(super) async fn pass_on(
        &self,
        visit: &Visit<'_>,
        uri: &str,
        method: Option<&Method>,
        path: Option<&str>,
        timeout: std::time::Duration,
    ) -> Result<SiteResponse, Failed> {
        let request = visit.request;
        let uri = variables::filled(uri, &visit.stage.variables);
        let values = visit.variables();
        let url = match path {
            Some(path) => target::url(target::origin(&uri), "$default", &[], path, &request.query),
            None => target::url(&uri, &visit.route.key, &values, &encoded(&visit.behind()), &request.query),
        };
        let outgoing = Request {
            method: method.unwrap_or(&request.method).clone(),
            url,
            headers: passed_on(visit),
            body: request.body.clone(),
            most_bytes: limits::ANSWER_BYTES,
        };
        match tokio::time::timeout(timeout, self.options.outbound.send(outgoing)).await {
            Ok(Ok(answer)) => {
                let mut headers = answer.headers;
                OF_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
                Ok(SiteResponse { status: answer.status, headers, body: Body::Bytes(answer.body) })
            }
            Ok(Err(why @ (Unreached::TooLarge(..) | Unreached::Refused(..)))) => Err(Failed::internal(why.to_string())),
            Ok(Err(why @ Unreached::Failed(..))) => Err(Failed::unavailable(why.to_string())),
            Err(_) => Err(Failed::unavailable("the integration did not answer in time")),
        }
    }
}

/// A path as URLs have it.
fn encoded(path: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const OF_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'%');
    utf8_percent_encode(path, OF_PATH).to_string()
}

/// The request's headers, with what a proxy adds.
fn passed_on(visit: &Visit<'_>) -> HeaderMap {
    let request = visit.request;
    let mut headers = request.headers.clone();
    OF_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(name, value);
        }
    };
    add("forwarded", &format!("for={};host={};proto=http", request.peer, request.authority));
    add("via", "HTTP/1.1 Lambent");
    headers.remove("x-amzn-trace-id");
    if let Ok(trace) = HeaderValue::from_str(visit.trace) {
        headers.insert("x-amzn-trace-id", trace);
    }
    headers
}
