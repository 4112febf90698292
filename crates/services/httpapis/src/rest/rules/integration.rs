//! Whether an integration makes sense, and is one of those that are here.

use std::collections::BTreeMap;

use base::Fault;

use super::mapping;
use super::template::Template;
use crate::rest::types::{Integration, Kind};
use crate::rest::{faults, limits};
use crate::rules::{function, role, target, variables};

/// The kind an input names.
///
/// # Errors
/// NotImplemented for those that need templates of whole bodies.
pub(crate) fn kind(operation: &str, named: &str) -> Result<Kind, Fault> {
    match named {
        "AWS_PROXY" => Ok(Kind::Function),
        "HTTP_PROXY" => Ok(Kind::Url),
        "MOCK" => Ok(Kind::Mock),
        other => Err(faults::absent(operation, format_args!("type {other}"))),
    }
}

/// Whether a text names a role.
///
/// # Errors
/// BadRequestException.
pub(crate) fn credentials(arn: &str) -> Result<(), Fault> {
    match role::session(arn) {
        Some(_) => Ok(()),
        None => Err(faults::bad(format!("Invalid ARN specified for credentials: {arn}"))),
    }
}

/// Whether bodies are what an integration wants them to be: text, which for functions and mocks they are.
///
/// # Errors
/// NotImplemented; BadRequestException for what AWS does not have.
pub(crate) fn handling(operation: &str, kind: Kind, wanted: Option<&str>) -> Result<(), Fault> {
    match wanted {
        None => Ok(()),
        Some("CONVERT_TO_TEXT") if kind != Kind::Url => Ok(()),
        Some(wanted @ ("CONVERT_TO_TEXT" | "CONVERT_TO_BINARY")) => {
            Err(faults::absent(operation, format_args!("contentHandling {wanted} of {}", kind.as_str())))
        }
        Some(_) => Err(faults::bad("Invalid contentHandling specified. Must be CONVERT_TO_BINARY or CONVERT_TO_TEXT")),
    }
}

/// A template of a request or an answer, if it is one that is understood here.
///
/// # Errors
/// NotImplemented; BadRequestException for one that is too long.
pub(crate) fn templates(operation: &str, member: &str, templates: &BTreeMap<String, String>) -> Result<(), Fault> {
    for (content_type, text) in templates {
        if !content_type.contains('/') {
            return Err(faults::bad(format!(
                "Validation Result: warnings : [], errors : [Invalid content type specified: {content_type}]"
            )));
        }
        if text.len() > limits::TEMPLATE_BYTES {
            return Err(faults::bad(format!(
                "{member} of {content_type} has {} bytes; {} are the limit",
                text.len(),
                limits::TEMPLATE_BYTES
            )));
        }
        Template::parse(text)
            .map_err(|unknown| faults::absent(operation, format_args!("{member} that need `{}`", unknown.0)))?;
    }
    Ok(())
}

/// A function as integrations and authorizers name it.
///
/// # Errors
/// BadRequestException; NotImplemented for other services.
pub(crate) fn function_uri(operation: &str, uri: &str) -> Result<(), Fault> {
    if !uri.starts_with("arn:aws:apigateway:") {
        return Err(faults::bad("Invalid ARN specified in the request"));
    }
    if !uri.contains(":path/") && !uri.contains(":action/") {
        return Err(faults::bad("AWS ARN for integration must contain path or action"));
    }
    if !uri.contains(":lambda:path/") {
        return Err(faults::absent(operation, format_args!("uri {uri}")));
    }
    // Some tools write a slash too many, and AWS does not mind.
    if !variables::has_any(uri) && function::arn_of(&uri.replacen(":path//", ":path/", 1)).is_none() {
        return Err(faults::bad("Invalid ARN specified in the request"));
    }
    Ok(())
}

/// # Errors
/// BadRequestException; NotImplemented for what is not here.
pub(crate) fn check(operation: &str, one: &Integration, of_method: &BTreeMap<String, bool>) -> Result<(), Fault> {
    let uri = one.uri.as_deref().unwrap_or_default();
    if one.kind != Kind::Mock && one.method.as_deref().is_none_or(str::is_empty) {
        return Err(faults::bad("Enumeration value for HttpMethod must be non-empty"));
    }
    if one.method.as_deref().is_some_and(|method| !METHODS.contains(&method)) {
        return Err(faults::bad(BAD_METHOD));
    }
    match one.kind {
        Kind::Mock => {}
        Kind::Url if !target::is_url(uri) => return Err(faults::bad("Invalid HTTP endpoint specified for URI")),
        Kind::Url => {}
        Kind::Function => function_uri(operation, uri)?,
    }
    if !["WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"].contains(&&*one.passthrough) {
        return Err(faults::bad("Invalid passthroughBehavior specified"));
    }
    if !limits::TIMEOUT_MS.contains(&one.timeout_ms) {
        return Err(faults::bad("Timeout should be between 50 ms and 29000 ms"));
    }
    handling(operation, one.kind, one.handling.as_deref())?;
    match one.credentials.as_deref() {
        Some(_) if one.kind != Kind::Function => {
            return Err(faults::absent(operation, format_args!("credentials of {}", one.kind.as_str())));
        }
        Some(role::CALLER) | None => {}
        Some(arn) => credentials(arn)?,
    }
    mapping::request_parameters(operation, &one.parameters, of_method)?;
    // What a proxy has of templates is kept and never read, as on AWS.
    if one.kind == Kind::Mock { templates(operation, "requestTemplates", &one.templates) } else { Ok(()) }
}

/// The methods that clients may use, `ANY` being all of them.
pub(crate) const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"];
/// What AWS says of others.
pub(crate) const BAD_METHOD: &str =
    "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY";
