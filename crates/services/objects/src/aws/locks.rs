//! Locks of objects: a bucket's configuration, and the retention and the legal hold of one version.

use std::sync::Arc;

use base::{Fault, Timestamp};
use door::{Answer, Body, Context, Handle, RouterBuilder};
use model::s3::{self, ops};

use super::read::{of_version, readable};
use super::refuse;
use crate::rules::locks;
use crate::types::{Bucket, Object, Retention, Versioning};
use crate::{Objects, faults};

/// The name of a bucket's configuration.
const SETTING: &str = "object-lock";

/// Registers the operations on locks.
pub(super) fn register(builder: RouterBuilder, objects: &Arc<Objects>) -> RouterBuilder {
    builder
        .on::<ops::PutObjectLockConfiguration, _>(objects)
        .on::<ops::GetObjectLockConfiguration, _>(objects)
        .on::<ops::PutObjectRetention, _>(objects)
        .on::<ops::GetObjectRetention, _>(objects)
        .on::<ops::PutObjectLegalHold, _>(objects)
        .on::<ops::GetObjectLegalHold, _>(objects)
}

/// A legal hold as headers and bodies have it.
pub(super) fn hold_word(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

impl Handle<ops::PutObjectLockConfiguration> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::PutObjectLockConfigurationRequest,
        _: Body,
    ) -> Result<Answer<s3::PutObjectLockConfigurationOutput>, Fault> {
        let configuration = input.object_lock_configuration;
        let default = configuration.as_ref().and_then(|it| it.rule.as_ref()?.default_retention.as_ref());
        refuse(&[("DefaultEventHold", default.is_some_and(|it| it.default_event_hold.is_some()))])?;
        self.edit(input.bucket, input.expected_bucket_owner.as_deref(), move |bucket| {
            if bucket.versioning != Some(Versioning::Enabled) {
                let words = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
                return Err(Fault::new("InvalidBucketState", 409, words));
            }
            let configuration = configuration.as_ref().ok_or_else(faults::malformed)?;
            locks::check(configuration)?;
            bucket.object_lock = true;
            bucket.settings.insert(SETTING.into(), wire::keep(configuration));
            Ok(())
        })
        .await?;
        Ok(s3::PutObjectLockConfigurationOutput::default().into())
    }
}

impl Handle<ops::GetObjectLockConfiguration> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::GetObjectLockConfigurationRequest,
        _: Body,
    ) -> Result<Answer<s3::GetObjectLockConfigurationOutput>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        if !bucket.object_lock {
            let words = "Object Lock configuration does not exist for this bucket";
            return Err(Fault::new("ObjectLockConfigurationNotFoundError", 404, words)
                .with("BucketName", input.bucket.unwrap_or_default()));
        }
        let kept = bucket.settings.get(SETTING).and_then(|kept| wire::recall(kept).ok());
        let bare = || s3::ObjectLockConfiguration { object_lock_enabled: Some("Enabled".into()), rule: None };
        let object_lock_configuration = Some(kept.unwrap_or_else(bare));
        Ok(s3::GetObjectLockConfigurationOutput { object_lock_configuration }.into())
    }
}

impl Handle<ops::PutObjectRetention> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::PutObjectRetentionRequest,
        _: Body,
    ) -> Result<Answer<s3::PutObjectRetentionOutput>, Fault> {
        let given = input.retention.ok_or_else(faults::malformed)?;
        refuse(&[
            ("EventHold", given.event_hold.is_some()),
            ("EventHoldDuration", given.event_hold_duration.is_some()),
        ])?;
        let place = self.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
        if !place.bucket.object_lock {
            return Err(faults::no_lock());
        }
        let now = self.clocks.product();
        let new = locks::retention(given, now)?;
        let bypass = input.bypass_governance_retention == Some(true);
        self.amend_version(&place, input.version_id, "PUT", None, move |object| {
            locks::replaceable(object.retention.as_ref(), new.as_ref(), now, bypass)?;
            object.retention.clone_from(&new);
            Ok(())
        })
        .await?;
        Ok(s3::PutObjectRetentionOutput::default().into())
    }
}

impl Handle<ops::PutObjectLegalHold> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::PutObjectLegalHoldRequest,
        _: Body,
    ) -> Result<Answer<s3::PutObjectLegalHoldOutput>, Fault> {
        let status = input.legal_hold.and_then(|hold| hold.status).ok_or_else(faults::malformed)?;
        let place = self.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
        if !place.bucket.object_lock {
            return Err(faults::no_lock());
        }
        self.amend_version(&place, input.version_id, "PUT", None, move |object| {
            object.legal_hold = Some(status == "ON");
            Ok(())
        })
        .await?;
        Ok(s3::PutObjectLegalHoldOutput::default().into())
    }
}

impl Handle<ops::GetObjectRetention> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::GetObjectRetentionRequest,
        _: Body,
    ) -> Result<Answer<s3::GetObjectRetentionOutput>, Fault> {
        let place = self.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
        let object = self.lockable(&place, input.version_id.as_deref())?;
        let retention = object.retention.ok_or_else(none)?;
        let retention = s3::ObjectLockRetention {
            mode: Some(retention.mode),
            retain_until_date: Some(base::Timestamp(retention.until_ms)),
            ..s3::ObjectLockRetention::default()
        };
        Ok(s3::GetObjectRetentionOutput { retention: Some(retention) }.into())
    }
}

impl Handle<ops::GetObjectLegalHold> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::GetObjectLegalHoldRequest,
        _: Body,
    ) -> Result<Answer<s3::GetObjectLegalHoldOutput>, Fault> {
        let place = self.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
        let object = self.lockable(&place, input.version_id.as_deref())?;
        let on = object.legal_hold.ok_or_else(none)?;
        let legal_hold = s3::ObjectLockLegalHold { status: Some(hold_word(on).into()) };
        Ok(s3::GetObjectLegalHoldOutput { legal_hold: Some(legal_hold) }.into())
    }
}

impl Objects {
    /// The object of a version that may be locked.
    ///
    /// # Errors
    /// InvalidRequest in a bucket without locks; NoSuchKey, NoSuchVersion; MethodNotAllowed for a delete marker.
    fn lockable(&self, place: &crate::write::Place, id: Option<&str>) -> Result<Object, Fault> {
        if !place.bucket.object_lock {
            return Err(faults::no_lock());
        }
        let version = readable(&*self.kv.snapshot()?, place, id)?;
        of_version(place, &version, true, "GET")
    }
}

/// Nobody ever locked this version.
fn none() -> Fault {
    let words = "The specified object does not have a ObjectLock configuration";
    Fault::new("NoSuchObjectLockConfiguration", 404, words)
}

/// What a request says of an object's lock.
pub(super) struct Lock {
    pub(super) mode: Option<String>,
    pub(super) until: Option<Timestamp>,
    pub(super) legal_hold: Option<String>,
}

impl Lock {
    /// The retention and the legal hold that a new version gets.
    ///
    /// # Errors
    /// InvalidRequest in a bucket without locks; InvalidArgument.
    pub(super) fn of(self, bucket: &Bucket, now: Timestamp) -> Result<(Option<Retention>, Option<bool>), Fault> {
        let Self { mode, until, legal_hold } = self;
        let asked = mode.is_some() || until.is_some() || legal_hold.is_some();
        let hold = match legal_hold.as_deref() {
            None => None,
            Some("OFF") => Some(false),
            Some("ON") => Some(true),
            Some(other) => {
                let words = "Legal Hold must be either of 'ON' or 'OFF'";
                return Err(faults::argument(words, "x-amz-object-lock-legal-hold", other));
            }
        };
        let retention = match (mode, until) {
            (None, None) => default_retention(bucket, now),
            (Some(mode), Some(until)) => {
                if !matches!(mode.as_str(), "GOVERNANCE" | "COMPLIANCE") {
                    return Err(faults::argument("Unknown wormMode directive.", "x-amz-object-lock-mode", &mode));
                }
                if until <= now {
                    let words = "The retain until date must be in the future!";
                    return Err(faults::argument(words, "x-amz-object-lock-retain-until-date", ""));
                }
                Some(Retention { mode, until_ms: until.0 })
            }
            (mode, _) => {
                let words = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
                let missing =
                    if mode.is_none() { "x-amz-object-lock-mode" } else { "x-amz-object-lock-retain-until-date" };
                return Err(faults::argument(words, missing, ""));
            }
        };
        // What is wrong with the words themselves comes first.
        if asked && !bucket.object_lock {
            return Err(faults::no_lock());
        }
        Ok((retention, hold))
    }
}

/// The retention that a bucket gives every new version.
fn default_retention(bucket: &Bucket, now: Timestamp) -> Option<Retention> {
    const DAY_MS: i64 = 86_400_000;
    let kept = bucket.settings.get(SETTING)?;
    let configuration: s3::ObjectLockConfiguration = wire::recall(kept).ok()?;
    let rule = configuration.rule?.default_retention?;
    let days = rule.days.or_else(|| rule.years.map(|years| years.saturating_mul(365)))?;
    Some(Retention { mode: rule.mode?, until_ms: now.0.saturating_add(days.saturating_mul(DAY_MS)) })
}
