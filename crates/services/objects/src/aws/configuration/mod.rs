//! What a bucket is told to do: its configurations, each kept as the model's structure ([`crate::types::Bucket`]'s `settings`).

mod acls;
mod cors;
mod delivery;
mod encryption;
mod object_tags;
mod policy;
mod public_access;
mod simple;
mod tagging;
mod versioning;
mod website;

use std::sync::Arc;

use base::Fault;
use door::RouterBuilder;
use model::s3::ops;
use wire::Structure;

use crate::Objects;
use crate::types::Bucket;

/// An operation without bodies of its own: `operation!(Name: Request => Output, |room, context, input| { … })`.
macro_rules! operation {
    ($name:ident: $input:ident => $output:ty, |$room:ident, $context:pat_param, $in:ident| $body:block) => {
        impl door::Handle<model::s3::ops::$name> for crate::Objects {
            async fn handle(
                self: std::sync::Arc<Self>,
                $context: door::Context,
                #[allow(unused_mut, reason = "some take their input apart")] mut $in: model::s3::$input,
                _: door::Body,
            ) -> Result<door::Answer<$output>, base::Fault> {
                let $room = self;
                let output: Result<$output, base::Fault> = async move { $body }.await;
                output.map(Into::into)
            }
        }
    };
}
pub(super) use operation;

pub(super) use acls::ACLS;
pub(super) use public_access::{every, not_enforceable};

/// Registers the operations on configurations.
pub(super) fn register(builder: RouterBuilder, objects: &Arc<Objects>) -> RouterBuilder {
    let builder = builder
        .on::<ops::GetBucketVersioning, _>(objects)
        .on::<ops::PutBucketVersioning, _>(objects)
        .on::<ops::GetBucketTagging, _>(objects)
        .on::<ops::PutBucketTagging, _>(objects)
        .on::<ops::DeleteBucketTagging, _>(objects)
        .on::<ops::GetObjectTagging, _>(objects)
        .on::<ops::PutObjectTagging, _>(objects)
        .on::<ops::DeleteObjectTagging, _>(objects)
        .on::<ops::GetBucketPolicy, _>(objects)
        .on::<ops::GetBucketPolicyStatus, _>(objects)
        .on::<ops::PutBucketPolicy, _>(objects)
        .on::<ops::DeleteBucketPolicy, _>(objects)
        .on::<ops::GetPublicAccessBlock, _>(objects)
        .on::<ops::PutPublicAccessBlock, _>(objects)
        .on::<ops::DeletePublicAccessBlock, _>(objects)
        .on::<ops::GetBucketOwnershipControls, _>(objects)
        .on::<ops::PutBucketOwnershipControls, _>(objects)
        .on::<ops::DeleteBucketOwnershipControls, _>(objects)
        .on::<ops::GetBucketAcl, _>(objects)
        .on::<ops::PutBucketAcl, _>(objects)
        .on::<ops::GetObjectAcl, _>(objects)
        .on::<ops::PutObjectAcl, _>(objects)
        .on::<ops::GetBucketWebsite, _>(objects)
        .on::<ops::PutBucketWebsite, _>(objects)
        .on::<ops::DeleteBucketWebsite, _>(objects)
        .on::<ops::GetBucketCors, _>(objects)
        .on::<ops::PutBucketCors, _>(objects)
        .on::<ops::DeleteBucketCors, _>(objects)
        .on::<ops::GetBucketEncryption, _>(objects)
        .on::<ops::PutBucketEncryption, _>(objects)
        .on::<ops::DeleteBucketEncryption, _>(objects);
    let builder = builder
        .on::<ops::GetBucketAccelerateConfiguration, _>(objects)
        .on::<ops::PutBucketAccelerateConfiguration, _>(objects)
        .on::<ops::GetBucketRequestPayment, _>(objects)
        .on::<ops::PutBucketRequestPayment, _>(objects)
        .on::<ops::GetBucketLogging, _>(objects)
        .on::<ops::PutBucketLogging, _>(objects);
    builder
        .on::<ops::GetBucketMetricsConfiguration, _>(objects)
        .on::<ops::ListBucketMetricsConfigurations, _>(objects)
        .on::<ops::PutBucketMetricsConfiguration, _>(objects)
        .on::<ops::DeleteBucketMetricsConfiguration, _>(objects)
        .on::<ops::GetBucketInventoryConfiguration, _>(objects)
        .on::<ops::ListBucketInventoryConfigurations, _>(objects)
        .on::<ops::PutBucketInventoryConfiguration, _>(objects)
        .on::<ops::DeleteBucketInventoryConfiguration, _>(objects)
        .on::<ops::GetBucketReplication, _>(objects)
        .on::<ops::PutBucketReplication, _>(objects)
        .on::<ops::DeleteBucketReplication, _>(objects)
}

/// A configuration as it was put; none if there is none.
///
/// # Errors
/// InternalError if the row is damaged.
pub(super) fn kept<T: Structure + Default>(bucket: &Bucket, name: &str) -> Result<Option<T>, Fault> {
    let Some(text) = bucket.settings.get(name) else { return Ok(None) };
    match wire::recall(text) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(Fault::internal(format_args!("the bucket's {name} configuration is damaged"))),
    }
}

impl Objects {
    /// Keeps a configuration.
    ///
    /// # Errors
    /// As [`Objects::edit`].
    async fn configure(
        &self,
        bucket: Option<String>,
        owner: Option<String>,
        name: &'static str,
        value: &dyn Structure,
    ) -> Result<(), Fault> {
        let text = wire::keep(value);
        self.edit(bucket, owner.as_deref(), move |bucket| {
            bucket.settings.insert(name.to_owned(), text.clone());
            Ok(())
        })
        .await
    }

    /// Forgets a configuration; that there was none is no fault.
    ///
    /// # Errors
    /// As [`Objects::edit`].
    async fn unconfigure(
        &self,
        bucket: Option<String>,
        owner: Option<String>,
        name: &'static str,
    ) -> Result<(), Fault> {
        self.edit(bucket, owner.as_deref(), move |bucket| {
            bucket.settings.remove(name);
            Ok(())
        })
        .await
    }
}

/// What a client hears of a configuration that nobody made.
fn none(code: &'static str, words: &str, bucket: Option<&str>) -> Fault {
    Fault::new(code, 404, words).with("BucketName", bucket.unwrap_or_default())
}
