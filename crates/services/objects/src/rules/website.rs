//! How a bucket's website answers a path. Source: Amazon S3 User Guide, "Hosting a static website using Amazon S3", "Configuring an index
//! document" and "(Optional) Configuring a webpage redirect".

use base::Fault;
use model::s3::{Redirect, RedirectAllRequestsTo, RoutingRule, WebsiteConfiguration};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::faults;

/// Most routing rules.
const RULES: usize = 50;
/// What is encoded in a location.
const PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// Checks a configuration before it is kept.
///
/// # Errors
/// InvalidArgument, InvalidRequest, MalformedXML.
pub(crate) fn check(configuration: &WebsiteConfiguration) -> Result<(), Fault> {
    let WebsiteConfiguration { error_document, index_document, redirect_all_requests_to, routing_rules } =
        configuration;
    if let Some(all) = redirect_all_requests_to {
        if error_document.is_some() || index_document.is_some() || routing_rules.is_some() {
            let words = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.";
            return Err(faults::argument(words, "RedirectAllRequestsTo", "not null"));
        }
        if all.host_name.as_deref().unwrap_or_default().is_empty() {
            return Err(faults::malformed());
        }
        return check_protocol(all.protocol.as_deref());
    }
    let Some(index) = index_document else {
        let words = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
        return Err(faults::argument(words, "IndexDocument", "null"));
    };
    let suffix = index.suffix.as_deref().unwrap_or_default();
    if suffix.is_empty() || suffix.contains('/') {
        return Err(faults::argument("The IndexDocument Suffix is not well formed", "IndexDocument", suffix));
    }
    if error_document.as_ref().is_some_and(|document| document.key.as_deref().unwrap_or_default().is_empty()) {
        return Err(faults::malformed());
    }
    let Some(rules) = routing_rules else { return Ok(()) };
    if rules.is_empty() {
        return Err(faults::malformed());
    }
    if rules.len() > RULES {
        let words = format!(
            "{} routing rules provided, the number of routing rules in a website configuration is limited to {RULES}.",
            rules.len()
        );
        return Err(faults::request(words));
    }
    rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &RoutingRule) -> Result<(), Fault> {
    let redirect = rule.redirect.as_ref().ok_or_else(faults::malformed)?;
    if redirect.replace_key_with.is_some() && redirect.replace_key_prefix_with.is_some() {
        return Err(faults::request("You can only define ReplaceKeyPrefix or ReplaceKey but not both."));
    }
    let in_range = |text: &str, from, to| text.parse().is_ok_and(|code: u16| (from..=to).contains(&code));
    if let Some(code) = redirect.http_redirect_code.as_deref().filter(|code| !in_range(code, 301, 399)) {
        let words = format!("The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300.");
        return Err(faults::request(words));
    }
    if let Some(condition) = &rule.condition {
        if condition.key_prefix_equals.is_none() && condition.http_error_code_returned_equals.is_none() {
            let words = "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.";
            return Err(faults::request(words));
        }
        let code = condition.http_error_code_returned_equals.as_deref();
        if let Some(code) = code.filter(|code| !in_range(code, 400, 599)) {
            let words = format!("The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX.");
            return Err(faults::request(words));
        }
    }
    check_protocol(redirect.protocol.as_deref())
}

fn check_protocol(protocol: Option<&str>) -> Result<(), Fault> {
    match protocol {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(faults::request(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.",
        )),
    }
}

/// Where a request is sent to instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    pub(crate) status: u16,
    pub(crate) location: String,
}

/// Where all requests go.
pub(crate) fn all(to: &RedirectAllRequestsTo, path: &str) -> Elsewhere {
    let protocol = to.protocol.as_deref().unwrap_or("http");
    let host = to.host_name.as_deref().unwrap_or_default();
    Elsewhere { status: 301, location: format!("{protocol}://{host}{path}") }
}

/// Where the first rule sends a request for a key; `error` is the status that it would be answered with, once that is known.
pub(crate) fn routed(rules: &[RoutingRule], key: &str, error: Option<u16>, authority: &str) -> Option<Elsewhere> {
    let rule = rules.iter().find(|rule| {
        let condition = rule.condition.clone().unwrap_or_default();
        let prefixed = condition.key_prefix_equals.as_deref().is_none_or(|prefix| key.starts_with(prefix));
        let code = condition.http_error_code_returned_equals.and_then(|code| code.parse().ok());
        prefixed && code == error
    })?;
    let redirect = rule.redirect.clone().unwrap_or_default();
    let prefix = rule.condition.as_ref().and_then(|condition| condition.key_prefix_equals.as_deref());
    Some(by(&redirect, key, prefix.unwrap_or_default(), authority))
}

fn by(redirect: &Redirect, key: &str, prefix: &str, authority: &str) -> Elsewhere {
    let encoded = |text: &str| utf8_percent_encode(text, PATH).to_string();
    let key = match (&redirect.replace_key_with, &redirect.replace_key_prefix_with) {
        (Some(key), _) => key.clone(),
        (None, Some(start)) => format!("{start}{}", encoded(key.strip_prefix(prefix).unwrap_or(key))),
        (None, None) => encoded(key),
    };
    let protocol = redirect.protocol.as_deref().unwrap_or("http");
    let host = redirect.host_name.as_deref().unwrap_or(authority);
    let status = redirect.http_redirect_code.as_deref().and_then(|code| code.parse().ok()).unwrap_or(301);
    Elsewhere { status, location: format!("{protocol}://{host}/{key}") }
}

/// Where a folder's path goes that lacks its slash.
pub(crate) fn with_slash(key: &str) -> Elsewhere {
    Elsewhere { status: 302, location: format!("/{}/", utf8_percent_encode(key, PATH)) }
}

/// The key that a path means: a folder's index document, or the path itself.
pub(crate) fn key_of(path: &str, suffix: &str) -> String {
    if path.is_empty() || path.ends_with('/') { format!("{path}{suffix}") } else { path.to_owned() }
}

/// The bucket in a website's host: `b` of `b.s3-website.eu-west-1.localhost` and of `b.s3-website-eu-west-1.amazonaws.com`.
pub(crate) fn bucket_of(host: &str) -> Option<&str> {
    let is_label = |label: &str| label == "s3-website" || label.starts_with("s3-website-");
    // The bucket's own name may have such a part, so the last one counts.
    let start = host
        .rmatch_indices('.')
        .map(|(at, _)| at + 1)
        .find(|&start| is_label(host[start..].split('.').next().unwrap_or_default()))?;
    Some(&host[..start - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::s3::{Condition, ErrorDocument, IndexDocument};

    fn rule(prefix: Option<&str>, code: Option<&str>, redirect: Redirect) -> RoutingRule {
        let condition = Condition {
            key_prefix_equals: prefix.map(str::to_owned),
            http_error_code_returned_equals: code.map(str::to_owned),
        };
        let is_some = prefix.is_some() || code.is_some();
        RoutingRule { condition: is_some.then_some(condition), redirect: Some(redirect) }
    }

    fn to(host: &str) -> Redirect {
        Redirect { host_name: Some(host.into()), ..Redirect::default() }
    }

    #[test]
    fn rules_send_elsewhere_by_prefix_and_by_error() {
        let rules = [
            rule(
                Some("docs/"),
                None,
                Redirect { replace_key_prefix_with: Some("documents/".into()), ..Redirect::default() },
            ),
            rule(
                Some("images/"),
                Some("404"),
                Redirect {
                    replace_key_prefix_with: Some("resize?key=".into()),
                    http_redirect_code: Some("307".into()),
                    protocol: Some("https".into()),
                    ..to("api.example")
                },
            ),
            rule(Some("old"), None, Redirect { replace_key_with: Some("gone.html".into()), ..Redirect::default() }),
        ];
        let go = |key, error| routed(&rules, key, error, "site:1").map(|to| (to.status, to.location));
        assert_eq!(go("docs/a b.html", None), Some((301, "http://site:1/documents/a%20b.html".into())));
        assert_eq!(go("images/9/x.png", None), None);
        assert_eq!(go("images/9/x.png", Some(404)), Some((307, "https://api.example/resize?key=9/x.png".into())));
        assert_eq!(go("images/9/x.png", Some(403)), None);
        assert_eq!(go("older", None), Some((301, "http://site:1/gone.html".into())));
        assert_eq!(routed(&[rule(None, None, to("h"))], "k", None, "").unwrap().location, "http://h/k");
    }

    #[test]
    fn hosts_name_their_bucket() {
        for (host, bucket) in [
            ("b.s3-website.us-east-1.localhost", Some("b")),
            ("a.b.s3-website-eu-west-1.amazonaws.com", Some("a.b")),
            ("x.s3-website.y.s3-website.us-east-1.localhost", Some("x.s3-website.y")),
            ("b.s3.localhost", None),
            ("s3-website.localhost", None),
        ] {
            assert_eq!(bucket_of(host), bucket, "{host}");
        }
        assert_eq!((key_of("", "i"), key_of("a/", "i"), key_of("a", "i")), ("i".into(), "a/i".into(), "a".into()));
    }

    #[test]
    fn configurations_are_checked() {
        let index = |suffix: &str| WebsiteConfiguration {
            index_document: Some(IndexDocument { suffix: Some(suffix.into()) }),
            ..WebsiteConfiguration::default()
        };
        let with = |rules| WebsiteConfiguration { routing_rules: Some(rules), ..index("i") };
        let all = |protocol: Option<&str>, host: &str| WebsiteConfiguration {
            redirect_all_requests_to: Some(RedirectAllRequestsTo {
                host_name: Some(host.into()),
                protocol: protocol.map(str::to_owned),
            }),
            ..WebsiteConfiguration::default()
        };
        for good in
            [index("index.html"), all(None, "h"), all(Some("https"), "h"), with(vec![rule(None, None, to("h"))])]
        {
            check(&good).unwrap();
        }
        for (bad, code) in [
            (WebsiteConfiguration::default(), "InvalidArgument"),
            (index("a/b"), "InvalidArgument"),
            (index(""), "InvalidArgument"),
            (WebsiteConfiguration { index_document: index("i").index_document, ..all(None, "h") }, "InvalidArgument"),
            (all(Some("ftp"), "h"), "InvalidRequest"),
            (all(None, ""), "MalformedXML"),
            (
                WebsiteConfiguration { error_document: Some(ErrorDocument { key: Some(String::new()) }), ..index("i") },
                "MalformedXML",
            ),
            (with(vec![]), "MalformedXML"),
            (with(vec![RoutingRule::default()]), "MalformedXML"),
            (with(vec![rule(None, Some("200"), to("h"))]), "InvalidRequest"),
            (
                with(vec![rule(None, None, Redirect { http_redirect_code: Some("300".into()), ..to("h") })]),
                "InvalidRequest",
            ),
            (
                with(vec![RoutingRule { condition: Some(Condition::default()), redirect: Some(to("h")) }]),
                "InvalidRequest",
            ),
            (
                with(vec![rule(
                    None,
                    None,
                    Redirect {
                        replace_key_with: Some("a".into()),
                        replace_key_prefix_with: Some("b".into()),
                        ..to("h")
                    },
                )]),
                "InvalidRequest",
            ),
            (with(vec![rule(None, None, to("h")); 51]), "InvalidRequest"),
        ] {
            assert_eq!(check(&bad).unwrap_err().code, code, "{bad:?}");
        }
    }
}
