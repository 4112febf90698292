//! Statements that AddPermission and RemovePermission put into a queue's policy and take out of it.
//!
//! Source: Amazon SQS API Reference, "AddPermission", and Developer Guide, "Limitations of Amazon SQS custom policies".

use base::{Account, Fault};
use model::sqs;
use serde_json::{Value, json};

use crate::queues::faults;

/// What another account may be allowed.
const SHARED: [&str; 9] = [
    "*",
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
];

/// What only the queue's own account may.
const OWN: [&str; 9] = [
    "AddPermission",
    "CreateQueue",
    "DeleteQueue",
    "ListQueues",
    "ListQueueTags",
    "RemovePermission",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
];

/// Actions of one statement.
const ACTIONS: usize = 7;
/// Statements of a policy.
const STATEMENTS: usize = 20;

/// A policy with one more statement.
///
/// # Errors
/// InvalidParameterValue, OverLimit.
pub(crate) fn add(
    policy: Option<&str>,
    arn: &str,
    label: &str,
    accounts: &[String],
    actions: &[String],
) -> Result<String, Fault> {
    check(label, accounts, actions)?;
    let mut document = read(policy)
        .unwrap_or_else(|| json!({"Version": "2008-10-17", "Id": format!("{arn}/SQSDefaultPolicy"), "Statement": []}));
    let statements = statements(&mut document);
    if statements.iter().any(|one| one["Sid"] == label) {
        return Err(faults::parameter("Label", label, "Already exists."));
    }
    if statements.len() >= STATEMENTS {
        return Err(sqs::over_limit(format!("A policy has at most {STATEMENTS} statements.")));
    }
    let principals = accounts.iter().map(|account| Value::from(format!("arn:aws:iam::{account}:root"))).collect();
    let actions = actions.iter().map(|action| Value::from(format!("SQS:{action}"))).collect();
    statements.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": one_or_many(principals)},
        "Action": one_or_many(actions),
        "Resource": arn,
    }));
    Ok(document.to_string())
}

/// A policy without a statement; none if it was the last.
///
/// # Errors
/// InvalidParameterValue.
pub(crate) fn remove(policy: Option<&str>, label: &str) -> Result<Option<String>, Fault> {
    let missing = || faults::parameter("Label", label, "can't find label.");
    let mut document = read(policy).ok_or_else(missing)?;
    let statements = statements(&mut document);
    let had = statements.len();
    statements.retain(|one| one["Sid"] != label);
    match statements.len() {
        left if left == had => Err(missing()),
        0 => Ok(None),
        _ => Ok(Some(document.to_string())),
    }
}

fn check(label: &str, accounts: &[String], actions: &[String]) -> Result<(), Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=80).contains(&label.len()) || !label.bytes().all(is_plain) {
        let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(faults::parameter("Label", label, reason));
    }
    if let Some(wrong) = accounts.iter().find(|account| account.parse::<Account>().is_err()) {
        return Err(faults::parameter("PrincipalId", wrong, "Unable to verify."));
    }
    if accounts.is_empty() {
        return Err(faults::missing("PrincipalId"));
    }
    if actions.is_empty() {
        return Err(faults::missing("ActionName"));
    }
    if actions.len() > ACTIONS {
        return Err(sqs::over_limit(format!("{} Actions were found, maximum allowed is {ACTIONS}.", actions.len())));
    }
    for action in actions {
        let reason = match action.as_str() {
            action if SHARED.contains(&action) => continue,
            action if OWN.contains(&action) => "Only the queue owner is allowed to invoke this action.",
            _ => "Please refer to the appropriate WSDL for a list of valid actions.",
        };
        return Err(faults::parameter("ActionName", format!("SQS:{action}"), reason));
    }
    Ok(())
}

fn read(policy: Option<&str>) -> Option<Value> {
    serde_json::from_str(policy?).ok().filter(Value::is_object)
}

/// A policy's statements; one that stands alone becomes a list.
fn statements(document: &mut Value) -> &mut Vec<Value> {
    let slot = &mut document["Statement"];
    if !slot.is_array() {
        let alone = slot.take();
        *slot = Value::Array(if alone.is_object() { vec![alone] } else { Vec::new() });
    }
    slot.as_array_mut().expect("it was made a list if it was none")
}

fn one_or_many(mut values: Vec<Value>) -> Value {
    match values.len() {
        1 => values.remove(0),
        _ => Value::Array(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:jobs";

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn statements_come_and_go_by_their_label() {
        let one = add(None, ARN, "a", &words(&["111111111111"]), &words(&["ReceiveMessage"])).unwrap();
        let wanted = json!({
            "Version": "2008-10-17",
            "Id": "arn:aws:sqs:us-east-1:000000000000:jobs/SQSDefaultPolicy",
            "Statement": [{
                "Sid": "a",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": "SQS:ReceiveMessage",
                "Resource": ARN,
            }],
        });
        assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), wanted);
        let again = add(Some(&one), ARN, "a", &words(&["111111111111"]), &words(&["*"]));
        assert_eq!(again.unwrap_err().message, "Value a for parameter Label is invalid. Reason: Already exists.");
        let two = add(Some(&one), ARN, "b", &words(&["111111111111", "222222222222"]), &words(&["*"])).unwrap();
        assert_eq!(remove(Some(&two), "b").unwrap().as_deref(), Some(&*one));
        assert_eq!(remove(Some(&one), "a").unwrap(), None);
        for (policy, label) in [(None, "a"), (Some(&*one), "b")] {
            let fault = remove(policy, label).unwrap_err();
            assert_eq!(
                fault.message,
                format!("Value {label} for parameter Label is invalid. Reason: can't find label.")
            );
        }
    }

    #[test]
    fn a_statement_that_stands_alone_is_kept() {
        let alone = r#"{"Statement":{"Sid":"x","Effect":"Deny"}}"#;
        let two = add(Some(alone), ARN, "a", &words(&["111111111111"]), &words(&["*"])).unwrap();
        assert!(two.contains("\"Sid\":\"x\""));
        assert!(remove(Some(&two), "a").unwrap().unwrap().contains("\"Sid\":\"x\""));
    }

    #[test]
    fn what_cannot_be_shared_is_refused() {
        let account = words(&["111111111111"]);
        let reason =
            |accounts: &[String], actions: &[&str]| add(None, ARN, "a", accounts, &words(actions)).unwrap_err();
        assert!(reason(&account, &["DeleteQueue"]).message.contains("Only the queue owner"));
        assert!(reason(&account, &["Dance"]).message.contains("appropriate WSDL"));
        assert!(reason(&words(&["me"]), &["*"]).message.contains("Unable to verify"));
        assert_eq!(reason(&account, &["*"; 8]).code, "OverLimit");
        assert_eq!(reason(&account, &[]).code, "MissingParameter");
        assert!(add(None, ARN, "a b", &account, &words(&["*"])).is_err());
    }
}
