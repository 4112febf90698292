//! Cross-origin requests to function URLs, answered from the URL's configuration.
//! Source: AWS Lambda API reference, `Cors`.

use bytes::Bytes;
use door::proxy::{SHARING, put_list};
use door::{Body, SiteRequest, SiteResponse};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};

use crate::types::Cors;

/// The answer to a browser that asks before it sends the request itself: the function is not invoked.
pub(super) fn preflight(cors: &Cors, request: &SiteRequest) -> SiteResponse {
    let mut headers = HeaderMap::new();
    if let Some(origin) = request.headers.get(ORIGIN)
        && answer(cors, origin, &mut headers)
    {
        put_list(&mut headers, ACCESS_CONTROL_ALLOW_METHODS, cors.allow_methods.as_ref());
        put_list(&mut headers, ACCESS_CONTROL_ALLOW_HEADERS, cors.allow_headers.as_ref());
        if let Some(seconds) = cors.max_age_s {
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
        }
    }
    SiteResponse { status: 200, headers, body: Body::Bytes(Bytes::new()) }
}

/// Tells the browser that the origin may read the answer, if it may. What the function itself said of it gives way.
pub(super) fn answer(cors: &Cors, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
    let origins = cors.allow_origins.as_deref().unwrap_or_default();
    let everyone = origins.iter().any(|allowed| allowed == "*");
    let credentials = cors.allow_credentials == Some(true);
    let allowed = everyone || origins.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()));
    for name in SHARING {
        headers.remove(name);
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if !allowed {
        return false;
    }
    let told = if everyone && !credentials { HeaderValue::from_static("*") } else { origin.clone() };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, told);
    if credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    put_list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose_headers.as_ref());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cors: &Cors, origin: &'static str) -> Option<HeaderValue> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("from the function"));
        answer(cors, &HeaderValue::from_static(origin), &mut headers);
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN)
    }

    #[test]
    fn only_listed_origins_are_told_that_they_may() {
        let one = Cors { allow_origins: Some(vec!["https://example.org".into()]), ..Cors::default() };
        assert_eq!(told(&one, "https://example.org").unwrap(), "https://example.org");
        assert_eq!(told(&one, "https://example.com"), None);
        let all = Cors { allow_origins: Some(vec!["*".into()]), ..Cors::default() };
        assert_eq!(told(&all, "https://example.com").unwrap(), "*");
        // A browser refuses the star beside credentials.
        let with = Cors { allow_credentials: Some(true), ..all };
        assert_eq!(told(&with, "https://example.com").unwrap(), "https://example.com");
    }
}
