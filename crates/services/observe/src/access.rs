//! What the policies must know of logs: which log group an identifier means.
//!
//! Source: Amazon CloudWatch Logs User Guide, "CloudWatch Logs resources and operations": policies name a group with what
//! lies in it, so that its ARN goes on with `:log-stream:`; operations on tags alone name the bare group.

use door::{About, AuthContext, Need, Subject};

use crate::Observe;

impl AuthContext for Observe {
    fn about(&self, subject: &Subject<'_>) -> About {
        let resource = identified(subject).or_else(|| tagged(subject));
        let also = unmasked(subject).then(|| Need {
            action: "logs:Unmask",
            resource: resource.clone().unwrap_or_else(|| subject.resource.to_owned()),
            keys: Vec::new(),
            owner: None,
            policy: None,
            trust: false,
        });
        About { resource, also: also.into_iter().collect(), ..About::default() }
    }
}

/// Whether the caller asks to see what a data protection policy masks. Nothing is masked here, but who may not ask is
/// refused as on AWS.
fn unmasked(subject: &Subject<'_>) -> bool {
    wire::true_member(subject.input, "unmask")
}

/// The ARN of a group that is named by `logGroupIdentifier`, a name or an ARN, instead of `logGroupName`.
fn identified(subject: &Subject<'_>) -> Option<String> {
    let identifier = subject.text("logGroupIdentifier")?;
    let stream = subject.text("logStreamName").unwrap_or_default();
    let group = match identifier.strip_suffix(":*").unwrap_or(&identifier) {
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => format!("arn:aws:logs:{}:{}:log-group:{name}", subject.region, subject.account()),
    };
    Some(format!("{group}:log-stream:{stream}"))
}

/// The ARN of a resource whose tags are meant: a group's is the bare one, however the caller spells it.
fn tagged(subject: &Subject<'_>) -> Option<String> {
    let arn = subject.text("resourceArn")?;
    Some(arn.strip_suffix(":*").unwrap_or(&arn).to_owned())
}
