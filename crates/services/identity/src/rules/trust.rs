//! Whether a role's trust policy lets a principal assume the role.

use base::Principal;

use super::document::{Condition, Document, Who};
use super::evaluate::wildcard;

/// Who asks, and with what.
#[derive(Debug, Clone)]
pub struct Asker<'a> {
    /// The principal.
    pub principal: &'a Principal,
    /// Its ARN as IAM knows it, a user's path included.
    pub arn: &'a str,
    /// `ExternalId` of the request.
    pub external_id: Option<&'a str>,
}

/// Whether the document allows `action` (`sts:AssumeRole`) to the asker: an explicit deny wins.
pub fn lets_in(document: &Document, action: &str, asker: &Asker<'_>) -> bool {
    let mut allowed = false;
    let action = action.to_ascii_lowercase();
    for statement in &document.statements {
        let named = statement.principals.as_ref().is_some_and(|who| who.matches(|one| names(one, asker)));
        let acts = statement.actions.matches(|pattern| wildcard(pattern, &action));
        if !named || !acts || !statement.conditions.iter().all(|condition| holds(condition, asker)) {
            continue;
        }
        if !statement.allow {
            return false;
        }
        allowed = true;
    }
    allowed
}

/// Whether a principal element names the asker.
/// Source: IAM User Guide, "AWS JSON policy elements: Principal".
fn names(who: &Who, asker: &Asker<'_>) -> bool {
    match (who.kind.as_str(), asker.principal) {
        ("Service", Principal::Service { name, .. }) => who.value == *name,
        ("AWS", Principal::Service { .. } | Principal::Anonymous) => who.value == "*",
        ("AWS", principal) => {
            let account = principal.account();
            if who.value == "*" || who.value == account.as_str() || who.value == asker.arn {
                return true;
            }
            if who.value == format!("arn:aws:iam::{account}:root") {
                return true;
            }
            // A role's ARN means every session of it; the session's own ARN lacks the role's path.
            let Principal::Session { role, .. } = principal else { return false };
            let prefix = format!("arn:aws:iam::{account}:role/");
            who.value.strip_prefix(&prefix).is_some_and(|rest| rest.rsplit('/').next() == Some(role))
        }
        _ => false,
    }
}

/// Whether a condition holds. A key we do not know is absent, and an operator we do not know never holds.
/// Source: IAM User Guide, "Condition operators".
fn holds(condition: &Condition, asker: &Asker<'_>) -> bool {
    let account = asker.principal.account();
    let value = match condition.key.to_ascii_lowercase().as_str() {
        "sts:externalid" => asker.external_id,
        "aws:principalarn" => Some(asker.arn),
        "aws:principalaccount" => Some(account.as_str()),
        _ => None,
    };
    let (operator, if_exists) = match condition.operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (condition.operator.as_str(), false),
    };
    let any = |one: &dyn Fn(&str, &str) -> bool| match value {
        None => if_exists,
        Some(value) => condition.values.iter().any(|wanted| one(wanted, value)),
    };
    match operator {
        "StringEquals" => any(&|wanted, value| wanted == value),
        "StringEqualsIgnoreCase" => any(&|wanted, value| wanted.eq_ignore_ascii_case(value)),
        "StringLike" | "ArnLike" | "ArnEquals" => any(&|wanted, value| wildcard(wanted, value)),
        // Negated operators hold when the key is absent.
        "StringNotEquals" => value.is_none_or(|value| condition.values.iter().all(|wanted| wanted != value)),
        "StringNotLike" | "ArnNotLike" => {
            value.is_none_or(|value| !condition.values.iter().any(|wanted| wildcard(wanted, value)))
        }
        "Null" => condition.values.iter().any(|wanted| wanted == if value.is_none() { "true" } else { "false" }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Purpose, read};
    use super::*;
    use base::Account;

    fn asks(statement: &str, principal: &Principal, external_id: Option<&str>) -> bool {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        let document = read(&text, Purpose::Trust).unwrap();
        lets_in(&document, "sts:AssumeRole", &Asker { principal, arn: &principal.arn(), external_id })
    }

    fn allow(principal: &str) -> String {
        format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}"#)
    }

    #[test]
    fn the_named_principals_are_let_in_and_nobody_else() {
        let account: Account = "111122223333".parse().unwrap();
        let user = Principal::User { account, name: "ann".into() };
        let session = Principal::Session { account, role: "app".into(), session: "s".into() };
        let service =
            Principal::Service { name: "lambda.amazonaws.com", source_arn: String::new(), source_account: account };
        let lambda = allow(r#"{"Service":"lambda.amazonaws.com"}"#);
        assert!(asks(&lambda, &service, None));
        assert!(!asks(&lambda, &user, None));
        assert!(asks(&allow(r#"{"AWS":"111122223333"}"#), &user, None));
        assert!(asks(&allow(r#"{"AWS":"arn:aws:iam::111122223333:root"}"#), &session, None));
        assert!(!asks(&allow(r#"{"AWS":"arn:aws:iam::999999999999:root"}"#), &session, None));
        assert!(asks(&allow(r#"{"AWS":"arn:aws:iam::111122223333:role/team/app"}"#), &session, None));
        assert!(!asks(&allow(r#"{"AWS":"arn:aws:iam::111122223333:role/other"}"#), &session, None));
        assert!(asks(&allow(r#""*""#), &user, None));
    }

    #[test]
    fn an_external_id_must_be_the_right_one() {
        let user = Principal::User { account: Account::DEFAULT, name: "ann".into() };
        let wanted = r#"{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole",
            "Condition":{"StringEquals":{"sts:ExternalId":"secret"}}}"#;
        assert!(asks(wanted, &user, Some("secret")));
        assert!(!asks(wanted, &user, Some("guess")));
        assert!(!asks(wanted, &user, None));
        let unknown = wanted.replace("StringEquals", "IpAddress");
        assert!(!asks(&unknown, &user, Some("secret")), "an operator we do not know must not let anybody in");
    }

    #[test]
    fn a_deny_wins() {
        let user = Principal::User { account: Account::DEFAULT, name: "ann".into() };
        let both =
            format!(r#"{},{{"Effect":"Deny","Principal":{{"AWS":"000000000000"}},"Action":"*"}}"#, allow(r#""*""#));
        assert!(!asks(&both, &user, None));
    }
}
