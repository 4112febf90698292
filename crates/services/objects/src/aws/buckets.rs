//! Buckets themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Account, Fault, Region};
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};
use store::{Batch, Key, Range, Space, transact_with};
use wire::Unit;

use super::date;
use crate::rules::acl::{self, Given, Of};
use crate::rules::{naming, tags};
use crate::settled::{self, Once, Ownership};
use crate::types::{Bucket, Versioning};
use crate::{Objects, faults, limits, state};

/// The region that has no constraint.
const FIRST_REGION: &str = "us-east-1";

impl Handle<ops::CreateBucket> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: s3::CreateBucketRequest,
        _: Body,
    ) -> Result<Answer<s3::CreateBucketOutput>, Fault> {
        let name = input.bucket.unwrap_or_default();
        naming::check_bucket(&name)?;
        let configuration = input.create_bucket_configuration.unwrap_or_default();
        super::refuse(&[
            ("CreateBucketConfiguration.Location", configuration.location.is_some()),
            ("CreateBucketConfiguration.Bucket", configuration.bucket.is_some()),
            ("BucketNamespace", input.bucket_namespace.as_deref().is_some_and(|it| it != "global")),
        ])?;
        let region = place(&context.region, configuration.location_constraint.as_deref())?;
        let mut settings = BTreeMap::new();
        let tags = tags::checked(tags::pairs(configuration.tags.unwrap_or_default()), limits::BUCKET_TAGS)?;
        if !tags.is_empty() {
            let tagging = s3::Tagging { tag_set: Some(tags::shown(&tags)) };
            settings.insert("tagging".to_owned(), wire::keep(&tagging));
        }
        let given = Given {
            canned: input.acl.as_deref(),
            full_control: input.grant_full_control.as_deref(),
            read: input.grant_read.as_deref(),
            write: input.grant_write.as_deref(),
            read_acp: input.grant_read_acp.as_deref(),
            write_acp: input.grant_write_acp.as_deref(),
        };
        publish(&mut settings, context.account, input.object_ownership, given)?;
        let object_lock = input.object_lock_enabled_for_bucket == Some(true);
        let bucket = Bucket {
            owner: context.account.to_string(),
            region: region.to_string(),
            generation: self.generation(),
            created_ms: self.clocks.product().0,
            versioning: object_lock.then_some(Versioning::Enabled),
            object_lock,
            settings,
            settled: Once::default(),
        };
        self.make(name.clone(), bucket).await?;
        let output = s3::CreateBucketOutput {
            location: Some(format!("/{name}")),
            bucket_arn: Some(format!("arn:aws:s3:::{name}")),
        };
        Ok(output.into())
    }
}

/// What a new bucket lets others do: nothing, unless it is asked for. Every new bucket keeps out the public, and its owner owns what is in it.
/// Source: Amazon S3 User Guide, "Default settings for new S3 buckets FAQ" (since April 2023).
///
/// # Errors
/// InvalidBucketAclWithObjectOwnership, InvalidBucketAclWithBlockPublicAccessError, InvalidArgument.
fn publish(
    settings: &mut BTreeMap<String, String>,
    account: Account,
    ownership: Option<String>,
    given: Given<'_>,
) -> Result<(), Fault> {
    let word = ownership.unwrap_or_else(|| "BucketOwnerEnforced".into());
    let invalid = || faults::argument("Invalid x-amz-object-ownership header", "x-amz-object-ownership", &word);
    let ownership = Ownership::of(&word).ok_or_else(invalid)?;
    let owner = super::canonical_id(account.as_str());
    if let Some(list) = given.list(Of::Bucket, &owner, &owner)? {
        if acl::reaches_others(&list, &owner) && ownership == Ownership::Enforced {
            return Err(super::configuration::not_enforceable());
        }
        if acl::is_public(&list) {
            let words = "Bucket cannot have public ACLs set with BlockPublicAccess enabled";
            return Err(Fault::new("InvalidBucketAclWithBlockPublicAccessError", 400, words));
        }
        if ownership != Ownership::Enforced {
            settings.insert(settled::ACL.to_owned(), wire::keep(&list));
        }
    }
    let rule = s3::OwnershipControlsRule { object_ownership: Some(word) };
    let controls = s3::OwnershipControls { rules: Some(vec![rule]) };
    settings.insert(settled::OWNERSHIP.to_owned(), wire::keep(&controls));
    let block = super::configuration::every([true; 4]);
    settings.insert(settled::PUBLIC_ACCESS.to_owned(), wire::keep(&block));
    Ok(())
}

/// Where a bucket is made.
///
/// # Errors
/// InvalidLocationConstraint, IllegalLocationConstraintException.
fn place(asked: &Region, constraint: Option<&str>) -> Result<Region, Fault> {
    let Some(constraint) = constraint.filter(|it| !it.is_empty()) else {
        if asked.as_str() == FIRST_REGION {
            return Ok(asked.clone());
        }
        let words = "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.";
        return Err(Fault::new("IllegalLocationConstraintException", 400, words));
    };
    let region = if constraint == "EU" { "eu-west-1" } else { constraint };
    if constraint == FIRST_REGION || !region.contains('-') {
        return Err(Fault::new("InvalidLocationConstraint", 400, "The specified location-constraint is not valid")
            .with("LocationConstraint", constraint));
    }
    if asked.as_str() != FIRST_REGION && region != asked.as_str() {
        let words = format!(
            "The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        return Err(Fault::new("IllegalLocationConstraintException", 400, words));
    }
    region.parse().map_err(|()| {
        Fault::new("InvalidLocationConstraint", 400, "The specified location-constraint is not valid")
            .with("LocationConstraint", constraint)
    })
}

impl Objects {
    fn generation(&self) -> u64 {
        let mut raw = [0; 8];
        self.rng.fill(&mut raw);
        // 0 is nobody's.
        u64::from_be_bytes(raw).max(1)
    }

    async fn make(&self, name: String, bucket: Bucket) -> Result<(), Fault> {
        let owned =
            self.kv.range(Space::Control, Range::prefix(state::owned(bucket.account())), limits::BUCKETS, false)?;
        let full = owned.len() >= limits::BUCKETS;
        let row = state::bucket_row(&name);
        let keys = vec![Key::new(Space::Control, row.clone())];
        let made = transact_with(&*self.kv, keys, move |rows| {
            let mut batch = Batch::new();
            let there: Option<Bucket> = rows.json(Space::Control, row.as_bytes())?;
            match there {
                Some(there) if there.owner == bucket.owner => {
                    // The oldest region forgives: it leaves the bucket as it is.
                    if there.region == FIRST_REGION && bucket.region == FIRST_REGION {
                        return Ok((batch, ()));
                    }
                    let words = "Your previous request to create the named bucket succeeded and you already own it.";
                    return Err(s3::bucket_already_owned_by_you(words).with("BucketName", name.clone()));
                }
                Some(_) => {
                    let words = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
                    return Err(s3::bucket_already_exists(words).with("BucketName", name.clone()));
                }
                None => {}
            }
            if full {
                let words = "You have attempted to create more buckets than allowed";
                return Err(Fault::new("TooManyBuckets", 400, words));
            }
            batch.put_json(Space::Control, row.clone(), &bucket)?;
            batch.put(Space::Control, state::owned_row(&bucket.owner, &name), Vec::new());
            Ok((batch, ()))
        });
        Ok(made.await?)
    }

    /// Changes a bucket's row. `change` may run again.
    ///
    /// # Errors
    /// NoSuchBucket, AccessDenied, what `change` decides.
    pub(crate) async fn edit<T, F>(&self, name: Option<String>, owner: Option<&str>, change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut Bucket) -> Result<T, Fault> + Send + 'static,
    {
        let name = name.unwrap_or_default();
        self.bucket(Some(&name), owner)?;
        let row = state::bucket_row(&name);
        let done = transact_with(&*self.kv, vec![Key::new(Space::Control, row.clone())], move |rows| {
            let bucket: Option<Bucket> = rows.json(Space::Control, row.as_bytes())?;
            let mut bucket = bucket.ok_or_else(|| faults::no_bucket(&name))?;
            let done = change(&mut bucket)?;
            let mut batch = Batch::new();
            batch.put_json(Space::Control, row.clone(), &bucket)?;
            Ok((batch, done))
        });
        Ok(done.await?)
    }
}

impl Handle<ops::HeadBucket> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::HeadBucketRequest,
        _: Body,
    ) -> Result<Answer<s3::HeadBucketOutput>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let output = s3::HeadBucketOutput {
            bucket_arn: input.bucket.map(|name| format!("arn:aws:s3:::{name}")),
            bucket_region: Some(bucket.region.clone()),
            access_point_alias: Some(false),
            ..s3::HeadBucketOutput::default()
        };
        Ok(output.into())
    }
}

impl Handle<ops::GetBucketLocation> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::GetBucketLocationRequest,
        _: Body,
    ) -> Result<Answer<s3::GetBucketLocationOutput>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let location_constraint = Some(bucket.region.clone()).filter(|region| region != FIRST_REGION);
        Ok(s3::GetBucketLocationOutput { location_constraint }.into())
    }
}

impl Handle<ops::DeleteBucket> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::DeleteBucketRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.bucket.unwrap_or_default();
        let bucket = self.bucket(Some(&name), input.expected_bucket_owner.as_deref())?;
        let generation = bucket.generation;
        let heads = state::heads(generation, "");
        let uploads = state::uploads(generation, "");
        loop {
            self.abort_all(&name, &bucket).await?;
            let row = state::bucket_row(&name);
            let keys = vec![
                Key::new(Space::Control, row.clone()),
                Key::first(Space::Object, heads.clone()),
                Key::first(Space::Object, uploads.clone()),
            ];
            let (heads, uploads, name) = (heads.clone(), uploads.clone(), name.clone());
            let gone = transact_with(&*self.kv, keys, move |rows| {
                let mut batch = Batch::new();
                let there: Option<Bucket> = rows.json(Space::Control, row.as_bytes())?;
                let there = there.filter(|there| there.generation == generation);
                let there = there.ok_or_else(|| faults::no_bucket(&name))?;
                if rows.first(Space::Object, &heads).is_some() {
                    let words = if there.versioning.is_some() {
                        "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
                    } else {
                        "The bucket you tried to delete is not empty"
                    };
                    return Err(Fault::new("BucketNotEmpty", 409, words).with("BucketName", name.clone()));
                }
                // An upload begun meanwhile is aborted first, so that its bytes are given back.
                if rows.first(Space::Object, &uploads).is_some() {
                    return Ok((batch, false));
                }
                batch.delete(Space::Control, row.clone());
                batch.delete(Space::Control, state::owned_row(&there.owner, &name));
                batch.drop_generation(Space::Object, state::everything(generation));
                Ok((batch, true))
            });
            if gone.await? {
                return Ok(Unit.into());
            }
        }
    }
}

impl Handle<ops::ListBuckets> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: s3::ListBucketsRequest,
        _: Body,
    ) -> Result<Answer<s3::ListBucketsOutput>, Fault> {
        let most = input.max_buckets.unwrap_or(limits::BUCKETS as i64);
        let words = "Argument max-buckets must be an integer between 1 and 10000";
        let most = usize::try_from(most).ok().filter(|most| (1..=limits::BUCKETS).contains(most));
        let most = most.ok_or_else(|| faults::argument(words, "max-buckets", ""))?;
        let account = context.account;
        let wanted = input.prefix.clone().unwrap_or_default();
        let start = state::owned(account);
        let mut range = Range::prefix(format!("{start}{wanted}"));
        if let Some(token) = &input.continuation_token {
            let last = crate::rules::pages::Position::of_token(token);
            let Some(crate::rules::pages::Position::Key(last)) = last else {
                return Err(faults::argument(
                    "The continuation token provided is incorrect",
                    "continuation-token",
                    token,
                ));
            };
            range = range.after(format!("{start}{last}"));
        }
        let rows = self.kv.range(Space::Control, range, limits::BUCKETS + 1, false)?;
        let (mut buckets, mut next) = (Vec::new(), None);
        for (row, _) in rows {
            let name = String::from_utf8_lossy(&row[start.len()..]).into_owned();
            let Some(bucket) = self.find(&name)? else { continue };
            if input.bucket_region.as_ref().is_some_and(|region| *region != bucket.region) {
                continue;
            }
            if buckets.len() == most {
                next = buckets.last().and_then(|last: &s3::Bucket| last.name.clone());
                break;
            }
            buckets.push(s3::Bucket {
                bucket_arn: Some(format!("arn:aws:s3:::{name}")),
                name: Some(name),
                creation_date: Some(date(bucket.created_ms)),
                bucket_region: Some(bucket.region.clone()),
            });
        }
        let output = s3::ListBucketsOutput {
            buckets: Some(buckets),
            owner: Some(super::owner(account.as_str())),
            continuation_token: next.map(|name| crate::rules::pages::Position::Key(name).token()),
            prefix: input.prefix,
        };
        Ok(output.into())
    }
}
