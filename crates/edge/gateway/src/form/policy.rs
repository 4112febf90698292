//! What a signed policy lets a form say.

use base::{Fault, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Fields;

/// Fields that no condition need name.
const FREE: [&str; 5] = ["x-amz-signature", "policy", "file", "awsaccesskeyid", "signature"];

/// A policy, read. The default one lets a form say anything.
#[derive(Debug)]
pub(super) struct Policy {
    /// Until when it holds; none: there is no policy.
    expires: Option<Timestamp>,
    conditions: Vec<Condition>,
    /// The least and the most the file may measure, bytes.
    pub(super) least_bytes: u64,
    pub(super) most_bytes: u64,
}

#[derive(Debug)]
struct Condition {
    field: String,
    value: String,
    exact: bool,
    /// As the policy has it, for the refusal.
    shown: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self { expires: None, conditions: Vec::new(), least_bytes: 0, most_bytes: u64::MAX }
    }
}

fn invalid(words: &str) -> Fault {
    Fault::new("InvalidPolicyDocument", 400, format!("Invalid Policy: {words}"))
}

fn against(words: &str) -> Fault {
    Fault::new("AccessDenied", 403, format!("Invalid according to Policy: {words}"))
}

impl Policy {
    /// Reads a policy as the form has it: base64 of JSON.
    ///
    /// # Errors
    /// InvalidPolicyDocument.
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        let compact: String = text.chars().filter(|it| !it.is_ascii_whitespace()).collect();
        let bytes = STANDARD.decode(compact).map_err(|_| invalid("Invalid base64."))?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|_| invalid("Invalid JSON."))?;
        let expires = json.get("expiration").and_then(Value::as_str).and_then(wire::date_of_iso);
        let expires = expires.ok_or_else(|| invalid("Policy missing expiration."))?;
        let all =
            json.get("conditions").and_then(Value::as_array).ok_or_else(|| invalid("Policy missing conditions."))?;
        let mut policy = Self { expires: Some(expires), ..Self::default() };
        for condition in all {
            policy.add(condition)?;
        }
        Ok(policy)
    }

    fn add(&mut self, condition: &Value) -> Result<(), Fault> {
        let shown = condition.to_string();
        let wrong = || invalid(&format!("Invalid Condition: {shown}"));
        match condition {
            Value::Object(fields) => {
                for (field, value) in fields {
                    let value = value.as_str().ok_or_else(wrong)?.to_owned();
                    let shown = format!("[\"eq\", \"${field}\", \"{value}\"]");
                    self.conditions.push(Condition { field: field.to_ascii_lowercase(), value, exact: true, shown });
                }
            }
            Value::Array(parts) => {
                let [how, first, second] = parts.as_slice() else { return Err(wrong()) };
                match how.as_str().map(str::to_ascii_lowercase).as_deref() {
                    Some("content-length-range") => {
                        let number =
                            |it: &Value| it.as_u64().or_else(|| it.as_str().and_then(|text| text.parse().ok()));
                        self.least_bytes = number(first).ok_or_else(wrong)?;
                        self.most_bytes = number(second).ok_or_else(wrong)?;
                    }
                    Some(how @ ("eq" | "starts-with")) => {
                        let field = first.as_str().and_then(|field| field.strip_prefix('$')).ok_or_else(wrong)?;
                        let value = second.as_str().ok_or_else(wrong)?.to_owned();
                        let shown = format!("[\"{how}\", \"${field}\", \"{value}\"]");
                        let field = field.to_ascii_lowercase();
                        self.conditions.push(Condition { field, value, exact: how == "eq", shown });
                    }
                    _ => return Err(wrong()),
                }
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// Whether a form may say what it says now.
    ///
    /// # Errors
    /// AccessDenied.
    pub(super) fn check(&self, fields: &Fields, bucket: &str, key: &str, now: Timestamp) -> Result<(), Fault> {
        let Some(expires) = self.expires else { return Ok(()) };
        if now >= expires {
            return Err(against("Policy expired."));
        }
        for Condition { field, value, exact, shown } in &self.conditions {
            let said = match field.as_str() {
                "bucket" => Some(bucket),
                "key" => Some(key),
                field => fields.get(field),
            };
            let holds = match said {
                Some(said) if *exact => said == value,
                Some(said) => said.starts_with(value.as_str()),
                None => !*exact && value.is_empty(),
            };
            if !holds {
                return Err(against(&format!("Policy Condition failed: {shown}")));
            }
        }
        let free = |name: &str| FREE.contains(&name) || name.starts_with("x-ignore-");
        let named = |name: &str| self.conditions.iter().any(|condition| condition.field == name);
        match fields.names().find(|name| !free(name) && !named(name)) {
            Some(extra) => Err(against(&format!("Extra input fields: {extra}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(conditions: &str) -> Policy {
        let text = format!("{{\"expiration\": \"2026-11-21T12:00:00.000Z\", \"conditions\": {conditions}}}");
        Policy::read(&STANDARD.encode(text)).unwrap()
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    const NOW: Timestamp = Timestamp(1_796_000_000_000);

    #[test]
    fn a_form_may_say_what_its_policy_names() {
        let policy = policy(
            r#"[{"bucket": "b"}, ["starts-with", "$key", "up/"], ["eq", "$acl", "private"], ["content-length-range", 1, "9"]]"#,
        );
        assert_eq!((policy.least_bytes, policy.most_bytes), (1, 9));
        let good = [("key", "up/${filename}"), ("acl", "private"), ("policy", "…"), ("x-ignore-a", "1")];
        let early = Timestamp(0);
        assert!(policy.check(&fields(&good), "b", "up/1", early).is_ok());
        for (pairs, bucket, key, words) in [
            (&good[..], "c", "up/1", "Policy Condition failed: [\"eq\", \"$bucket\", \"b\"]"),
            (&good[..], "b", "down/1", "Policy Condition failed: [\"starts-with\", \"$key\", \"up/\"]"),
            (&good[..1], "b", "up/1", "Policy Condition failed: [\"eq\", \"$acl\", \"private\"]"),
            (&[good[0], good[1], ("tagging", "x")][..], "b", "up/1", "Extra input fields: tagging"),
        ] {
            let fault = policy.check(&fields(pairs), bucket, key, early).unwrap_err();
            assert_eq!(fault.message, format!("Invalid according to Policy: {words}"));
        }
        assert!(policy.check(&fields(&good), "b", "up/1", NOW).unwrap_err().message.ends_with("Policy expired."));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in
            ["!", "e30=", "W10=", &STANDARD.encode(r#"{"expiration": "2026-11-21T12:00:00Z", "conditions": [["eq"]]}"#)]
        {
            assert_eq!(Policy::read(text).unwrap_err().code, "InvalidPolicyDocument", "{text}");
        }
    }
}
