//! A queue's attributes: names, ranges, and how they are shown.

use std::collections::BTreeMap;

use base::Fault;
use model::sqs;
use serde_json::Value;

use super::redrive::{Allow, Redrive};
use crate::queues::faults;
use crate::queues::types::{Attributes, Fifo};

/// Bytes of a queue's policy.
const POLICY_BYTES: usize = 8192;

/// What asks for all.
pub(crate) const ALL: &str = "All";

/// Attributes that are counted, or follow from the queue itself.
pub(crate) const TOLD: [&str; 6] = [
    "QueueArn",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];

/// Attributes that users set.
const SET: [&str; 15] = [
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "VisibilityTimeout",
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

/// Whether queues have an attribute of this name.
pub(crate) fn is_known(name: &str) -> bool {
    name == ALL || SET.contains(&name) || TOLD.contains(&name)
}

/// The attributes of a queue that is made with these.
///
/// # Errors
/// InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue, NotImplemented.
pub(crate) fn of_new(given: &BTreeMap<String, String>) -> Result<Attributes, Fault> {
    let mut attributes = Attributes::default();
    if let Some(fifo) = given.get("FifoQueue") {
        match flag("FifoQueue", fifo)? {
            true => attributes.fifo = Some(Fifo::default()),
            // AWS takes it for a queue that does not have the attribute.
            false => return Err(faults::unknown_attribute("FifoQueue")),
        }
    }
    apply(&mut attributes, given)?;
    Ok(attributes)
}

/// Sets what is given.
///
/// # Errors
/// InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue, NotImplemented.
pub(crate) fn apply(attributes: &mut Attributes, given: &BTreeMap<String, String>) -> Result<(), Fault> {
    for (name, value) in given {
        set(attributes, name, value)?;
    }
    let per_group = attributes.fifo.as_ref().filter(|fifo| fifo.limit_is_per_group);
    if per_group.is_some_and(|fifo| !fifo.scope_is_group) {
        return Err(sqs::invalid_attribute_value(
            "Invalid value for the parameter FifoThroughputLimit. Reason: The perMessageGroupId value is allowed only when the \
             value for DeduplicationScope is messageGroup.",
        ));
    }
    Ok(())
}

fn set(attributes: &mut Attributes, name: &str, value: &str) -> Result<(), Fault> {
    match name {
        "DelaySeconds" => attributes.delay_s = number(name, value, 0, 900)?,
        "MaximumMessageSize" => attributes.maximum_bytes = number(name, value, 1024, 1_048_576)?,
        "MessageRetentionPeriod" => attributes.retention_s = number(name, value, 60, 1_209_600)?,
        "ReceiveMessageWaitTimeSeconds" => attributes.wait_s = number(name, value, 0, 20)?,
        "VisibilityTimeout" => attributes.visibility_s = number(name, value, 0, 43_200)?,
        "Policy" => attributes.policy = policy(value)?,
        "RedrivePolicy" => {
            attributes.redrive = given(value);
            attributes.redrive.as_deref().map(Redrive::read).transpose()?;
        }
        "RedriveAllowPolicy" => {
            attributes.redrive_allow = given(value);
            attributes.redrive_allow.as_deref().map(Allow::read).transpose()?;
        }
        "KmsMasterKeyId" if value.is_empty() => {}
        "KmsMasterKeyId" => return Err(Fault::not_implemented("KmsMasterKeyId of a queue: there is no KMS yet")),
        "KmsDataKeyReusePeriodSeconds" => attributes.key_reuse_s = Some(number(name, value, 60, 86_400)?),
        "SqsManagedSseEnabled" => attributes.managed_sse = flag(name, value)?,
        "FifoQueue" => match &attributes.fifo {
            None => return Err(faults::unknown_attribute(name)),
            Some(_) if value == "true" => {}
            Some(_) => {
                return Err(sqs::invalid_attribute_value(
                    "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
                ));
            }
        },
        "ContentBasedDeduplication" | "DeduplicationScope" | "FifoThroughputLimit" => {
            let fifo = attributes.fifo.as_mut().ok_or_else(|| faults::unknown_attribute(name))?;
            match (name, value) {
                ("ContentBasedDeduplication", value) => fifo.content_based = flag(name, value)?,
                ("DeduplicationScope", "queue") => fifo.scope_is_group = false,
                ("DeduplicationScope", "messageGroup") => fifo.scope_is_group = true,
                ("FifoThroughputLimit", "perQueue") => fifo.limit_is_per_group = false,
                ("FifoThroughputLimit", "perMessageGroupId") => fifo.limit_is_per_group = true,
                _ => return Err(faults::attribute_value(name)),
            }
        }
        // What is told cannot be set.
        _ => return Err(faults::unknown_attribute(name)),
    }
    Ok(())
}

/// An empty text takes away what was set.
fn given(value: &str) -> Option<String> {
    Some(value.to_owned()).filter(|value| !value.trim().is_empty())
}

fn policy(value: &str) -> Result<Option<String>, Fault> {
    let Some(policy) = given(value) else { return Ok(None) };
    let is_policy = match serde_json::from_str(&policy) {
        Ok(Value::Object(map)) => {
            map.get("Statement").is_some_and(|statement| statement.is_array() || statement.is_object())
        }
        _ => false,
    };
    if is_policy && policy.len() <= POLICY_BYTES { Ok(Some(policy)) } else { Err(faults::attribute_value("Policy")) }
}

fn number(name: &str, value: &str, least: u32, most: u32) -> Result<u32, Fault> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| faults::attribute_value(name))
}

fn flag(name: &str, value: &str) -> Result<bool, Fault> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(faults::attribute_value(name)),
    }
}

/// The attributes that users set, as they are shown.
pub(crate) fn shown(attributes: &Attributes) -> BTreeMap<String, String> {
    let Attributes {
        delay_s,
        maximum_bytes,
        retention_s,
        wait_s,
        visibility_s,
        policy,
        redrive,
        redrive_allow,
        key_reuse_s,
        managed_sse,
        fifo,
    } = attributes;
    let mut shown = BTreeMap::from([
        ("DelaySeconds".to_owned(), delay_s.to_string()),
        ("MaximumMessageSize".to_owned(), maximum_bytes.to_string()),
        ("MessageRetentionPeriod".to_owned(), retention_s.to_string()),
        ("ReceiveMessageWaitTimeSeconds".to_owned(), wait_s.to_string()),
        ("VisibilityTimeout".to_owned(), visibility_s.to_string()),
        ("SqsManagedSseEnabled".to_owned(), managed_sse.to_string()),
    ]);
    let texts = [("Policy", policy), ("RedrivePolicy", redrive), ("RedriveAllowPolicy", redrive_allow)];
    shown.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?))));
    shown.extend(key_reuse_s.map(|seconds| ("KmsDataKeyReusePeriodSeconds".to_owned(), seconds.to_string())));
    if let Some(Fifo { content_based, scope_is_group, limit_is_per_group }) = fifo {
        let scope = if *scope_is_group { "messageGroup" } else { "queue" };
        let limit = if *limit_is_per_group { "perMessageGroupId" } else { "perQueue" };
        shown.insert("FifoQueue".into(), "true".into());
        shown.insert("ContentBasedDeduplication".into(), content_based.to_string());
        shown.insert("DeduplicationScope".into(), scope.into());
        shown.insert("FifoThroughputLimit".into(), limit.into());
    }
    shown
}

/// The first attribute by which a queue that exists differs from one that would be made with these.
pub(crate) fn difference(exists: &Attributes, wanted: &Attributes, given: &BTreeMap<String, String>) -> Option<String> {
    let (exists, wanted) = (shown(exists), shown(wanted));
    given.keys().find(|name| exists.get(*name) != wanted.get(*name)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn ranges_are_those_of_aws() {
        for (name, least, most) in [
            ("DelaySeconds", 0, 900),
            ("MaximumMessageSize", 1024, 1_048_576),
            ("MessageRetentionPeriod", 60, 1_209_600),
            ("ReceiveMessageWaitTimeSeconds", 0, 20),
            ("VisibilityTimeout", 0, 43_200),
            ("KmsDataKeyReusePeriodSeconds", 60, 86_400),
        ] {
            for value in [least, most] {
                assert_eq!(shown(&of_new(&map(&[(name, &value.to_string())])).unwrap())[name], value.to_string());
            }
            for value in [(least - 1).to_string(), (most + 1).to_string(), "x".into(), String::new()] {
                let fault = of_new(&map(&[(name, &value)])).unwrap_err();
                assert_eq!(
                    (&*fault.code, fault.message),
                    ("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
                );
            }
        }
    }

    #[test]
    fn a_fifo_queue_has_attributes_of_its_own() {
        let fifo = shown(&of_new(&map(&[("FifoQueue", "true")])).unwrap());
        assert_eq!((&*fifo["DeduplicationScope"], &*fifo["FifoThroughputLimit"]), ("queue", "perQueue"));
        assert!(!shown(&Attributes::default()).contains_key("FifoQueue"));
        for name in ["ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "FifoQueue"] {
            assert_eq!(
                apply(&mut Attributes::default(), &map(&[(name, "true")])).unwrap_err().code,
                "InvalidAttributeName"
            );
        }
        let fast = [("FifoQueue", "true"), ("FifoThroughputLimit", "perMessageGroupId")];
        assert_eq!(of_new(&map(&fast)).unwrap_err().code, "InvalidAttributeValue");
        assert!(of_new(&map(&[fast[0], fast[1], ("DeduplicationScope", "messageGroup")])).is_ok());
    }

    #[test]
    fn what_is_empty_is_taken_away_and_what_is_unknown_refused() {
        let mut attributes = of_new(&map(&[("Policy", r#"{"Statement":[]}"#)])).unwrap();
        apply(&mut attributes, &map(&[("Policy", "")])).unwrap();
        assert_eq!(attributes, Attributes::default());
        for name in ["Colour", "QueueArn", "All"] {
            assert_eq!(of_new(&map(&[(name, "1")])).unwrap_err().message, format!("Unknown Attribute {name}."));
        }
        assert_eq!(of_new(&map(&[("KmsMasterKeyId", "alias/x")])).unwrap_err().code, "NotImplemented");
        assert!(of_new(&map(&[("KmsMasterKeyId", "")])).is_ok());
    }

    #[test]
    fn a_queue_that_exists_differs_by_what_was_given_alone() {
        let exists = of_new(&map(&[("DelaySeconds", "5")])).unwrap();
        let differs = |given: &[(&str, &str)]| difference(&exists, &of_new(&map(given)).unwrap(), &map(given));
        assert_eq!(differs(&[]), None);
        assert_eq!(differs(&[("DelaySeconds", "5"), ("VisibilityTimeout", "30")]), None);
        assert_eq!(differs(&[("DelaySeconds", "6")]).as_deref(), Some("DelaySeconds"));
    }
}
