//! What the policies must know of queues: whose they are, their own policies, their tags.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SQS".

use door::{About, AuthContext, Subject};

use super::engine::Queues;
use super::rules::name;
use super::types::QueueName;

impl AuthContext for Queues {
    fn about(&self, subject: &Subject<'_>) -> About {
        let Some(meant) = meant(subject) else { return About::default() };
        let resource = Some(meant.arn());
        // What cannot be read has no policy, and its own handler says why.
        let Ok(Some(queue)) = self.find(&meant) else { return About { resource, ..About::default() } };
        let settings = queue.settings();
        About { resource, policy: settings.policy.clone(), keys: settings.keys.clone(), ..About::default() }
    }
}

/// The queue that an input names.
fn meant(subject: &Subject<'_>) -> Option<QueueName> {
    let region = subject.region.clone();
    if let Some(url) = subject.text("QueueUrl") {
        let (account, name) = name::of_url(&url).ok()?;
        return Some(QueueName { account, region, name: name.to_owned() });
    }
    if let Some(name) = subject.text("QueueName") {
        let owner = subject.text("QueueOwnerAWSAccountId").and_then(|account| account.parse().ok());
        return Some(QueueName { account: owner.unwrap_or_else(|| subject.account()), region, name });
    }
    let arn = subject.text("SourceArn")?.parse::<base::Arn>().ok()?;
    Some(QueueName { account: arn.account.parse().ok()?, region: arn.region.parse().ok()?, name: arn.resource })
}
