//! Pages of other origins, by an API's CORS configuration.
//! Source: API Gateway Developer Guide, "Configure CORS for HTTP APIs".

use base::Fault;
use door::proxy::{SHARING, put_list};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderName,
    HeaderValue,
};

use crate::faults;
use crate::types::Cors;

/// Whether a configuration makes sense.
///
/// # Errors
/// BadRequestException.
pub(crate) fn check(cors: &Cors) -> Result<(), Fault> {
    let origins = cors.origins.as_deref().unwrap_or_default();
    for origin in origins {
        let (scheme, rest) = origin.split_once("://").unwrap_or(("", origin));
        let fits = match (scheme, rest) {
            ("", rest) => rest == "*",
            (_, "") => false,
            (_, rest) => {
                !rest.contains('/') && (!rest.contains('*') || (rest == "*" && matches!(scheme, "http" | "https")))
            }
        };
        if !fits {
            return Err(faults::bad(format!(
                "Invalid format for origin: {origin}. It must be *, http://*, https://* or SCHEME://HOST[:PORT]"
            )));
        }
    }
    if cors.credentials == Some(true) {
        let lists = [("allowOrigins", &cors.origins), ("allowMethods", &cors.methods), ("allowHeaders", &cors.headers)];
        let starred = |list: &Option<Vec<String>>| list.iter().flatten().any(|item| item == "*");
        if let Some((name, _)) = lists.iter().find(|(_, list)| starred(list)) {
            return Err(faults::bad(format!("If allowCredentials is true, {name} cannot contain *")));
        }
    }
    let methods = cors.methods.as_deref().unwrap_or_default();
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "*"];
    if let Some(method) = methods.iter().find(|method| !known.contains(&method.as_str())) {
        return Err(faults::bad(format!("Invalid value for allowMethods: {method}")));
    }
    let headers = cors.headers.iter().chain(&cors.expose).flatten();
    for header in headers {
        if HeaderName::from_bytes(header.as_bytes()).is_err() {
            return Err(faults::bad(format!("Invalid header name in the CORS configuration: {header:?}")));
        }
    }
    if cors.max_age_s.is_some_and(|seconds| !(-1..=86_400).contains(&seconds)) {
        return Err(faults::bad("Invalid value for maxAge: it must be between -1 and 86400"));
    }
    Ok(())
}

/// What a browser hears that asks; nothing if the origin is not welcome.
pub(crate) fn preflight(cors: &Cors, origin: &HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if welcome(cors, origin, &mut headers) {
        put_list(&mut headers, ACCESS_CONTROL_ALLOW_METHODS, cors.methods.as_ref());
        put_list(&mut headers, ACCESS_CONTROL_ALLOW_HEADERS, cors.headers.as_ref());
        if let Some(seconds) = cors.max_age_s {
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
        }
    }
    headers
}

/// Tells the browser whether the origin may read an answer; what the integration said of it gives way.
pub(crate) fn answer(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    for name in SHARING {
        headers.remove(name);
    }
    if let Some(origin) = origin {
        welcome(cors, origin, headers);
    }
}

fn welcome(cors: &Cors, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
    let Ok(sent) = origin.to_str() else { return false };
    let origins = cors.origins.as_deref().unwrap_or_default();
    let everyone = origins.iter().any(|allowed| allowed == "*");
    let allowed = everyone
        || origins.iter().any(|allowed| match allowed.strip_suffix("://*") {
            Some(scheme) => sent.split_once("://").is_some_and(|(sent, _)| sent.eq_ignore_ascii_case(scheme)),
            None => allowed.eq_ignore_ascii_case(sent),
        });
    if !allowed {
        return false;
    }
    let told = if everyone { HeaderValue::from_static("*") } else { origin.clone() };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, told);
    if cors.credentials == Some(true) {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    put_list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose.as_ref());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(origins: &[&str]) -> Cors {
        Cors { origins: Some(origins.iter().map(|&origin| origin.to_owned()).collect()), ..Cors::default() }
    }

    fn told(cors: &Cors, origin: &'static str) -> Option<HeaderValue> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("from the function"));
        answer(cors, Some(&HeaderValue::from_static(origin)), &mut headers);
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN)
    }

    #[test]
    fn only_welcome_origins_are_told_so() {
        let one = of(&["https://example.org", "http://*"]);
        assert_eq!(told(&one, "https://example.org").unwrap(), "https://example.org");
        assert_eq!(told(&one, "http://any.example").unwrap(), "http://any.example");
        assert_eq!(told(&one, "https://example.com"), None);
        assert_eq!(told(&of(&["*"]), "https://example.com").unwrap(), "*");
    }

    #[test]
    fn what_browsers_would_not_understand_is_refused() {
        assert!(check(&of(&["*", "https://example.org:8443", "https://*", "chrome-extension://abc"])).is_ok());
        for wrong in ["example.org", "https://", "https://*.example.org", "https://example.org/", "ftp://*"] {
            assert!(check(&of(&[wrong])).is_err(), "{wrong}");
        }
        assert!(check(&Cors { credentials: Some(true), ..of(&["*"]) }).is_err());
        assert!(check(&Cors { max_age_s: Some(86_401), ..Cors::default() }).is_err());
        assert!(check(&Cors { methods: Some(vec!["FETCH".into()]), ..Cors::default() }).is_err());
        assert!(check(&Cors { headers: Some(vec!["a b".into()]), ..Cors::default() }).is_err());
    }
}
