//! The format of access logs: text with `$context.…` in it.
//! Source: API Gateway Developer Guide, "Customize HTTP API access logs".

use base::Fault;

use crate::faults;
use crate::types::AccessLog;

/// The longest format, bytes. Source: "Quotas for configuring and running an HTTP API".
const LONGEST: usize = 3 * 1024;
const BEGIN: &str = "$context.";

/// Account, region and name of the log group that an ARN names; none if it names none.
pub(crate) fn group_of(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.strip_prefix("arn:aws:logs:")?.splitn(4, ':');
    let (region, account, kind, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let name = name.strip_suffix(":*").unwrap_or(name);
    let fits = kind == "log-group" && account.len() == 12 && !region.is_empty() && !name.is_empty();
    (fits && !name.contains(':')).then_some((account, region, name))
}

/// A part of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// As it is.
    Text(String),
    /// A variable of `$context`.
    Context(String),
}

/// A format's parts.
pub(crate) fn parts(format: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        let end = after.find(|letter| !is_of_name(letter)).unwrap_or(after.len());
        // A dot at the end ends a sentence.
        let name = after[..end].trim_end_matches('.');
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(Part::Context(name.to_owned()));
        rest = &after[name.len()..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    parts
}

/// Whether an access log may be one: it goes to a log group here.
///
/// # Errors
/// BadRequestException; NotImplemented for delivery streams.
pub(crate) fn whole(service: &str, log: &AccessLog) -> Result<(), Fault> {
    if log.destination.starts_with("arn:aws:firehose:") {
        return Err(Fault::not_implemented(format_args!(
            "{service}: AccessLogSettings.DestinationArn, where it is a delivery stream"
        )));
    }
    if group_of(&log.destination).is_none() {
        return Err(faults::bad(
            "Invalid ARN specified in the request. ARNs must start with 'arn:' and name a log group",
        ));
    }
    check(&log.format)
}

/// Whether a format may be one.
///
/// # Errors
/// BadRequestException.
fn check(format: &str) -> Result<(), Fault> {
    if format.len() > LONGEST {
        return Err(faults::bad(format!("Access log format must have at most {LONGEST} bytes")));
    }
    let named = |name: &str| parts(format).contains(&Part::Context(name.to_owned()));
    if !named("requestId") && !named("extendedRequestId") {
        return Err(faults::bad(
            "Access log format must contain at least $context.requestId or $context.extendedRequestId",
        ));
    }
    if format.contains('\n') || format.contains('\r') {
        return Err(faults::bad("Access log format must be a single line"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_come_apart() {
        let text = |text: &str| Part::Text(text.into());
        let context = |name: &str| Part::Context(name.into());
        assert_eq!(
            parts(r#"{"id":"$context.requestId","ip":"$context.identity.sourceIp"}"#),
            [
                text(r#"{"id":""#),
                context("requestId"),
                text(r#"","ip":""#),
                context("identity.sourceIp"),
                text(r#""}"#)
            ]
        );
        assert_eq!(parts("$context.status$context.path."), [context("status"), context("path"), text(".")]);
        assert_eq!(parts("plain"), [text("plain")]);
        assert_eq!(
            group_of("arn:aws:logs:us-east-1:000000000000:log-group:/a/b:*"),
            Some(("000000000000", "us-east-1", "/a/b"))
        );
        assert_eq!(group_of("arn:aws:logs:us-east-1:000000000000:log-group:"), None);
        assert!(check("$context.requestId").is_ok() && check("$context.extendedRequestId x").is_ok());
        for wrong in ["", "$context.status", "$context.requestId\n"] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }
}
