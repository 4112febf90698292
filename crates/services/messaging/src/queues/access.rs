//! What the policies must know of queues: whose they are, their own policies, their tags.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SQS".

use door::{About, AuthContext, Need, Subject};

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
        let also = needs(subject, &meant);
        About { also, resource, policy: settings.policy.clone(), keys: settings.keys.clone(), ..About::default() }
    }
}

/// Who moves messages out of a queue must be allowed to receive and delete them, and to send them to where they go.
fn needs(subject: &Subject<'_>, source: &QueueName) -> Vec<Need> {
    if subject.operation.name != "StartMessageMoveTask" {
        return Vec::new();
    }
    let of_source = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
    let of_source = of_source.into_iter().map(|action| (action, source.arn()));
    let sends = subject.text("DestinationArn").map(|arn| ("sqs:SendMessage", arn));
    of_source.chain(sends).map(|(action, resource)| Need { action, resource, ..Need::default() }).collect()
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
