//! What an API answers by itself.
//! Source: API Gateway Developer Guide, "Gateway response types for API Gateway".

use std::collections::BTreeMap;

use crate::rest::types::GatewayResponse;

/// The template of an answer that nobody changed.
const PLAIN: &str = r#"{"message":$context.error.messageString}"#;

/// All types with their status; none of those that stand for others.
pub(crate) const TYPES: [(&str, Option<u16>); 21] = [
    ("ACCESS_DENIED", Some(403)),
    ("API_CONFIGURATION_ERROR", Some(500)),
    ("AUTHORIZER_CONFIGURATION_ERROR", Some(500)),
    ("AUTHORIZER_FAILURE", Some(500)),
    ("BAD_REQUEST_BODY", Some(400)),
    ("BAD_REQUEST_PARAMETERS", Some(400)),
    (DEFAULT_4XX, None),
    (DEFAULT_5XX, None),
    ("EXPIRED_TOKEN", Some(403)),
    ("INTEGRATION_FAILURE", Some(504)),
    ("INTEGRATION_TIMEOUT", Some(504)),
    ("INVALID_API_KEY", Some(403)),
    ("INVALID_SIGNATURE", Some(403)),
    ("MISSING_AUTHENTICATION_TOKEN", Some(403)),
    ("QUOTA_EXCEEDED", Some(429)),
    ("REQUEST_TOO_LARGE", Some(413)),
    ("RESOURCE_NOT_FOUND", Some(404)),
    ("THROTTLED", Some(429)),
    ("UNAUTHORIZED", Some(401)),
    ("UNSUPPORTED_MEDIA_TYPE", Some(415)),
    ("WAF_FILTERED", Some(403)),
];

const DEFAULT_4XX: &str = "DEFAULT_4XX";
const DEFAULT_5XX: &str = "DEFAULT_5XX";

/// The status of a type.
pub(crate) fn status(of: &str) -> Option<u16> {
    TYPES.iter().find(|(name, _)| *name == of).and_then(|(_, status)| *status)
}

/// What is kept where only some of it is given.
pub(crate) fn filled(of: &str, mut given: GatewayResponse) -> GatewayResponse {
    given.status = given.status.or_else(|| status(of).map(|status| status.to_string()));
    if given.templates.is_empty() {
        given.templates = BTreeMap::from([("application/json".to_owned(), PLAIN.to_owned())]);
    }
    given
}

/// What an API answers of a type, and whether nobody changed it: itself, else the one for all of its class.
pub(crate) fn find(all: &BTreeMap<String, GatewayResponse>, of: &str) -> (GatewayResponse, bool) {
    if let Some(own) = all.get(of) {
        return (own.clone(), false);
    }
    let class = match status(of) {
        Some(400..=499) => all.get(DEFAULT_4XX),
        Some(_) => all.get(DEFAULT_5XX),
        None => None,
    };
    (filled(of, class.cloned().unwrap_or_default()), true)
}

/// `$context.…` and `$stageVariables.…` in a template, by what `value` says of them; nothing else means anything there.
pub(crate) fn rendered(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let name = &rest[at + 1..];
        let name = name.strip_prefix('{').unwrap_or(name);
        let braced = name.len() < rest.len() - at - 1;
        let end = name
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-')))
            .unwrap_or(name.len());
        let named = name[..end].trim_end_matches('.');
        let known = named.starts_with("context.") || named.starts_with("stageVariables.");
        let closed = !braced || name[named.len()..].starts_with('}');
        if known && closed {
            out.push_str(&value(named).unwrap_or_default());
            rest = &name[named.len() + usize::from(braced)..];
        } else {
            out.push('$');
            rest = &rest[at + 1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_falls_back_on_its_class() {
        let other = GatewayResponse { status: Some("599".into()), ..GatewayResponse::default() };
        let all = BTreeMap::from([(DEFAULT_5XX.to_owned(), other)]);
        assert_eq!(find(&all, "INTEGRATION_FAILURE").0.status.as_deref(), Some("599"));
        assert_eq!(find(&all, "ACCESS_DENIED").0.status.as_deref(), Some("403"));
        assert_eq!(find(&all, DEFAULT_4XX).0.status, None);
        assert!(find(&all, "ACCESS_DENIED").1 && !find(&all, DEFAULT_5XX).1);
    }

    #[test]
    fn templates_know_the_context() {
        let value = |name: &str| (name == "context.stage").then(|| "dev".to_owned());
        assert_eq!(rendered("a $context.stage. ${context.stage}b $10 $context.none!", value), "a dev. devb $10 !");
        assert_eq!(rendered("$ ${x} ${context.stage", value), "$ ${x} ${context.stage");
    }
}
