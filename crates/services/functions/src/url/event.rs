//! The event of a function URL: payload format 2.0.
//! Source: AWS Lambda developer guide, "Invoking Lambda function URLs: request and response payloads".

use std::collections::BTreeMap;

use base::{Principal, Timestamp};
use bytes::Bytes;
use door::{SiteRequest, proxy};
use http::header::{COOKIE, USER_AGENT};
use serde::Serialize;
use serde_json::{Value, json};

use super::LABEL;
use crate::name::Address;
use crate::types::{Url, UrlAuth};

/// One HTTP request for a function.
pub(super) struct Call<'a> {
    pub(super) address: &'a Address,
    pub(super) url: &'a Url,
    pub(super) path: &'a str,
    pub(super) request: &'a SiteRequest,
    pub(super) now: Timestamp,
    pub(super) trace: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: Context<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    account_id: &'a str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Value>,
    domain_name: String,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'static str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: String,
    user_agent: String,
}

/// The event's bytes.
pub(super) fn payload(call: &Call<'_>) -> Bytes {
    let request = call.request;
    let (body, is_base64_encoded) = proxy::body(request);
    let iam = call.url.auth == UrlAuth::Iam;
    let event = Event {
        version: "2.0",
        route_key: "$default",
        raw_path: call.path,
        raw_query_string: &request.query,
        cookies: proxy::cookies(&request.headers),
        headers: headers(call),
        query_string_parameters: proxy::joined(proxy::parameters(&request.query)),
        request_context: Context {
            account_id: if iam { call.address.account.as_str() } else { "anonymous" },
            api_id: &call.url.id,
            authorizer: iam.then(|| authorizer(&request.principal)),
            domain_name: format!("{}.{LABEL}.{}.{}", call.url.id, call.address.region, base_host(&request.host)),
            domain_prefix: &call.url.id,
            http: Http {
                method: request.method.as_str(),
                path: call.path,
                protocol: "HTTP/1.1",
                source_ip: request.peer.to_string(),
                user_agent: proxy::text(&request.headers, &USER_AGENT),
            },
            request_id: request.request_id.as_str(),
            route_key: "$default",
            stage: "$default",
            time: proxy::time(call.now),
            time_epoch: call.now.0,
        },
        body,
        is_base64_encoded,
    };
    serde_json::to_vec(&event).expect("texts and numbers have a JSON form").into()
}

/// What follows the region in a URL's host; `localhost` for the form by path on an address.
fn base_host(host: &str) -> &str {
    let parts: Vec<&str> = host.splitn(4, '.').collect();
    match parts.as_slice() {
        [_, LABEL, _, base] => base,
        _ => "localhost",
    }
}

/// Names in lower case, values of one name joined by commas; cookies have a member of their own.
fn headers(call: &Call<'_>) -> BTreeMap<String, String> {
    let mut many = proxy::headers(call.request, call.trace);
    many.remove(COOKIE.as_str());
    proxy::joined(many)
}

/// What is known of who signed.
fn authorizer(principal: &Principal) -> Value {
    let account = principal.account();
    json!({
        "iam": {
            "accessKey": null,
            "accountId": account.as_str(),
            "callerId": null,
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": principal.arn(),
            "userId": null,
        }
    })
}

#[cfg(test)]
mod tests {
    use base::{Account, Region, RequestId};
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;

    fn request(body: &'static [u8], kind: Option<&'static str>) -> SiteRequest {
        let mut headers = HeaderMap::new();
        headers.append("Header1", HeaderValue::from_static("value1"));
        headers.append("Header1", HeaderValue::from_static("value2"));
        headers.append("User-Agent", HeaderValue::from_static("agent"));
        headers.append("Cookie", HeaderValue::from_static("cookie1=a; cookie2=b"));
        if let Some(kind) = kind {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        SiteRequest {
            method: Method::POST,
            path: "/my/path".into(),
            query: "parameter1=value1&parameter1=value2&parameter2=a%20b".into(),
            host: "abc.lambda-url.us-east-1.localhost".into(),
            authority: "abc.lambda-url.us-east-1.localhost:4566".into(),
            headers,
            body: Bytes::from_static(body),
            peer: [127, 0, 0, 1].into(),
            principal: Principal::Anonymous,
            origin: door::Origin::default(),
            request_id: RequestId::new(&base::SystemRng),
            takeover: None,
        }
    }

    fn event(auth: UrlAuth, request: &SiteRequest) -> Value {
        let address = Address { account: Account::DEFAULT, region: Region::default_region(), name: "f".into() };
        let url = Url { id: "abc".into(), auth, cors: None, streams: false, created_ms: 0, modified_ms: 0 };
        let now = Timestamp::from_civil(2026, 11, 21, 5, 20, 0, 7);
        let bytes = payload(&Call { address: &address, url: &url, path: "/my/path", request, now, trace: "Root=1" });
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn the_event_has_format_2_0() {
        let request = request(b"{\"x\": 1}", Some("application/json; charset=utf-8"));
        let expected = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/my/path",
            "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=a%20b",
            "cookies": ["cookie1=a", "cookie2=b"],
            "headers": {
                "content-type": "application/json; charset=utf-8",
                "header1": "value1,value2",
                "user-agent": "agent",
                "x-amzn-trace-id": "Root=1",
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-port": "4566",
                "x-forwarded-proto": "http",
            },
            "queryStringParameters": { "parameter1": "value1,value2", "parameter2": "a b" },
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "abc",
                "domainName": "abc.lambda-url.us-east-1.localhost",
                "domainPrefix": "abc",
                "http": {
                    "method": "POST",
                    "path": "/my/path",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "agent",
                },
                "requestId": request.request_id.as_str(),
                "routeKey": "$default",
                "stage": "$default",
                "time": "21/Nov/2026:05:20:00 +0000",
                "timeEpoch": 1_795_238_400_007_i64,
            },
            "body": "{\"x\": 1}",
            "isBase64Encoded": false,
        });
        assert_eq!(event(UrlAuth::None, &request), expected);
    }

    #[test]
    fn bytes_and_forms_come_in_base64_and_nothing_is_left_out() {
        for kind in [Some("image/jpeg"), Some("application/x-www-form-urlencoded"), None] {
            let event = event(UrlAuth::None, &request(b"a=1", kind));
            assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("YT0x"), &json!(true)), "{kind:?}");
        }
        let broken = event(UrlAuth::None, &request(b"\xff", Some("text/plain")));
        assert_eq!((&broken["body"], &broken["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
        let empty = event(UrlAuth::None, &request(b"", Some("text/plain")));
        assert_eq!((empty.get("body"), &empty["isBase64Encoded"]), (None, &json!(false)));
    }

    #[test]
    fn signed_requests_say_who_signed() {
        let mut signed = request(b"", None);
        signed.principal = Principal::User { account: Account::DEFAULT, name: "ann".into() };
        let event = event(UrlAuth::Iam, &signed);
        assert_eq!(event["requestContext"]["accountId"], "000000000000");
        assert_eq!(event["requestContext"]["authorizer"]["iam"]["userArn"], "arn:aws:iam::000000000000:user/ann");
    }
}
