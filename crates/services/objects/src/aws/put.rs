//! An object in one request.

use std::sync::Arc;

use super::given::{given, show_key};
use super::{quoted, refuse};
use crate::cause::Cause;
use crate::content::{CustomerSecret, Received, Wanted};
use crate::rules::checksums::{self, Given as Said};
use crate::rules::conditions::Writing;
use crate::rules::described;
use crate::rules::events::Event;
use crate::types::{CustomerKey, Object};
use crate::write::Fresh;
use crate::{Objects, faults, lifecycle, limits};
use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};

impl Handle<ops::PutObject> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        mut input: s3::PutObjectRequest,
        body: Body,
    ) -> Result<Answer<s3::PutObjectOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        refuse(&[("WriteOffsetBytes", input.write_offset_bytes.is_some())])?;
        if let Some(announced) = input.content_length.and_then(|bytes| u64::try_from(bytes).ok())
            && announced > limits::PUT_BYTES
        {
            return Err(faults::too_large(announced, limits::PUT_BYTES));
        }
        let sums = checksums::given!(input);
        let said = Said::of(input.checksum_algorithm.as_deref(), sums, input.content_md5.as_deref())?;
        let conditions = Writing::of(input.if_match.take(), input.if_none_match.take())?;
        let given = given!(self, place, context, input);
        let locks = given.retention.is_some() || given.legal_hold.is_some();
        if locks && said.md5.is_none() && said.algorithm.is_none() {
            let words = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
            return Err(faults::request(words));
        }
        let algorithm = said.algorithm.unwrap_or(checksums::DEFAULT);
        let wanted = Wanted {
            algorithms: vec![algorithm],
            limit_bytes: limits::PUT_BYTES,
            customer: given.customer.as_ref().map(|secret| secret.seal().clone()),
        };
        let body = match input.body.take() {
            // A caller in process may give them with the rest.
            Some(bytes) if matches!(body, Body::Empty) => Body::Bytes(bytes),
            _ => body,
        };
        let received = self.receive(body, wanted).await?;
        said.check(&received.md5, |algorithm| received.sum(algorithm).map(str::to_owned))?;
        let object = Object {
            etag: crate::state::hex(&received.md5),
            content: received.content.clone(),
            parts: None,
            checksum: received.sum(algorithm).map(|value| checksums::whole(algorithm, value)),
            described: described::described!(input),
            metadata: given.metadata,
            tags: given.tags,
            storage_class: given.storage_class,
            customer_key: kept_key(given.customer.as_ref(), &received),
            retention: given.retention,
            legal_hold: given.legal_hold,
            acl: given.acl,
        };
        let fresh = Fresh {
            owner: context.account.to_string(),
            object,
            received,
            event: if context.origin.form { Event::Post } else { Event::Put },
            cause: Cause::of(&context),
        };
        let version = self.put(&place, fresh, conditions).await?;
        let mut output = s3::PutObjectOutput {
            version_id: version.id.clone(),
            expiration: lifecycle::expiration(&place.bucket, &place.key, &version),
            ..s3::PutObjectOutput::default()
        };
        if let Some(object) = &version.object {
            output.e_tag = Some(quoted(&object.etag));
            output.checksum_type = object.checksum.as_ref().map(|sum| sum.kind().to_owned());
            if let Some(sum) = &object.checksum {
                checksums::show!(output, sum);
            }
            show_key!(output, object.customer_key);
        }
        Ok(output.into())
    }
}

/// What is kept of a customer's key with the bytes it encrypted.
pub(super) fn kept_key(customer: Option<&CustomerSecret>, received: &Received) -> Option<CustomerKey> {
    customer.map(|secret| secret.keep(&received.id))
}
