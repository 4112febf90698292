//! Answers of the API's own making, which is how most APIs answer browsers' preflights.
//! Source: API Gateway Developer Guide, "Mock integrations for REST APIs in API Gateway".

use bytes::Bytes;
use door::{Body, SiteResponse};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::live::Mock;
use super::{Failure, Visit, values};
use crate::rest::rules::media::{self, Choice};

/// The answer that the request's template chooses.
pub(super) fn answer(visit: &Visit<'_>, mock: &Mock) -> Result<SiteResponse, Failure> {
    let asked = match media::choose(&mock.requests, &mock.passthrough, visit.content_type()) {
        Choice::Template(template) => template.render(visit).body,
        Choice::AsItIs => String::from_utf8_lossy(&visit.request.body).into_owned(),
        Choice::Refused => return Err(Failure::unsupported()),
    };
    let chosen = status(&asked).ok_or_else(|| {
        tracing::debug!(api = visit.live.api.id, "a mock's request names no statusCode");
        Failure::internal()
    })?;
    let chosen = chosen.to_string();
    let by_pattern = mock.answers.iter().find(|one| one.pattern.as_ref().is_some_and(|of| of.is_match(&chosen)));
    let one = by_pattern.or_else(|| mock.answers.iter().find(|one| one.pattern.is_none()));
    let one = one.ok_or_else(Failure::internal)?;
    let mut headers = HeaderMap::new();
    for (name, source) in &one.headers {
        if let Some(Ok(value)) = values::of(visit, source).map(|value| HeaderValue::from_str(&value)) {
            headers.insert(name.clone(), value);
        }
    }
    let (mut code, mut body) = (one.status, Bytes::new());
    let mut content_type = "application/json";
    if let Some((of, template)) = media::accepted(&one.templates, visit.accept()) {
        let made = template.render(visit);
        content_type = of;
        body = made.body.into();
        for (name, value) in made.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
                headers.insert(name, value);
            }
        }
        code = made.status.and_then(|status| u16::try_from(status).ok()).filter(is_status).unwrap_or(code);
    }
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.entry(CONTENT_TYPE).or_insert(value);
    }
    if !is_status(&code) {
        return Err(Failure::internal());
    }
    Ok(SiteResponse { status: code, headers, body: Body::Bytes(body) })
}

// Interim answers (1xx) are none.
fn is_status(status: &u16) -> bool {
    (200..=599).contains(status)
}

/// `statusCode` of what a template made. AWS also takes what is nearly JSON: `{statusCode: 200}`.
fn status(text: &str) -> Option<u64> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => value.get("statusCode")?.as_u64(),
        Err(_) => {
            let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
            let (name, value) = inner.split(',').next()?.split_once(':')?;
            if name.trim().trim_matches(['"', '\'']) != "statusCode" {
                return None;
            }
            value.trim().parse().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_status_is_read_from_what_frameworks_write() {
        for text in ["{\"statusCode\": 200}", "{statusCode:200}", "{ statusCode: 200 }", "{'statusCode': 200}\n"] {
            assert_eq!(super::status(text), Some(200), "{text}");
        }
        for text in ["", "{}", "{\"statusCode\": \"200\"}", "{\"a\": \"statusCode\"}", "statusCode:200", "{other:200}"]
        {
            assert_eq!(super::status(text), None, "{text}");
        }
    }
}
