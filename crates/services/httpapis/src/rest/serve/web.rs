//! URLs as integrations.
//! Source: API Gateway Developer Guide, "HTTP integrations for REST APIs in API Gateway".

use door::{Body, SiteResponse};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::live::{Ready, Url};
use super::notes::Weight;
use super::{Failure, Visit, answer, values};
use crate::outbound::{Request, Unreached};
use crate::rest::RestApis;
use crate::rules::{path, target, variables};

/// Headers that are about a connection, not about what it carries: RFC 9110, 7.6.1.
const OF_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];

impl RestApis {
    /// Sends a request on to a URL, and its answer back.
    pub(super) async fn pass_on(&self, visit: &Visit<'_>, route: &Ready, url: &Url) -> Result<SiteResponse, Failure> {
        let uri = variables::filled(&url.uri, &visit.stage.variables);
        let named: Vec<(&str, String)> =
            values::added(visit, "path").map(|(name, value)| (name, path::decoded(&value).into_owned())).collect();
        let outgoing = Request {
            method: url.method.as_ref().unwrap_or(&visit.request.method).clone(),
            url: target::url(&uri, &route.key, &named, "", &query(visit)),
            headers: headers(visit),
            body: visit.request.body.clone(),
            most_bytes: crate::limits::ANSWER_BYTES,
        };
        visit.note(Weight::Data, || format!("Endpoint request URI: {}", outgoing.url));
        visit.note(Weight::Data, || {
            format!("Endpoint request body after transformations: {}", String::from_utf8_lossy(&outgoing.body))
        });
        visit.note(Weight::Info, || format!("Sending request to {}", outgoing.url));
        match tokio::time::timeout(route.timeout, self.options().outbound.send(outgoing)).await {
            Ok(Ok(given)) => Ok(SiteResponse {
                status: given.status,
                headers: answer::remapped(given.headers),
                body: Body::Bytes(given.body),
            }),
            Ok(Err(why)) => {
                tracing::debug!(api = visit.live.api.id, %why, "an integration does not answer");
                Err(match why {
                    Unreached::TooLarge(..) | Unreached::Refused(..) => Failure::internal(),
                    Unreached::Failed(..) => Failure::unreached(),
                })
            }
            Err(_) => Err(Failure::timed_out()),
        }
    }
}

/// What was sent, and what the integration's parameters add.
fn query(visit: &Visit<'_>) -> String {
    let added: Vec<(&str, String)> = values::added(visit, "querystring").collect();
    if added.is_empty() {
        return visit.request.query.clone();
    }
    let sent = form_urlencoded::parse(visit.request.query.as_bytes());
    let kept = sent.filter(|(name, _)| !added.iter().any(|(other, _)| other == name));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept).extend_pairs(added.iter().map(|(name, value)| (*name, &**value)));
    query.finish()
}

/// What was sent, with what a proxy adds, and what the integration's parameters do.
fn headers(visit: &Visit<'_>) -> HeaderMap {
    let (request, api) = (visit.request, &visit.live.api);
    let mut headers = request.headers.clone();
    OF_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let forwarded = forwarded.map_or_else(|| request.peer.to_string(), |before| format!("{before}, {}", request.peer));
    let port = request.authority.rsplit_once(':').map_or("80", |(_, port)| port);
    let proto = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()).unwrap_or("http").to_owned();
    let mut set = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    };
    set("x-forwarded-for", &forwarded);
    set("x-forwarded-port", port);
    set("x-forwarded-proto", &proto);
    set("x-amzn-trace-id", visit.trace);
    set("x-amzn-apigateway-api-id", &api.id);
    for (name, value) in values::added(visit, "header") {
        set(name, &value);
    }
    headers
}
