//! What a bucket's policy must be to be kept, and whether it makes the bucket public. The door's policies evaluate it.
//!
//! Source: Amazon S3 User Guide, "Policies and permissions in Amazon S3", and "Blocking public access to your Amazon S3 storage",
//! "The meaning of 'public'".

use base::Fault;
use model::s3::ops;
use serde_json::{Map, Value};
use wire::Op;

/// Largest policy, bytes.
const MOST_BYTES: usize = 20 * 1024;
/// The elements of a statement.
const ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
/// The operators of conditions, without quantifier and suffix.
const OPERATORS: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];
/// Actions on objects that are no operation's own.
const OF_OBJECTS: [&str; 21] = [
    "s3:BypassGovernanceRetention",
    "s3:DeleteObjectVersion",
    "s3:DeleteObjectVersionTagging",
    "s3:GetObjectTorrent",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionTagging",
    "s3:GetObjectVersionTorrent",
    "s3:ObjectOwnerOverrideToBucketOwner",
    "s3:PutObjectVersionAcl",
    "s3:PutObjectVersionTagging",
    "s3:ReplicateDelete",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
    "s3:RestoreObject",
    "s3:InitiateReplication",
    "s3:UpdateObjectEncryption",
    "s3:PutObjectTagging",
    "s3:PutObjectAcl",
];
/// Keys whose fixed values keep a statement about everyone from being public.
const NARROWING: [&str; 15] = [
    "aws:principalarn",
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];

fn malformed(words: impl Into<String>) -> Fault {
    Fault::new("MalformedPolicy", 400, words)
}

/// Whether a text is a policy for this bucket.
///
/// # Errors
/// MalformedPolicy.
pub(crate) fn check(text: &str, bucket: &str) -> Result<(), Fault> {
    if text.len() > MOST_BYTES {
        return Err(malformed("Policy exceeds the maximum allowed document size."));
    }
    let object = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        _ => return Err(malformed("Policies must be valid JSON and the first byte must be '{'")),
    };
    if let Some(unknown) = object.keys().find(|key| !matches!(key.as_str(), "Version" | "Id" | "Statement")) {
        return Err(malformed(format!("Unknown field {unknown}")));
    }
    if !matches!(object.get("Version").map(Value::as_str), None | Some(Some("2012-10-17" | "2008-10-17"))) {
        return Err(malformed("The policy must contain a valid version string"));
    }
    let statements = statements(&object).ok_or_else(|| malformed("Missing required field Statement"))?;
    if statements.is_empty() {
        return Err(malformed("Could not parse the policy: Statement is empty!"));
    }
    let mut names = Vec::new();
    for item in statements {
        let item = item.as_object().ok_or_else(|| malformed("This policy contains invalid Json"))?;
        statement(item, bucket)?;
        match item.get("Sid") {
            None => {}
            Some(Value::String(name)) if names.contains(&name) => {
                return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
            }
            Some(Value::String(name)) if name.is_empty() => {}
            Some(Value::String(name)) => names.push(name),
            Some(_) => return Err(malformed("This policy contains invalid Json")),
        }
    }
    Ok(())
}

fn statements(policy: &Map<String, Value>) -> Option<Vec<&Value>> {
    match policy.get("Statement")? {
        Value::Array(items) => Some(items.iter().collect()),
        item @ Value::Object(_) => Some(vec![item]),
        _ => None,
    }
}

fn statement(item: &Map<String, Value>, bucket: &str) -> Result<(), Fault> {
    if let Some(unknown) = item.keys().find(|key| !ELEMENTS.contains(&key.as_str())) {
        return Err(malformed(format!("Unknown field {unknown}")));
    }
    let missing = |name: &str| malformed(format!("Missing required field {name}"));
    match item.get("Effect") {
        None => return Err(missing("Effect")),
        Some(Value::String(effect)) if effect == "Allow" || effect == "Deny" => {}
        Some(other) => return Err(malformed(format!("Invalid effect: {}", other.as_str().unwrap_or_default()))),
    }
    let (_, principal) = either(item, "Principal", "NotPrincipal")?.ok_or_else(|| missing("Principal"))?;
    if !is_principal(principal) {
        return Err(malformed("Invalid principal in policy"));
    }
    let (all_but, actions) = either(item, "Action", "NotAction")?.ok_or_else(|| missing("Action"))?;
    let actions = texts(actions).ok_or_else(|| malformed("Policy has invalid action"))?;
    let is_action = |text: &str| text == "*" || text.strip_prefix("s3:").is_some_and(|name| !name.is_empty());
    if actions.is_empty() || !actions.iter().all(|text| is_action(text)) {
        return Err(malformed("Policy has invalid action"));
    }
    let (_, resources) = either(item, "Resource", "NotResource")?.ok_or_else(|| missing("Resource"))?;
    let resources = texts(resources).ok_or_else(|| malformed("Policy has invalid resource"))?;
    let places: Option<Vec<Of>> = resources.iter().map(|text| place(text, bucket)).collect();
    let places = places.filter(|places| !places.is_empty()).ok_or_else(|| malformed("Policy has invalid resource"))?;
    if !all_but && !actions.iter().all(|action| applies(action, &places)) {
        return Err(malformed("Action does not apply to any resource(s) in statement"));
    }
    item.get("Condition").map_or(Ok(()), conditions)
}

/// An element or its `Not` form, and whether it is that; never both.
fn either<'a>(
    item: &'a Map<String, Value>,
    plain: &'static str,
    negated: &'static str,
) -> Result<Option<(bool, &'a Value)>, Fault> {
    match (item.get(plain), item.get(negated)) {
        (Some(_), Some(_)) => Err(malformed(format!("{plain} and {negated} cannot stand in one statement"))),
        (Some(value), None) => Ok(Some((false, value))),
        (None, Some(value)) => Ok(Some((true, value))),
        (None, None) => Ok(None),
    }
}

/// A text or a list of texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn is_principal(value: &Value) -> bool {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |kind: &str, text: &str| match kind {
        "AWS" => {
            let arn = text.strip_prefix("arn:aws:iam::").or_else(|| text.strip_prefix("arn:aws:sts::"));
            text == "*"
                || is_account(text)
                || arn.is_some_and(|rest| {
                    rest.split_once(':').is_some_and(|(number, name)| is_account(number) && !name.is_empty())
                })
        }
        "Service" => text.contains('.'),
        "CanonicalUser" => text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "Federated" => !text.is_empty(),
        _ => false,
    };
    match value {
        Value::String(text) => text == "*",
        Value::Object(kinds) => {
            !kinds.is_empty()
                && kinds.iter().all(|(kind, value)| {
                    texts(value).is_some_and(|texts| !texts.is_empty() && texts.iter().all(|text| fits(kind, text)))
                })
        }
        _ => false,
    }
}

/// What a resource is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Bucket,
    Objects,
    Both,
}

/// What a resource of this bucket is of; none if it is not this bucket's.
fn place(resource: &str, bucket: &str) -> Option<Of> {
    let rest = resource.strip_prefix("arn:aws:s3:::")?.strip_prefix(bucket)?;
    match rest.chars().next() {
        None => Some(Of::Bucket),
        Some('/') => Some(Of::Objects),
        Some('*' | '?') => Some(Of::Both),
        Some(_) => None,
    }
}

/// Whether an action is one of what a statement names.
fn applies(action: &str, places: &[Of]) -> bool {
    let on = |of: Of| places.iter().any(|place| *place == of || *place == Of::Both);
    let mut known = actions().filter(|(name, _)| like(action, name)).peekable();
    // What this platform does not know may be an action of AWS's nevertheless.
    known.peek().is_none() || known.any(|(_, of)| on(of))
}

/// The actions of S3 and what they are of.
fn actions() -> impl Iterator<Item = (&'static str, Of)> {
    let operations = ops::GetObject::ROW.service.operations.iter();
    let own = operations
        .filter(|operation| operation.resource != "*")
        .map(|operation| (operation.action, if operation.resource.contains('/') { Of::Objects } else { Of::Bucket }));
    own.chain(OF_OBJECTS.iter().map(|action| (*action, Of::Objects)))
}

/// Whether a pattern with `*` and `?` matches; without regard to case.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut behind) = ((0, 0), None);
    while at.1 < text.len() {
        match pattern.get(at.0) {
            Some(b'*') => {
                behind = Some((at.0 + 1, at.1));
                at.0 += 1;
            }
            Some(byte) if *byte == b'?' || byte.eq_ignore_ascii_case(&text[at.1]) => at = (at.0 + 1, at.1 + 1),
            _ => match &mut behind {
                Some((after, from)) => {
                    *from += 1;
                    at = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at.0..].iter().all(|byte| *byte == b'*')
}

fn conditions(value: &Value) -> Result<(), Fault> {
    let broken = || malformed("This policy contains invalid Json");
    for (operator, keys) in value.as_object().ok_or_else(broken)? {
        let plain = operator.strip_prefix("ForAllValues:").or_else(|| operator.strip_prefix("ForAnyValue:"));
        let plain = plain.unwrap_or(operator);
        let plain = plain.strip_suffix("IfExists").filter(|plain| *plain != "Null").unwrap_or(plain);
        if !OPERATORS.contains(&plain) {
            return Err(malformed(format!("Invalid Condition type : {operator}")));
        }
        for (key, values) in keys.as_object().ok_or_else(broken)? {
            if !key.contains(':') {
                return Err(malformed("Policy has an invalid condition key"));
            }
            let is_plain = |value: &Value| value.is_string() || value.is_boolean() || value.is_number();
            if !(is_plain(values) || values.as_array().is_some_and(|values| values.iter().all(is_plain))) {
                return Err(broken());
            }
        }
    }
    Ok(())
}

/// Whether a policy lets in everyone: a statement that allows, about all, which no fixed value narrows.
pub(crate) fn is_public(text: &str) -> bool {
    let Ok(Value::Object(policy)) = serde_json::from_str(text) else { return false };
    let statements = statements(&policy).unwrap_or_default();
    statements.iter().filter_map(|item| item.as_object()).any(lets_all_in)
}

fn lets_all_in(item: &Map<String, Value>) -> bool {
    if item.get("Effect").and_then(Value::as_str) != Some("Allow") {
        return false;
    }
    let everyone = |principal: &Value| match principal {
        Value::String(text) => text == "*",
        Value::Object(kinds) => kinds.values().any(|value| texts(value).is_some_and(|texts| texts.contains(&"*"))),
        _ => false,
    };
    let about_all = item.contains_key("NotPrincipal") || item.get("Principal").is_some_and(everyone);
    about_all && !item.get("Condition").and_then(Value::as_object).is_some_and(|all| all.iter().any(narrows))
}

/// Whether a condition holds for fixed callers only.
fn narrows((operator, keys): (&String, &Value)) -> bool {
    let plain = operator.strip_prefix("ForAnyValue:").unwrap_or(operator);
    let by = matches!(
        plain,
        "StringEquals" | "StringEqualsIgnoreCase" | "StringLike" | "ArnEquals" | "ArnLike" | "IpAddress"
    );
    by && keys.as_object().is_some_and(|keys| {
        keys.iter().any(|(key, values)| {
            let key = key.to_ascii_lowercase();
            NARROWING.contains(&key.as_str())
                && texts(values)
                    .is_some_and(|values| !values.is_empty() && values.iter().all(|value| is_fixed(&key, value)))
        })
    })
}

/// Whether a value is one, or of addresses a range that is not most of the Internet.
fn is_fixed(key: &str, value: &str) -> bool {
    if value.contains("${") {
        return false;
    }
    match key {
        "aws:sourceip" => {
            let (address, bits) = value.split_once('/').unwrap_or((value, "128"));
            let least = if address.contains(':') { 32 } else { 8 };
            bits.parse::<u32>().is_ok_and(|bits| bits >= least)
        }
        // The account in an ARN is what must be fixed; of a user's id what stands before the colon.
        "aws:sourcearn" | "aws:principalarn" | "s3:dataaccesspointarn" => {
            value.split(':').nth(4).is_some_and(|account| !account.is_empty() && !account.contains(['*', '?']))
        }
        "aws:userid" => !value.starts_with(['*', '?']),
        "aws:principalorgpaths" => !value.starts_with(['*', '?']),
        _ => !value.contains(['*', '?']),
    }
}

/// The policy without the statements that allow: what is left of it where public policies do not count.
pub(crate) fn only_denials(text: &str) -> Option<String> {
    let Ok(Value::Object(mut policy)) = serde_json::from_str(text) else { return None };
    let denials: Vec<Value> = statements(&policy)?
        .into_iter()
        .filter(|item| item.get("Effect").and_then(Value::as_str) == Some("Deny"))
        .cloned()
        .collect();
    if denials.is_empty() {
        return None;
    }
    policy.insert("Statement".into(), Value::Array(denials));
    Some(Value::Object(policy).to_string())
}

/// The policy with further statements; none if there are neither.
pub(crate) fn with(text: Option<&str>, more: &[Value]) -> Option<String> {
    let policy = text.and_then(|text| serde_json::from_str(text).ok());
    let Some(Value::Object(mut policy)) = policy else {
        let made =
            (!more.is_empty()).then(|| serde_json::json!({"Version": "2012-10-17", "Statement": more}).to_string());
        return made.or_else(|| text.map(str::to_owned));
    };
    let all: Vec<Value> =
        statements(&policy).unwrap_or_default().into_iter().cloned().chain(more.iter().cloned()).collect();
    policy.insert("Statement".into(), Value::Array(all));
    Some(Value::Object(policy).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statement: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
    }

    #[test]
    fn what_is_no_policy_of_the_bucket_is_refused_in_awss_words() {
        let with = |field: &str, value: &str| {
            let mut item = serde_json::json!({
                "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b1/*"
            });
            match value {
                "" => drop(item.as_object_mut().unwrap().remove(field)),
                value => item[field] = serde_json::from_str(value).unwrap(),
            }
            policy(&item.to_string())
        };
        for (text, words) in [
            ("no".to_owned(), "Policies must be valid JSON and the first byte must be '{'"),
            ("[]".to_owned(), "Policies must be valid JSON and the first byte must be '{'"),
            ("{}".to_owned(), "Missing required field Statement"),
            (r#"{"Statement":[]}"#.to_owned(), "Could not parse the policy: Statement is empty!"),
            (r#"{"Version":"1","Statement":[]}"#.to_owned(), "The policy must contain a valid version string"),
            (r#"{"Foo":"1"}"#.to_owned(), "Unknown field Foo"),
            (with("Effect", ""), "Missing required field Effect"),
            (with("Effect", "\"allow\""), "Invalid effect: allow"),
            (with("Principal", ""), "Missing required field Principal"),
            (with("Principal", r#""bob""#), "Invalid principal in policy"),
            (with("Principal", r#"{"AWS":"bob"}"#), "Invalid principal in policy"),
            (with("Action", ""), "Missing required field Action"),
            (with("Action", r#""ec2:Run""#), "Policy has invalid action"),
            (with("Resource", ""), "Missing required field Resource"),
            (with("Resource", r#""*""#), "Policy has invalid resource"),
            (with("Resource", r#""arn:aws:s3:::b12/*""#), "Policy has invalid resource"),
            (with("Resource", r#""arn:aws:s3:::b1""#), "Action does not apply to any resource(s) in statement"),
            (with("Action", r#""s3:ListBucket""#), "Action does not apply to any resource(s) in statement"),
            (with("Condition", r#"{"Equals":{"aws:a":"b"}}"#), "Invalid Condition type : Equals"),
            (with("Condition", r#"{"Bool":{"a":"b"}}"#), "Policy has an invalid condition key"),
            (with("Foo", "1"), "Unknown field Foo"),
            (format!("{{{}}}", " ".repeat(MOST_BYTES)), "Policy exceeds the maximum allowed document size."),
        ] {
            let fault = check(&text, "b1").unwrap_err();
            assert_eq!((fault.code.as_ref(), fault.status, fault.message.as_str()), ("MalformedPolicy", 400, words));
        }
        for text in [
            with("Sid", r#""one""#),
            with(
                "Principal",
                r#"{"AWS":["111122223333","arn:aws:iam::111122223333:role/r"],"Service":"cloudfront.amazonaws.com"}"#,
            ),
            with("Action", r#"["s3:GetObject","s3:GetObjectVersion"]"#),
            with("Action", r#""s3:*""#),
            with("Action", r#""s3:FromTheFuture""#),
            with("Resource", r#"["arn:aws:s3:::b1/a/${aws:username}/*"]"#),
            with(
                "Condition",
                r#"{"ForAnyValue:StringLikeIfExists":{"aws:a":["b"]},"Bool":{"aws:SecureTransport":false}}"#,
            ),
        ] {
            check(&text, "b1").unwrap();
        }
        let twice = r#"{"Sid":"a","Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:s3:::b1"}"#;
        assert!(check(&policy(&format!("{twice},{twice}")), "b1").is_err());
    }

    #[test]
    fn a_policy_is_public_unless_fixed_values_narrow_it() {
        let with = |principal: &str, condition: &str| {
            policy(&format!(
                r#"{{"Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b1/*","Condition":{condition}}}"#
            ))
        };
        for (principal, condition, public) in [
            (r#""*""#, "{}", true),
            (r#"{"AWS":"*"}"#, "{}", true),
            (r#"{"AWS":"111122223333"}"#, "{}", false),
            (r#""*""#, r#"{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}"#, false),
            (r#""*""#, r#"{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}"#, true),
            (r#""*""#, r#"{"IpAddress":{"aws:SourceIp":["203.0.113.0/24","0.0.0.0/1"]}}"#, true),
            (r#""*""#, r#"{"StringEquals":{"aws:SourceVpc":"vpc-91237329"}}"#, false),
            (r#""*""#, r#"{"StringLike":{"aws:SourceVpc":"vpc-*"}}"#, true),
            (r#""*""#, r#"{"StringNotEquals":{"aws:SourceVpc":"vpc-91237329"}}"#, true),
            (r#""*""#, r#"{"ArnLike":{"aws:SourceArn":"arn:aws:sns:us-east-1:111122223333:*"}}"#, false),
            (r#""*""#, r#"{"ArnLike":{"aws:SourceArn":"arn:aws:sns:us-east-1:*:*"}}"#, true),
            (r#""*""#, r#"{"StringLike":{"aws:Referer":"http://example.com/*"}}"#, true),
        ] {
            assert_eq!(is_public(&with(principal, condition)), public, "{principal} {condition}");
        }
        assert!(!is_public(&with(r#""*""#, "{}").replace("Allow", "Deny")));
    }

    #[test]
    fn statements_are_taken_and_added() {
        let both = policy(r#"{"Effect":"Allow","Sid":"a"},{"Effect":"Deny","Sid":"d"}"#);
        let left: Value = serde_json::from_str(&only_denials(&both).unwrap()).unwrap();
        assert_eq!(left["Statement"], serde_json::json!([{"Effect": "Deny", "Sid": "d"}]));
        assert_eq!(only_denials(&policy(r#"{"Effect":"Allow"}"#)), None);
        let more = serde_json::json!({"Sid": "m"});
        let all: Value = serde_json::from_str(&with(Some(&both), std::slice::from_ref(&more)).unwrap()).unwrap();
        assert_eq!((all["Version"].as_str(), all["Statement"][2]["Sid"].as_str()), (Some("2012-10-17"), Some("m")));
        assert_eq!(with(None, &[]), None);
        assert!(with(None, &[more]).unwrap().contains("2012-10-17"));
    }

    #[test]
    fn patterns_match_as_in_policies() {
        for (pattern, text, matches) in [
            ("s3:*", "s3:GetObject", true),
            ("s3:get*", "s3:GetObject", true),
            ("s3:*Object", "s3:GetObjectObject", true),
            ("s3:Get?bject", "s3:GetObject", true),
            ("s3:Get", "s3:GetObject", false),
            ("*", "", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b", "aXc", false),
        ] {
            assert_eq!(like(pattern, text), matches, "{pattern} {text}");
        }
    }
}
