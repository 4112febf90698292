//! A bucket's lifecycle: the configuration. [`crate::lifecycle`] follows it.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle, RouterBuilder};
use model::s3::{self, ops};
use wire::Unit;

use crate::lifecycle::{self, SETTING};
use crate::{Objects, faults};

/// Which small objects change no storage class, where a request does not say it. Of the classes that are served here the two values say
/// the same.
const MINIMUM: &str = "all_storage_classes_128K";

/// Registers the operations on lifecycles.
pub(super) fn register(builder: RouterBuilder, objects: &Arc<Objects>) -> RouterBuilder {
    builder
        .on::<ops::PutBucketLifecycleConfiguration, _>(objects)
        .on::<ops::GetBucketLifecycleConfiguration, _>(objects)
        .on::<ops::DeleteBucketLifecycle, _>(objects)
}

impl Handle<ops::PutBucketLifecycleConfiguration> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::PutBucketLifecycleConfigurationRequest,
        _: Body,
    ) -> Result<Answer<s3::PutBucketLifecycleConfigurationOutput>, Fault> {
        self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let configuration = input.lifecycle_configuration.ok_or_else(faults::malformed)?;
        let rules = lifecycle::check(configuration.rules.unwrap_or_default(), || self.id())?;
        let minimum = input.transition_default_minimum_object_size.unwrap_or_else(|| MINIMUM.into());
        let kept = wire::keep(&s3::GetBucketLifecycleConfigurationOutput {
            rules: Some(rules),
            transition_default_minimum_object_size: Some(minimum.clone()),
        });
        self.edit(input.bucket, input.expected_bucket_owner.as_deref(), move |bucket| {
            bucket.settings.insert(SETTING.into(), kept.clone());
            Ok(())
        })
        .await?;
        self.lifecycles.tell(&*self.clocks);
        let transition_default_minimum_object_size = Some(minimum);
        Ok(s3::PutBucketLifecycleConfigurationOutput { transition_default_minimum_object_size }.into())
    }
}

impl Handle<ops::GetBucketLifecycleConfiguration> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::GetBucketLifecycleConfigurationRequest,
        _: Body,
    ) -> Result<Answer<s3::GetBucketLifecycleConfigurationOutput>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let Some(kept) = bucket.settings.get(SETTING) else {
            let words = "The lifecycle configuration does not exist";
            return Err(Fault::new("NoSuchLifecycleConfiguration", 404, words)
                .with("BucketName", input.bucket.unwrap_or_default()));
        };
        let kept: s3::GetBucketLifecycleConfigurationOutput =
            wire::recall(kept).map_err(|_| Fault::internal("a bucket's lifecycle does not read"))?;
        Ok(kept.into())
    }
}

impl Handle<ops::DeleteBucketLifecycle> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::DeleteBucketLifecycleRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        self.edit(input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            bucket.settings.remove(SETTING);
            Ok(())
        })
        .await?;
        self.lifecycles.tell(&*self.clocks);
        Ok(Unit.into())
    }
}
