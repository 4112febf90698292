//! Reads policy documents and refuses the malformed ones with IAM's words.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language".

use base::Fault;
use model::iam::malformed_policy_document_exception as malformed;
use serde_json::{Map, Value};

use super::condition::{self, Condition};
use super::pattern::{ArnPattern, Pattern};
use super::principal::Who;

/// Where a document stands, which decides what it must and must not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// What a principal may do: no principal in it.
    Identity,
    /// Who may assume a role: no resource in it.
    Trust,
    /// Whom a resource lets in.
    Resource,
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// Its statements, in order.
    pub statements: Vec<Statement>,
}

impl Document {
    /// Whether any statement looks at the request's condition keys.
    pub fn looks_at_request(&self) -> bool {
        self.statements.iter().any(|statement| {
            !statement.conditions.is_empty() || statement.resources.any.iter().any(ArnPattern::has_variables)
        })
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// `Sid`, or its place as `#1`.
    pub name: String,
    /// Whether it allows; else it denies.
    pub allow: bool,
    /// Who it is about; none in identity policies.
    pub principals: Option<Patterns<Who>>,
    /// Actions in lower case, with `*` and `?`: IAM's names of actions have no case.
    pub actions: Patterns<Pattern>,
    /// Resources, with `*`, `?` and variables; in trust policies whatever is asked for.
    pub resources: Patterns<ArnPattern>,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

/// A list of patterns, of which one must match, or none if `negated`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns<T> {
    /// `NotAction`, `NotResource`, `NotPrincipal`.
    pub negated: bool,
    /// The patterns.
    pub any: Vec<T>,
}

impl<T> Patterns<T> {
    /// The same list of something else.
    fn map<U>(&self, one: impl Fn(&T) -> U) -> Patterns<U> {
        Patterns { negated: self.negated, any: self.any.iter().map(one).collect() }
    }

    /// Whether the list matches, given how one pattern does.
    pub fn matches(&self, one: impl Fn(&T) -> bool) -> bool {
        self.any.iter().any(one) != self.negated
    }
}

/// What IAM says of most faults.
pub(super) const SYNTAX: &str = "Syntax errors in policy.";
const ELEMENTS: [&str; 10] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
    "Comment",
];

/// Reads a document.
///
/// # Errors
/// `MalformedPolicyDocument` with IAM's sentence about the first fault found.
pub fn read(text: &str, purpose: Purpose) -> Result<Document, Fault> {
    let broken = || match purpose {
        Purpose::Identity => malformed(SYNTAX),
        Purpose::Trust | Purpose::Resource => malformed("This policy contains invalid Json"),
    };
    let value: Value = serde_json::from_str(text).map_err(|_| broken())?;
    let object = value.as_object().ok_or_else(broken)?;
    if object.keys().any(|key| !matches!(key.as_str(), "Version" | "Id" | "Statement")) {
        return Err(malformed(SYNTAX));
    }
    match object.get("Version").map(|version| version.as_str().unwrap_or_default()) {
        Some("2012-10-17") => {}
        // The older language remains valid where there are principals.
        None | Some("2008-10-17") if purpose != Purpose::Identity => {}
        None | Some("2008-10-17") => return Err(malformed("Policy document must be version 2012-10-17 or greater.")),
        Some(_) => return Err(malformed(SYNTAX)),
    }
    let variables = object.get("Version").and_then(Value::as_str) == Some("2012-10-17");
    let statements = match object.get("Statement") {
        Some(Value::Array(items)) if !items.is_empty() => items.iter().collect(),
        Some(item @ Value::Object(_)) => vec![item],
        _ => return Err(malformed(SYNTAX)),
    };
    let statements = statements
        .into_iter()
        .enumerate()
        .map(|(at, item)| statement(item.as_object().ok_or_else(|| malformed(SYNTAX))?, at, purpose, variables))
        .collect::<Result<Vec<_>, _>>()?;
    for (at, one) in statements.iter().enumerate() {
        if statements[..at].iter().any(|other| other.name == one.name) {
            return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
        }
    }
    Ok(Document { statements })
}

fn statement(item: &Map<String, Value>, at: usize, purpose: Purpose, variables: bool) -> Result<Statement, Fault> {
    if item.keys().any(|key| !ELEMENTS.contains(&key.as_str())) {
        return Err(malformed(SYNTAX));
    }
    let allow = match item.get("Effect").and_then(Value::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err(malformed(SYNTAX)),
    };
    let name = match item.get("Sid") {
        None => format!("#{}", at + 1),
        Some(Value::String(sid)) if sid.is_empty() => format!("#{}", at + 1),
        Some(Value::String(sid)) => sid.clone(),
        Some(_) => return Err(malformed(SYNTAX)),
    };
    let actions = pair(item, "Action", "NotAction")?;
    let resources = pair(item, "Resource", "NotResource")?;
    let principals = principals(item)?;
    let mut actions = actions.ok_or_else(|| malformed("Policy statement must contain actions."))?;
    actions.any.iter_mut().for_each(|action| action.make_ascii_lowercase());
    let resources = match purpose {
        Purpose::Identity => {
            if principals.is_some() {
                return Err(malformed("Policy document should not specify a principal."));
            }
            check_actions(&actions.any)?;
            let resources = resources.ok_or_else(|| malformed("Policy statement must contain resources."))?;
            check_resources(&resources.any)?;
            resources
        }
        Purpose::Resource => {
            if principals.is_none() {
                return Err(malformed("Missing required field Principal"));
            }
            check_actions(&actions.any)?;
            let resources = resources.ok_or_else(|| malformed("Policy statement must contain resources."))?;
            check_resources(&resources.any)?;
            resources
        }
        Purpose::Trust => {
            if resources.is_some() {
                return Err(malformed("Has prohibited field Resource"));
            }
            if principals.is_none() {
                return Err(malformed("Missing required field Principal"));
            }
            if !actions.any.iter().all(|action| action.starts_with("sts:") || action == "*") {
                return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
            }
            Patterns { negated: true, any: Vec::new() }
        }
    };
    Ok(Statement {
        name,
        allow,
        principals,
        actions: actions.map(|action| Pattern::read(action, false)),
        resources: resources.map(|resource| ArnPattern::read(resource, variables)),
        conditions: condition::read(item.get("Condition"), variables)?,
    })
}

fn check_actions(actions: &[String]) -> Result<(), Fault> {
    let prefixed =
        |action: &String| action == "*" || action.split_once(':').is_some_and(|(vendor, _)| !vendor.is_empty());
    if actions.iter().all(prefixed) {
        return Ok(());
    }
    Err(malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."))
}

fn check_resources(resources: &[String]) -> Result<(), Fault> {
    let fits = |text: &str| {
        text == "*" || text.starts_with("arn:") && text.matches(':').count() >= 5 || text.starts_with("arn:*")
    };
    match resources.iter().find(|text| !fits(text)) {
        None => Ok(()),
        Some(text) => Err(malformed(format!("Resource {text} must be in ARN format or \"*\"."))),
    }
}

/// A text or a list of texts.
fn texts(value: &Value) -> Result<Vec<String>, Fault> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| malformed(SYNTAX))).collect()
        }
        _ => Err(malformed(SYNTAX)),
    }
}

/// An element or its `Not` form, never both.
fn pair(item: &Map<String, Value>, plain: &str, negated: &str) -> Result<Option<Patterns<String>>, Fault> {
    match (item.get(plain), item.get(negated)) {
        (None, None) => Ok(None),
        (Some(value), None) => Ok(Some(Patterns { negated: false, any: texts(value)? })),
        (None, Some(value)) => Ok(Some(Patterns { negated: true, any: texts(value)? })),
        (Some(_), Some(_)) => Err(malformed(SYNTAX)),
    }
}

fn principals(item: &Map<String, Value>) -> Result<Option<Patterns<Who>>, Fault> {
    let (negated, value) = match (item.get("Principal"), item.get("NotPrincipal")) {
        (None, None) => return Ok(None),
        (Some(value), None) => (false, value),
        (None, Some(value)) => (true, value),
        (Some(_), Some(_)) => return Err(malformed(SYNTAX)),
    };
    let any = match value {
        Value::String(text) if text == "*" => vec![Who::Everyone],
        Value::Object(kinds) => {
            let mut any = Vec::new();
            for (kind, value) in kinds {
                for value in texts(value)? {
                    any.push(principal(kind, value)?);
                }
            }
            any
        }
        _ => return Err(malformed(SYNTAX)),
    };
    Ok(Some(Patterns { negated, any }))
}

fn principal(kind: &str, value: String) -> Result<Who, Fault> {
    let account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_arn = |text: &str| text.starts_with("arn:") && text.matches(':').count() >= 5;
    Ok(match kind {
        "AWS" if value == "*" => Who::Everyone,
        "AWS" if account(&value) => Who::Account(value),
        "AWS" if is_arn(&value) => {
            match value.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root")) {
                Some(number) if account(number) => Who::Account(number.to_owned()),
                _ => Who::Arn(value),
            }
        }
        "Service" if value.contains('.') => Who::Service(value),
        "Federated" | "CanonicalUser" if !value.is_empty() => Who::Other(value),
        "AWS" | "Service" | "Federated" | "CanonicalUser" => {
            return Err(malformed(format!("Invalid principal in policy: \"{kind}\":\"{value}\"")));
        }
        _ => return Err(malformed(SYNTAX)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str, purpose: Purpose) -> String {
        let fault = read(text, purpose).unwrap_err();
        assert_eq!((fault.code.as_ref(), fault.status), ("MalformedPolicyDocument", 400));
        fault.message
    }

    #[test]
    fn identity_policies_are_refused_with_iams_words() {
        let of = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
        for (text, expected) in [
            ("nonsense".to_owned(), SYNTAX),
            (r#"{"Statement":[]}"#.to_owned(), "Policy document must be version 2012-10-17 or greater."),
            (of("[]"), SYNTAX),
            (of(r#"{"Effect":"allow","Action":"*","Resource":"*"}"#), SYNTAX),
            (of(r#"{"Effect":"Allow","Action":"*"}"#), "Policy statement must contain resources."),
            (of(r#"{"Effect":"Allow","Resource":"*"}"#), "Policy statement must contain actions."),
            (
                of(r#"{"Effect":"Allow","Action":"Get","Resource":"*"}"#),
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ),
            (
                of(r#"{"Effect":"Allow","Action":"s3:Get","Resource":"x"}"#),
                "Resource x must be in ARN format or \"*\".",
            ),
            (
                of(r#"{"Effect":"Allow","Principal":"*","Action":"s3:Get","Resource":"*"}"#),
                "Policy document should not specify a principal.",
            ),
        ] {
            assert_eq!(words(&text, Purpose::Identity), expected, "{text}");
        }
    }

    #[test]
    fn trust_policies_are_refused_with_iams_words() {
        let of = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        for (text, expected) in [
            ("{}}".to_owned(), "This policy contains invalid Json"),
            (of(r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#), "Missing required field Principal"),
            (
                of(r#"{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}"#),
                "Has prohibited field Resource",
            ),
            (
                of(r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}"#),
                "AssumeRole policy may only specify STS AssumeRole actions.",
            ),
            (
                of(r#"{"Effect":"Allow","Principal":{"AWS":"bob"},"Action":"sts:AssumeRole"}"#),
                "Invalid principal in policy: \"AWS\":\"bob\"",
            ),
        ] {
            assert_eq!(words(&text, Purpose::Trust), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}", trust: bool) {
            let _ = read(&text, if trust { Purpose::Trust } else { Purpose::Identity });
        }
    }
}
