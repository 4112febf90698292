//! Events: whoever a bucket tells of a change is handed it in the change's own transaction.

use base::{Fault, Timestamp};
use door::outbox::{Delivery, Sender};
use model::s3;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cause::Cause;
use crate::rules::events::{Event, Filter};
use crate::rules::record::Happened;
use crate::state;
use crate::types::{Bucket, Version};
use crate::write::Family;

/// As whom functions are invoked.
pub(crate) const PRINCIPAL: &str = "s3.amazonaws.com";
/// The name of the configuration in a bucket's row.
pub(crate) const SETTING: &str = "notification";

/// The version an event is about, if it is still told of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// The version that was made, changed or taken away; none: there are no versions, or nothing was there.
    pub(crate) version: Option<&'a Version>,
    /// Its place in the order of what happens to the key; none: after all that has happened.
    pub(crate) seq: Option<u64>,
}

impl<'a> About<'a> {
    /// A version that is there now.
    pub(crate) fn made(version: &'a Version) -> Self {
        Self { version: Some(version), seq: Some(version.seq) }
    }

    /// A version that has gone.
    pub(crate) fn gone(version: &'a Version) -> Self {
        Self { version: Some(version), seq: None }
    }
}

/// `aws:SourceArn` of what a bucket sends.
pub(crate) fn source_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

impl Family<'_> {
    /// Hands an event to everybody whom the bucket tells of it.
    ///
    /// # Errors
    /// That the bucket's configuration does not read.
    pub(crate) fn tell(&mut self, event: Event, about: About<'_>, cause: &Cause) -> Result<(), Fault> {
        let Some(kept) = self.bucket.settings.get(SETTING) else { return Ok(()) };
        let configuration: s3::NotificationConfiguration =
            wire::recall(kept).map_err(|_| Fault::internal("a bucket's notification configuration does not read"))?;
        let key = self.place.key.clone();
        let functions = configuration.lambda_function_configurations.unwrap_or_default();
        let wanted: Vec<_> = functions
            .into_iter()
            .filter(|one| event.is_among(one.events.as_deref().unwrap_or_default()))
            .filter(|one| Filter::of(one.filter.as_ref()).passes(&key))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let removed = !event.creates() && event.is_ordered();
        let object = about.version.and_then(|version| version.object.as_ref()).filter(|_| !removed);
        let happened = Happened {
            event,
            at: Timestamp(self.now_ms),
            cause,
            region: &self.bucket.region,
            bucket: &self.place.name,
            owner: &self.bucket.owner,
            key: &key,
            object: object.map(|object| (object.content.size_bytes, object.etag.as_str())),
            version_id: about.version.and_then(|version| version.id.as_deref()),
            seq: about.seq.unwrap_or_else(|| self.next_seq()),
        };
        for one in wanted {
            let (id, function) = (one.id.unwrap_or_default(), one.lambda_function_arn.unwrap_or_default());
            let delivery = delivery(&happened, &self.bucket, &function, &id);
            let row = format!("s3-{}-{}", state::hex(&self.random), self.told);
            store::outbox::put(&mut self.batch, self.now_ms, &row, delivery.to_bytes());
            self.told += 1;
        }
        Ok(())
    }
}

/// One asynchronous invocation.
fn delivery(happened: &Happened<'_>, bucket: &Bucket, function: &str, configuration: &str) -> Delivery {
    let cause = happened.cause;
    Delivery {
        service: "lambda".into(),
        operation: "Invoke".into(),
        sender: Sender::Service {
            name: PRINCIPAL.into(),
            source_arn: source_arn(happened.bucket),
            account: bucket.owner.clone(),
        },
        region: bucket.region.clone(),
        path: format!("/2015-03-31/functions/{}/invocations", utf8_percent_encode(function, NON_ALPHANUMERIC)),
        query: String::new(),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("x-amz-invocation-type".into(), "Event".into()),
        ],
        first_ms: happened.at.0,
        depth: cause.depth.saturating_add(1),
        trace: cause.trace.clone(),
        attempts: 0,
        last_error: None,
        failing: None,
        body: happened.record(configuration),
    }
}
