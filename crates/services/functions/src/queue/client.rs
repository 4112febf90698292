//! What this room asks of queues, and as whom.

use std::collections::BTreeMap;

use base::{Account, Fault, Principal, Region, RequestId};
use door::{Ask, Body, Call, Context, Input, Mode, Origin, Via};
use model::sqs::{self, ops};
use wire::Op;

use crate::find::Found;
use crate::name::Address;
use crate::target::role_name;
use crate::types::Settings;
use crate::{Functions, faults};

/// What a queue's ARN names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) arn: String,
    pub(crate) account: Account,
    pub(crate) region: Region,
    name: String,
}

impl Queue {
    /// Reads `arn:aws:sqs:REGION:ACCOUNT:NAME`; none for anything else.
    pub(crate) fn of(arn: &str) -> Option<Self> {
        let named = arn.parse::<base::Arn>().ok().filter(|arn| arn.partition == "aws" && arn.service == "sqs")?;
        let (region, account) = (named.region.parse().ok()?, named.account.parse().ok()?);
        let name = named.resource;
        let sound = name.strip_suffix(".fifo").unwrap_or(&name);
        let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let sound = !sound.is_empty() && name.len() <= 80 && sound.chars().all(letter);
        sound.then(|| Self { arn: arn.to_owned(), account, region, name })
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }
}

/// What Lambda must know of a queue.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) visibility_s: u32,
    policy: Option<String>,
    /// Whether messages go to another queue that were received too often.
    pub(crate) redrives: bool,
}

/// Who carries out what a function's role is asked to.
pub(crate) fn role_of(found: &Found) -> Principal {
    session(&found.named.address, found.edition().settings)
}

fn session(address: &Address, settings: &Settings) -> Principal {
    Principal::Session {
        account: address.account,
        role: role_name(&settings.role).to_owned(),
        session: address.name.clone(),
    }
}

/// Whether a fault says that there is no such queue, or nobody who has queues.
pub(crate) fn no_queue(fault: &Fault) -> bool {
    fault.code.contains("NonExistentQueue") || fault.code.contains("QueueDoesNotExist") || fault.status == 501
}

/// Whether a fault says that it is not allowed.
pub(crate) fn denied(fault: &Fault) -> bool {
    fault.code.starts_with("AccessDenied")
}

impl Functions {
    /// A queue's URL.
    pub(crate) fn queue_url(&self, queue: &Queue) -> String {
        format!("{}://{}/{}/{}", self.options.scheme, self.options.authority, queue.account, queue.name)
    }

    /// One call of an event source's service.
    ///
    /// # Errors
    /// Its faults.
    pub(crate) async fn ask_source<O: Op>(
        &self,
        principal: &Principal,
        region: &Region,
        input: O::Input,
    ) -> Result<O::Output, Fault> {
        let call = Call {
            principal: principal.clone(),
            via: Via::Room("lambda"),
            origin: Origin { secure: true, ..Origin::default() },
            operation: O::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: region.clone(),
            request_id: RequestId::new(&*self.options.rng),
            deadline: None,
            depth: 0,
            trace: None,
        };
        let reply = self.options.dispatch.call(call).await?;
        reply.typed().ok_or_else(|| Fault::internal("an event source answered another operation"))
    }

    /// Looks at a queue for its owner: whether it is there does not depend on what the function's role may.
    ///
    /// # Errors
    /// SQS's faults.
    pub(crate) async fn look_at_queue(&self, queue: &Queue) -> Result<About, Fault> {
        let owner = Principal::Root { account: queue.account, verified: true };
        let input = sqs::GetQueueAttributesRequest {
            queue_url: Some(self.queue_url(queue)),
            attribute_names: Some(["VisibilityTimeout", "Policy", "RedrivePolicy"].map(Into::into).into()),
        };
        let answer = self.ask_source::<ops::GetQueueAttributes>(&owner, &queue.region, input).await?;
        let attributes: BTreeMap<String, String> = answer.attributes.unwrap_or_default();
        let some = |name: &str| attributes.get(name).filter(|text| !text.is_empty());
        Ok(About {
            visibility_s: some("VisibilityTimeout").and_then(|text| text.parse().ok()).unwrap_or(30),
            policy: some("Policy").cloned(),
            redrives: some("RedrivePolicy").is_some(),
        })
    }

    /// For how long a queue's messages are whoever received them, ms. Of a queue that cannot be asked it is what queues have at
    /// first.
    pub(super) async fn visibility_ms(&self, queue: &Queue) -> i64 {
        let visibility_s = self.look_at_queue(queue).await.map_or(30, |about| about.visibility_s);
        // Of a queue whose messages never become invisible nothing would be delivered.
        i64::from(visibility_s.max(1)) * 1_000
    }

    /// The first of some actions on a queue that the function's role may not do.
    pub(crate) fn role_may_not<'a>(
        &self,
        (context, principal): (&Context, &Principal),
        (queue, about): (&Queue, Option<&About>),
        actions: &[&'a str],
    ) -> Option<&'a str> {
        if self.options.gate.mode() != Mode::Enforce {
            return None;
        }
        let keys = || self.options.gate.keys(&Origin { secure: true, ..Origin::default() }, principal, &queue.region);
        let mut actions = actions.iter().copied();
        actions.find(|action| {
            let ask = Ask {
                principal,
                key_id: None,
                action,
                resource: &queue.arn,
                owner: Some(queue.account),
                policy: about.and_then(|about| about.policy.as_deref()),
                trust: false,
                keys: &keys,
            };
            self.options.gate.authorise(&ask, context.request_id).is_err()
        })
    }

    /// Checks that failed events can be sent to a function's dead-letter queue.
    ///
    /// # Errors
    /// AWS's words when they cannot; that this platform cannot, where AWS can.
    pub(crate) async fn accepts_dead_letters(
        &self,
        operation: &str,
        (context, address): (&Context, &Address),
        settings: &Settings,
    ) -> Result<(), Fault> {
        let Some(target) = settings.dead_letter.as_deref() else { return Ok(()) };
        if target.split(':').nth(2) == Some("sns") {
            return Err(Fault::not_implemented(format_args!("{operation}.DeadLetterConfig to SNS")));
        }
        let invalid = || faults::invalid(format!("The dead letter target ARN {target} is invalid."));
        let queue = Queue::of(target).filter(|queue| queue.region == context.region).ok_or_else(invalid)?;
        if queue.is_fifo() {
            return Err(faults::invalid(
                "A dead letter queue of a function must be a standard queue, not a FIFO queue.",
            ));
        }
        let about = self.look_at_queue(&queue).await;
        let sender = session(address, settings);
        let looked = (&queue, about.as_ref().ok());
        if self.role_may_not((context, &sender), looked, &["sqs:SendMessage"]).is_some() {
            return Err(faults::invalid(
                "The provided execution role does not have permissions to call SendMessage on SQS",
            ));
        }
        match about {
            Ok(_) => Ok(()),
            Err(fault) if no_queue(&fault) => Err(faults::invalid(
                "Error occurred while SendMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
                 Message: The specified queue does not exist.",
            )),
            Err(fault) => Err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_queues_arn_names_a_queue() {
        let name = |arn: &str| Queue::of(arn).map(|queue| queue.name);
        assert_eq!(name("arn:aws:sqs:us-east-1:000000000000:q").as_deref(), Some("q"));
        assert!(Queue::of("arn:aws:sqs:us-east-1:000000000000:q.fifo").is_some_and(|queue| queue.is_fifo()));
        for other in [
            "arn:aws:sns:us-east-1:000000000000:q",
            "arn:aws:sqs:us-east-1:1:q",
            "arn:aws:sqs:us-east-1:000000000000:",
            "arn:aws:sqs:us-east-1:000000000000:a/b",
            "arn:aws:sqs:us-east-1:000000000000:.fifo",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
