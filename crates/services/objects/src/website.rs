//! Websites of buckets: plain HTTP at hosts of their own, for anybody who may read the objects.
//!
//! `BUCKET.s3-website.REGION.ANYTHING` or `BUCKET.s3-website-REGION.ANYTHING`. Source: Amazon S3 User Guide, "Key differences between a website
//! endpoint and a REST API endpoint" and "Configuring a custom error document".

use std::fmt::Write as _;
use std::sync::Arc;

use base::{BoxFuture, Fault, Principal};
use bytes::Bytes;
use door::{Body, Buckets, Context, CrossOrigin, Handle, Site, SiteRequest, SiteResponse, Via, Visit};
use http::Method;
use http::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    LOCATION, ORIGIN, RANGE,
};
use model::s3::{self, WebsiteConfiguration, ops};
use percent_encoding::percent_decode_str;
use store::Space;
use wire::{Op, Protocol};

use crate::rules::website::{self, Elsewhere};
use crate::settled::WEBSITE;
use crate::types::{Bucket, Head};
use crate::{Objects, faults, state};

/// The websites of all buckets.
pub struct Websites(pub Arc<Objects>);

impl Site for Websites {
    fn claims(&self, host: &str, _: &str) -> bool {
        website::bucket_of(host).is_some()
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        Box::pin(async move {
            let name = website::bucket_of(&request.host).unwrap_or_default().to_owned();
            let origin = request.headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
            let shared = origin.and_then(|origin| {
                let method = match request.headers.get("access-control-request-method") {
                    Some(method) if request.method == Method::OPTIONS => method.to_str().ok()?,
                    _ => request.method.as_str(),
                };
                let asked = request.headers.get("access-control-request-headers");
                let headers = asked.filter(|_| request.method == Method::OPTIONS).and_then(|asked| asked.to_str().ok());
                Some(self.0.share(&name, &CrossOrigin { origin, method, headers }))
            });
            let mut response = match (&request.method, &shared) {
                (&Method::OPTIONS, Some(Ok(_))) => SiteResponse { status: 200, ..SiteResponse::default() },
                (&Method::OPTIONS, Some(Err(fault))) => page(fault, None, request.request_id.as_str()),
                _ => self.answer(&name, &request).await,
            };
            if let Some(Ok(headers)) = shared {
                response.headers.extend(headers);
            }
            response
        })
    }
}

impl Websites {
    async fn answer(&self, name: &str, request: &SiteRequest) -> SiteResponse {
        match self.found(name, request).await {
            Ok(response) => response,
            Err(fault) => page(&fault, None, request.request_id.as_str()),
        }
    }

    async fn found(&self, name: &str, request: &SiteRequest) -> Result<SiteResponse, Fault> {
        let bucket = self.0.find(name)?.ok_or_else(|| faults::no_bucket(name))?;
        let none = || {
            Fault::new("NoSuchWebsiteConfiguration", 404, "The specified bucket does not have a website configuration")
                .with("BucketName", name)
        };
        let text = bucket.settings.get(WEBSITE).ok_or_else(none)?;
        let site: WebsiteConfiguration = wire::recall(text).map_err(|_| none())?;
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let words = "The specified method is not allowed against this resource.";
            return Err(Fault::new("MethodNotAllowed", 405, words)
                .with("Method", request.method.as_str())
                .with("ResourceType", "OBJECT"));
        }
        if let Some(all) = &site.redirect_all_requests_to {
            return Ok(elsewhere(&website::all(all, &request.path)));
        }
        let path = request.path.strip_prefix('/').unwrap_or(&request.path);
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let rules = site.routing_rules.as_deref().unwrap_or_default();
        if let Some(to) = website::routed(rules, &path, None, &request.authority) {
            return Ok(elsewhere(&to));
        }
        let suffix = site.index_document.as_ref().and_then(|index| index.suffix.as_deref()).unwrap_or_default();
        let key = website::key_of(&path, suffix);
        let visit = Visitor { room: &self.0, name, bucket: &bucket, request };
        let fault = match visit.read(&key, true).await {
            Ok(response) => return Ok(response),
            Err(fault) if fault.code == "NoSuchKey" && !path.is_empty() && !path.ends_with('/') => {
                if visit.exists(&format!("{path}/{suffix}"))? {
                    return Ok(elsewhere(&website::with_slash(&path)));
                }
                fault
            }
            Err(fault) => fault,
        };
        if fault.status == 304 {
            return Err(fault);
        }
        if let Some(to) = website::routed(rules, &path, Some(fault.status), &request.authority) {
            return Ok(elsewhere(&to));
        }
        let document = site.error_document.and_then(|document| document.key).filter(|_| fault.status < 500);
        let Some(document) = document else { return Err(fault) };
        Ok(match visit.read(&document, false).await {
            Ok(response) => SiteResponse { status: fault.status, ..response },
            Err(second) => page(&fault, Some(&second), request.request_id.as_str()),
        })
    }
}

/// Somebody at a website.
struct Visitor<'a> {
    room: &'a Arc<Objects>,
    name: &'a str,
    bucket: &'a Bucket,
    request: &'a SiteRequest,
}

impl Visitor<'_> {
    fn exists(&self, key: &str) -> Result<bool, Fault> {
        let row = state::head(self.bucket.generation, key);
        let head: Option<Head> = store::get_json(&*self.room.kv, Space::Object, &row)?;
        Ok(head.is_some_and(|head| !head.current.is_marker()))
    }

    /// An object as an answer, if anybody may read it; `as_asked`: in part, or not at all if the visitor has it.
    async fn read(&self, key: &str, as_asked: bool) -> Result<SiteResponse, Fault> {
        let request = self.request;
        let region = self.bucket.region();
        let visit = Visit { origin: &request.origin, region: &region, request: request.request_id };
        if !self.room.is_readable(&visit, self.name, self.bucket, key) {
            return Err(faults::denied());
        }
        if !self.exists(key)? {
            return Err(faults::no_key(key));
        }
        let mut asked = HeaderMap::new();
        for name in [RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
            if let Some(value) = request.headers.get(&name).filter(|_| as_asked) {
                asked.insert(name, value.clone());
            }
        }
        let asked = wire::Request {
            method: Method::GET,
            path: "/bucket/key".into(),
            query: String::new(),
            headers: asked,
            body: Bytes::new(),
        };
        let any: Box<dyn std::any::Any> = wire::decode(Protocol::RestXml, ops::GetObject::ROW, asked)?;
        let input = any.downcast::<s3::GetObjectRequest>().map_err(|_| Fault::internal("a request of another kind"))?;
        let input = s3::GetObjectRequest { bucket: Some(self.name.to_owned()), key: Some(key.to_owned()), ..*input };
        let context = Context {
            principal: Principal::Anonymous,
            origin: request.origin.clone(),
            via: Via::Room("website"),
            account: self.bucket.account(),
            region: region.clone(),
            request_id: request.request_id,
            deadline: None,
            depth: 0,
            trace: None,
            host: Some(request.authority.clone()),
        };
        let answer = Handle::<ops::GetObject>::handle(Arc::clone(self.room), context, input, Body::Empty).await?;
        if let Some(location) = &answer.output.website_redirect_location {
            return Ok(elsewhere(&Elsewhere { status: 301, location: location.clone() }));
        }
        let id = request.request_id;
        let head = wire::encode(Protocol::RestXml, ops::GetObject::ROW, &answer.output, id.as_str());
        let body = if request.method == Method::HEAD { Body::Empty } else { answer.body };
        Ok(SiteResponse { status: head.status, headers: head.headers, body })
    }
}

fn elsewhere(to: &Elsewhere) -> SiteResponse {
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::from_str(&to.location) {
        headers.insert(LOCATION, location);
    }
    SiteResponse { status: to.status, headers, body: Body::Empty }
}

/// What S3 shows of a fault, and of the one that kept the site's own error document from being shown.
fn page(fault: &Fault, second: Option<&Fault>, id: &str) -> SiteResponse {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("x-amz-request-id", id);
    put("x-amz-error-code", &fault.code);
    put("x-amz-error-message", &fault.message);
    if fault.status == 304 {
        return SiteResponse { status: 304, headers, body: Body::Empty };
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let status = http::StatusCode::from_u16(fault.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let title = format!("{} {}", fault.status, status.canonical_reason().unwrap_or_default());
    let mut text = format!("<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n");
    list(&mut text, fault);
    let _ = write!(text, "<li>RequestId: {id}</li>\n<li>HostId: {id}</li>\n</ul>\n");
    if let Some(second) = second {
        text += "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n";
        list(&mut text, second);
        text += "</ul>\n";
    }
    text += "<hr/>\n</body>\n</html>\n";
    SiteResponse { status: fault.status, headers, body: Body::Bytes(Bytes::from(text)) }
}

fn list(out: &mut String, fault: &Fault) {
    let plain =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    // Writing to a String cannot fail.
    let _ = write!(out, "<li>Code: {}</li>\n<li>Message: {}</li>\n", plain(&fault.code), plain(&fault.message));
    for (name, value) in &fault.fields {
        let _ = writeln!(out, "<li>{}: {}</li>", plain(name), plain(value));
    }
}
