//! What the policies must know of queues: whose they are, their own policies, their tags.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SQS".

use door::{About, AuthContext, Need, Subject};

use super::engine::Queues;
use super::queue::Queue;
use super::rules::name;
use super::types::QueueName;

impl AuthContext for Queues {
    fn about(&self, subject: &Subject<'_>) -> About {
        let Some(meant) = meant(subject) else { return About::default() };
        let resource = Some(meant.arn());
        // What cannot be read has no policy, and its own handler says why.
        let Ok(Some(queue)) = self.find(&meant) else { return About { resource, ..About::default() } };
        let settings = queue.settings();
        let also = self.needs(subject, &queue);
        About { also, resource, policy: settings.policy.clone(), keys: settings.keys.clone(), ..About::default() }
    }
}

impl Queues {
    /// Who moves messages out of a queue must be allowed to receive and delete them, and to send them to where they go: the queue
    /// that is named, or all that they may have come from.
    fn needs(&self, subject: &Subject<'_>, source: &Queue) -> Vec<Need> {
        if !matches!(subject.operation.name, "StartMessageMoveTask" | "CancelMessageMoveTask") {
            return Vec::new();
        }
        let need = |action, queue: &Queue| {
            let settings = queue.settings();
            let (policy, keys) = (settings.policy.clone(), settings.keys.clone());
            Need { action, resource: queue.arn.clone(), policy, keys, ..Need::default() }
        };
        let of_source = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
        let mut needs: Vec<_> = of_source.into_iter().map(|action| need(action, source)).collect();
        if subject.operation.name == "CancelMessageMoveTask" {
            return needs;
        }
        if let Some(resource) = subject.text("DestinationArn") {
            let target = self.by_arn(&resource).ok().flatten();
            let unknown = Need { action: SEND, resource, ..Need::default() };
            needs.push(target.map_or(unknown, |target| need(SEND, &target)));
            return needs;
        }
        // What cannot be read now, the handler cannot either.
        for name in self.sources_of(source).unwrap_or_default() {
            needs.extend(self.find(&name).ok().flatten().map(|back| need(SEND, &back)));
        }
        needs
    }
}

const SEND: &str = "sqs:SendMessage";

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
    let arn = match subject.text("TaskHandle") {
        Some(handle) => super::aws::moves::read(&handle)?.1,
        None => subject.text("SourceArn")?,
    };
    let arn = arn.parse::<base::Arn>().ok()?;
    Some(QueueName { account: arn.account.parse().ok()?, region: arn.region.parse().ok()?, name: arn.resource })
}
