//! Expressions that say where the value of a parameter is from: `'text'`, `method.request.header.x`, `context.stage`.
//! Source: API Gateway Developer Guide, "Parameter mapping source reference for REST APIs".

use std::collections::BTreeMap;

use base::Fault;

use crate::rest::faults;

/// Where a value is from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// It is this text.
    Text(&'a str),
    /// A header of the request.
    Header(&'a str),
    /// All values of a header of the request.
    Headers(&'a str),
    /// A parameter of the query.
    Query(&'a str),
    /// All values of a parameter of the query.
    Queries(&'a str),
    /// A variable of the path.
    Path(&'a str),
    /// What the request's context says.
    Context(&'a str),
    /// A variable of the stage.
    Variable(&'a str),
    /// A part of a body.
    Body,
}

impl<'a> Source<'a> {
    /// None if it is no such expression.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('\'') {
            return inner.strip_suffix('\'').map(Self::Text);
        }
        let of = |prefix: &str| text.strip_prefix(prefix).filter(|name| !name.is_empty());
        let body = |text: &str| text == "body" || text.starts_with("body.") || text.starts_with("body[");
        if text.strip_prefix("method.request.").is_some_and(body)
            || text.strip_prefix("integration.response.").is_some_and(body)
        {
            return Some(Self::Body);
        }
        None.or_else(|| of("method.request.header.").map(Self::Header))
            .or_else(|| of("method.request.multivalueheader.").map(Self::Headers))
            .or_else(|| of("method.request.querystring.").map(Self::Query))
            .or_else(|| of("method.request.multivaluequerystring.").map(Self::Queries))
            .or_else(|| of("method.request.path.").map(Self::Path))
            .or_else(|| of("context.").map(Self::Context))
            .or_else(|| of("stageVariables.").map(Self::Variable))
    }

    /// The parameter of the method that must be declared for it.
    fn declared(&self) -> Option<String> {
        match self {
            Self::Header(name) | Self::Headers(name) => Some(format!("method.request.header.{name}")),
            Self::Query(name) | Self::Queries(name) => Some(format!("method.request.querystring.{name}")),
            Self::Path(name) => Some(format!("method.request.path.{name}")),
            _ => None,
        }
    }
}

/// A method's parameters: `method.request.querystring.page`, each name once.
///
/// # Errors
/// BadRequestException.
pub(crate) fn method_parameters(parameters: &BTreeMap<String, bool>) -> Result<(), Fault> {
    let mut names = Vec::new();
    for key in parameters.keys() {
        let name = ["querystring", "header", "path"]
            .iter()
            .find_map(|place| key.strip_prefix("method.request.")?.strip_prefix(place)?.strip_prefix('.'));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(faults::unmapped(&format!("Invalid mapping expression specified: {key}")));
        };
        if names.contains(&name) {
            return Err(faults::bad("Parameter names must be unique across querystring, header and path"));
        }
        names.push(name);
    }
    Ok(())
}

/// An integration's parameters: each goes somewhere, from where the method has something.
///
/// # Errors
/// BadRequestException; NotImplemented for parts of bodies.
pub(crate) fn request_parameters(
    operation: &str,
    parameters: &BTreeMap<String, String>,
    of_method: &BTreeMap<String, bool>,
) -> Result<(), Fault> {
    for (key, value) in parameters {
        let place = key.strip_prefix("integration.request.").and_then(|rest| rest.split_once('.'));
        if !matches!(place, Some(("header" | "querystring" | "path", name)) if !name.is_empty()) {
            return Err(faults::unmapped(&format!("Invalid mapping expression specified: {key}")));
        }
        let source = Source::parse(value)
            .ok_or_else(|| faults::unmapped(&format!("Invalid mapping expression specified: {value}")))?;
        if source == Source::Body {
            return Err(faults::absent(operation, format_args!("requestParameters from {value}")));
        }
        if source.declared().is_some_and(|name| !of_method.contains_key(&name)) {
            return Err(faults::unmapped(&format!("Invalid mapping expression parameter specified: {value}")));
        }
    }
    Ok(())
}

/// The headers of an answer: of an integration's (`method.response.header.`), which the method must declare, or of the API's
/// own (`gatewayresponse.header.`).
///
/// # Errors
/// BadRequestException; NotImplemented for parts of bodies and for headers that an integration gave.
pub(crate) fn response_parameters(
    operation: &str,
    prefix: &str,
    parameters: &BTreeMap<String, String>,
    declared: Option<&BTreeMap<String, bool>>,
) -> Result<(), Fault> {
    for (key, value) in parameters {
        let name = key.strip_prefix(prefix);
        if name.is_none_or(|name| name.parse::<http::HeaderName>().is_err()) {
            return Err(faults::unmapped(&format!("Invalid mapping expression specified: {key}")));
        }
        if declared.is_some_and(|declared| !declared.contains_key(key)) {
            return Err(faults::unmapped(&format!("Invalid mapping expression parameter specified: {key}")));
        }
        if value.starts_with("integration.response.") {
            return Err(faults::absent(operation, format_args!("responseParameters from {value}")));
        }
        match Source::parse(value) {
            None => return Err(faults::unmapped(&format!("Invalid mapping expression specified: {value}"))),
            Some(Source::Body) => {
                return Err(faults::absent(operation, format_args!("responseParameters from {value}")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        assert_eq!(Source::parse("'*'"), Some(Source::Text("*")));
        assert_eq!(Source::parse("method.request.header.x-y"), Some(Source::Header("x-y")));
        assert_eq!(Source::parse("method.request.querystring.q"), Some(Source::Query("q")));
        assert_eq!(Source::parse("method.request.path.proxy"), Some(Source::Path("proxy")));
        assert_eq!(Source::parse("method.request.body.a"), Some(Source::Body));
        assert_eq!(Source::parse("context.identity.sourceIp"), Some(Source::Context("identity.sourceIp")));
        assert_eq!(Source::parse("stageVariables.a"), Some(Source::Variable("a")));
        for wrong in ["", "true", "'x", "method.request.header.", "method.response.header.x", "$context.x"] {
            assert_eq!(Source::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_method_does_not_declare_is_not_mapped() {
        let declared = BTreeMap::from([("method.request.path.proxy".to_owned(), true)]);
        let of = |key: &str, value: &str| {
            request_parameters("Op", &BTreeMap::from([(key.to_owned(), value.to_owned())]), &declared)
        };
        of("integration.request.path.proxy", "method.request.path.proxy").unwrap();
        of("integration.request.header.x", "'a'").unwrap();
        assert!(of("integration.request.path.id", "method.request.path.id").is_err());
        assert!(of("integration.request.body.x", "'a'").is_err());
        assert_eq!(of("integration.request.header.x", "method.request.body").unwrap_err().status, 501);
    }
}
