//! Which pages of other origins may use a bucket. Source: Amazon S3 User Guide, "Using cross-origin resource sharing (CORS)", and "Elements of a
//! CORS configuration".

use base::Fault;
use door::CrossOrigin;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderName,
    HeaderValue, VARY,
};
use model::s3::CORSRule;

use crate::faults;

/// Most rules of a configuration.
const RULES: usize = 100;
/// Methods that rules may name.
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

/// Checks rules before they are kept.
///
/// # Errors
/// MalformedXML, InvalidRequest.
pub(crate) fn check(rules: &[CORSRule]) -> Result<(), Fault> {
    if rules.is_empty() || rules.len() > RULES {
        return Err(faults::malformed());
    }
    for rule in rules {
        let methods = rule.allowed_methods.as_deref().unwrap_or_default();
        let origins = rule.allowed_origins.as_deref().unwrap_or_default();
        if methods.is_empty() || origins.is_empty() {
            return Err(faults::malformed());
        }
        if let Some(method) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            let words = format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}");
            return Err(faults::request(words));
        }
        let stars = |text: &String| text.matches('*').count();
        if let Some(origin) = origins.iter().find(|origin| stars(origin) > 1) {
            let words = format!("AllowedOrigin \"{origin}\" can not have more than one wildcard.");
            return Err(faults::request(words));
        }
        if let Some(header) = rule.allowed_headers.iter().flatten().find(|header| stars(header) > 1) {
            let words = format!("AllowedHeader \"{header}\" can not have more than one wildcard.");
            return Err(faults::request(words));
        }
        if let Some(header) = rule.expose_headers.iter().flatten().find(|header| header.contains('*')) {
            let words = format!(
                "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            );
            return Err(faults::request(words));
        }
    }
    Ok(())
}

/// What the first rule that lets a page in says to its browser; none if no rule does.
pub(crate) fn answer(rules: &[CORSRule], page: &CrossOrigin<'_>) -> Option<HeaderMap> {
    let (rule, everyone) = rules.iter().find_map(|rule| {
        let origin = rule.allowed_origins.iter().flatten().find(|allowed| matches(allowed, page.origin, false))?;
        let method = rule.allowed_methods.iter().flatten().any(|allowed| allowed == page.method);
        (method && headers(rule, page.headers)).then_some((rule, origin == "*"))
    })?;
    let mut out = HeaderMap::new();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.insert(name, value);
        }
    };
    put(ACCESS_CONTROL_ALLOW_ORIGIN, if everyone { "*" } else { page.origin });
    if !everyone {
        put(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    put(ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods.as_deref().unwrap_or_default().join(", "));
    if let Some(asked) = page.headers.filter(|asked| !asked.trim().is_empty()) {
        let asked: Vec<String> = listed(asked).map(str::to_ascii_lowercase).collect();
        put(ACCESS_CONTROL_ALLOW_HEADERS, &asked.join(", "));
    }
    if let Some(exposed) = rule.expose_headers.as_deref().filter(|exposed| !exposed.is_empty()) {
        put(ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(", "));
    }
    if let Some(seconds) = rule.max_age_seconds {
        put(ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
    }
    put(VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
    Some(out)
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Whether a rule lets a page send these headers.
fn headers(rule: &CORSRule, asked: Option<&str>) -> bool {
    listed(asked.unwrap_or_default())
        .all(|name| rule.allowed_headers.iter().flatten().any(|allowed| matches(allowed, name, true)))
}

/// Whether a pattern with at most one `*` is this text.
fn matches(pattern: &str, text: &str, any_case: bool) -> bool {
    let (pattern, text) = match any_case {
        true => (pattern.to_ascii_lowercase(), text.to_ascii_lowercase()),
        false => (pattern.to_owned(), text.to_owned()),
    };
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> CORSRule {
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
        CORSRule {
            allowed_origins: list(origins),
            allowed_methods: list(methods),
            allowed_headers: list(headers),
            expose_headers: Some(vec!["ETag".into()]),
            max_age_seconds: Some(3000),
            ..CORSRule::default()
        }
    }

    #[test]
    fn the_first_rule_that_fits_answers() {
        let rules = [
            rule(&["http://www.example1.com"], &["PUT", "POST"], &["x-amz-*", "Content-Type"]),
            rule(&["http://*.example.org"], &["GET"], &[]),
            rule(&["*"], &["GET", "HEAD"], &["*"]),
        ];
        let ask = |origin, method, headers| answer(&rules, &CrossOrigin { origin, method, headers });
        let text = |headers: &HeaderMap, name: HeaderName| {
            headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let first = ask("http://www.example1.com", "PUT", Some("X-Amz-Date, content-type")).unwrap();
        assert_eq!(text(&first, ACCESS_CONTROL_ALLOW_ORIGIN), "http://www.example1.com");
        assert_eq!(text(&first, ACCESS_CONTROL_ALLOW_METHODS), "PUT, POST");
        assert_eq!(text(&first, ACCESS_CONTROL_ALLOW_HEADERS), "x-amz-date, content-type");
        assert_eq!(text(&first, ACCESS_CONTROL_ALLOW_CREDENTIALS), "true");
        assert_eq!(
            (text(&first, ACCESS_CONTROL_EXPOSE_HEADERS), text(&first, ACCESS_CONTROL_MAX_AGE)),
            ("ETag".into(), "3000".into())
        );
        assert!(ask("http://www.example1.com", "PUT", Some("authorization")).is_none());
        assert!(ask("http://www.example2.com", "PUT", None).is_none());
        let second = ask("http://a.example.org", "GET", None).unwrap();
        assert_eq!(text(&second, ACCESS_CONTROL_ALLOW_ORIGIN), "http://a.example.org");
        let third = ask("http://any.where", "HEAD", Some("x")).unwrap();
        assert_eq!(
            (text(&third, ACCESS_CONTROL_ALLOW_ORIGIN), text(&third, ACCESS_CONTROL_ALLOW_CREDENTIALS)),
            ("*".into(), String::new())
        );
        assert!(ask("http://any.where", "DELETE", None).is_none());
    }

    #[test]
    fn rules_are_checked() {
        assert!(check(&[rule(&["*"], &["GET"], &["*"])]).is_ok());
        for (rules, code) in [
            (vec![], "MalformedXML"),
            (vec![rule(&[], &["GET"], &[])], "MalformedXML"),
            (vec![rule(&["*"], &["PATCH"], &[])], "InvalidRequest"),
            (vec![rule(&["*.*"], &["GET"], &[])], "InvalidRequest"),
            (vec![rule(&["*"], &["GET"], &["*-*"])], "InvalidRequest"),
            (
                vec![CORSRule { expose_headers: Some(vec!["*".into()]), ..rule(&["*"], &["GET"], &[]) }],
                "InvalidRequest",
            ),
            (vec![rule(&["*"], &["GET"], &[]); 101], "MalformedXML"),
        ] {
            assert_eq!(check(&rules).unwrap_err().code, code);
        }
    }
}
