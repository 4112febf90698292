//! The operations, by topic. What is not registered in [`register`] answers NotImplemented at the door.

mod acl;
mod attributes;
mod buckets;
mod configuration;
mod copy;
mod delete;
mod given;
mod lifecycle;
mod list;
mod locks;
mod notification;
mod put;
mod read;
mod uploads;
mod versions;

pub(crate) use read::readable;

pub(crate) use copy::named as copied_from;

use std::sync::Arc;

use base::{Fault, Timestamp};
use door::RouterBuilder;
use model::s3::ops;

use crate::Objects;
use crate::rules::naming;
use crate::write::Place;

/// Registers every operation of S3 that this room carries out: the coverage table.
#[must_use]
pub fn register(builder: RouterBuilder, objects: &Arc<Objects>) -> RouterBuilder {
    let builder = configuration::register(builder, objects);
    let builder = lifecycle::register(builder, objects);
    let builder = locks::register(builder, objects);
    let builder = uploads::register(builder, objects);
    builder
        .knows("s3", Arc::<Objects>::clone(objects))
        .on::<ops::PutBucketNotificationConfiguration, _>(objects)
        .on::<ops::GetBucketNotificationConfiguration, _>(objects)
        .on::<ops::CreateBucket, _>(objects)
        .on::<ops::HeadBucket, _>(objects)
        .on::<ops::DeleteBucket, _>(objects)
        .on::<ops::ListBuckets, _>(objects)
        .on::<ops::GetBucketLocation, _>(objects)
        .on::<ops::PutObject, _>(objects)
        .on::<ops::CopyObject, _>(objects)
        .on::<ops::GetObject, _>(objects)
        .on::<ops::HeadObject, _>(objects)
        .on::<ops::DeleteObject, _>(objects)
        .on::<ops::DeleteObjects, _>(objects)
        .on::<ops::ListObjects, _>(objects)
        .on::<ops::ListObjectsV2, _>(objects)
        .on::<ops::ListObjectVersions, _>(objects)
        .on::<ops::GetObjectAttributes, _>(objects)
}

impl Objects {
    /// The bucket and key that an input names.
    ///
    /// # Errors
    /// NoSuchBucket, AccessDenied, KeyTooLongError.
    fn place(&self, bucket: Option<String>, key: Option<String>, owner: Option<&str>) -> Result<Place, Fault> {
        let (name, key) = (bucket.unwrap_or_default(), key.unwrap_or_default());
        naming::check_key(&key)?;
        Ok(Place { bucket: self.bucket(Some(&name), owner)?, name, key })
    }
}

/// An entity tag as headers and bodies have it.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// A date to the second, as S3 shows it.
fn date(ms: i64) -> Timestamp {
    Timestamp(ms.div_euclid(1000) * 1000)
}

/// Refuses by name what an input asks for and is not here.
///
/// # Errors
/// NotImplemented.
fn refuse(named: &[(&str, bool)]) -> Result<(), Fault> {
    match named.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Fault::not_implemented(format_args!("s3: {name}"))),
        None => Ok(()),
    }
}

/// Whose something is.
fn owner(account: &str) -> model::s3::Owner {
    model::s3::Owner { id: Some(canonical_id(account)), display_name: None }
}

/// The 64 hexadecimal digits by which S3 calls an account, made of its twelve.
pub(crate) fn canonical_id(account: &str) -> String {
    store::Digest::of(format!("canonical user {account}").as_bytes()).to_string()
}
