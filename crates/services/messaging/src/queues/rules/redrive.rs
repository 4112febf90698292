//! Where messages go that nobody can work on, and who may send them there.

use base::{Arn, Fault};
use model::sqs;
use serde_json::Value;

use crate::queues::faults;

/// What a redrive policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redrive {
    /// The dead-letter queue's ARN.
    pub(crate) target: String,
    /// How often a message is received before it goes there.
    pub(crate) maximum: u32,
}

impl Redrive {
    /// Reads a policy.
    ///
    /// # Errors
    /// InvalidParameterValue.
    pub(crate) fn read(policy: &str) -> Result<Self, Fault> {
        let wrong = |reason: String| faults::parameter("RedrivePolicy", policy, reason);
        let Ok(Value::Object(map)) = serde_json::from_str(policy) else {
            return Err(wrong("Redrive policy is not a valid JSON map.".into()));
        };
        let lacks = |name: &str| wrong(format!("Redrive policy does not contain mandatory attribute: {name}."));
        let target = map.get("deadLetterTargetArn").ok_or_else(|| lacks("deadLetterTargetArn"))?;
        let count = map.get("maxReceiveCount").ok_or_else(|| lacks("maxReceiveCount"))?;
        if let Some(name) = map.keys().find(|name| !matches!(name.as_str(), "deadLetterTargetArn" | "maxReceiveCount"))
        {
            return Err(wrong(format!("Redrive policy contains unknown attribute: {name}.")));
        }
        let target = target.as_str().filter(|arn| arn.parse().is_ok_and(|arn: Arn| arn.service == "sqs"));
        let target = target.ok_or_else(|| wrong("Invalid value for deadLetterTargetArn.".into()))?.to_owned();
        let number = match count {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let maximum = number.and_then(|number| u32::try_from(number).ok()).filter(|number| (1..=1000).contains(number));
        let maximum = maximum.ok_or_else(|| {
            let shown = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
            wrong(format!(
                "Invalid value for maxReceiveCount: {shown}, valid values are from 1 to 1000 both inclusive."
            ))
        })?;
        Ok(Self { target, maximum })
    }
}

/// Which queues may send their dead letters to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Allow {
    All,
    None,
    /// By ARN.
    Only(Vec<String>),
}

impl Allow {
    /// Reads a policy.
    ///
    /// # Errors
    /// InvalidAttributeValue.
    pub(crate) fn read(policy: &str) -> Result<Self, Fault> {
        Self::parse(policy).ok_or_else(|| {
            sqs::invalid_attribute_value(
                "Invalid value for the parameter RedriveAllowPolicy. Reason: Amazon SQS can't create the redrive allow policy, \
                 as it’s in an unsupported format.",
            )
        })
    }

    fn parse(policy: &str) -> Option<Self> {
        let Ok(Value::Object(map)) = serde_json::from_str(policy) else { return None };
        if map.keys().any(|name| !matches!(name.as_str(), "redrivePermission" | "sourceQueueArns")) {
            return None;
        }
        let sources = map.get("sourceQueueArns");
        match (map.get("redrivePermission")?.as_str()?, sources) {
            ("allowAll", None) => Some(Self::All),
            ("denyAll", None) => Some(Self::None),
            ("byQueue", Some(Value::Array(arns))) if (1..=10).contains(&arns.len()) => {
                let arns =
                    arns.iter().map(|arn| arn.as_str().filter(|arn| arn.parse::<Arn>().is_ok()).map(str::to_owned));
                Some(Self::Only(arns.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    /// Whether the queue with this ARN may.
    pub(crate) fn allows(&self, source: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(arns) => arns.iter().any(|arn| arn == source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:dead";

    #[test]
    fn a_redrive_policy_names_a_queue_and_a_count() {
        let read =
            |count: &str| Redrive::read(&format!(r#"{{"deadLetterTargetArn":"{ARN}","maxReceiveCount":{count}}}"#));
        for count in ["3", "\"3\""] {
            assert_eq!(read(count).unwrap(), Redrive { target: ARN.into(), maximum: 3 });
        }
        for count in ["0", "1001", "-1", "1.5", "\"x\"", "null"] {
            assert!(read(count).unwrap_err().message.contains("valid values are from 1 to 1000 both inclusive"));
        }
        for (policy, reason) in [
            ("x", "not a valid JSON map"),
            ("[]", "not a valid JSON map"),
            (r#"{"maxReceiveCount":1}"#, "mandatory attribute: deadLetterTargetArn"),
            (r#"{"deadLetterTargetArn":"dummy","maxReceiveCount":42}"#, "Invalid value for deadLetterTargetArn"),
        ] {
            assert!(Redrive::read(policy).unwrap_err().message.contains(reason), "{policy}");
        }
    }

    #[test]
    fn a_queue_lets_in_all_or_none_or_those_it_names() {
        assert_eq!(Allow::read(r#"{"redrivePermission":"allowAll"}"#).unwrap(), Allow::All);
        assert!(!Allow::read(r#"{"redrivePermission":"denyAll"}"#).unwrap().allows(ARN));
        let only = Allow::read(&format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{ARN}"]}}"#)).unwrap();
        assert!(only.allows(ARN) && !only.allows("arn:aws:sqs:us-east-1:000000000000:other"));
        for wrong in [
            "",
            "444",
            "{}",
            r#"{"redrivePermission":"byQueue"}"#,
            r#"{"redrivePermission":"allowAll","sourceQueueArns":[]}"#,
        ] {
            assert_eq!(Allow::read(wrong).unwrap_err().code, "InvalidAttributeValue", "{wrong}");
        }
    }
}
