//! TagResource, UntagResource, ListTags.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::{alter, mappings, required, signing, whole};
use crate::name::{self, Address};
use crate::walls::{self, Asked};
use crate::{Functions, faults, rules};

/// The function behind a resource's ARN.
fn tagged(context: &Context, arn: &str) -> Result<Address, Fault> {
    if !arn.contains(":function:") {
        return Err(faults::not_found(format!("Resource not found: {arn}")));
    }
    let tagged = name::resolve(context.account, &context.region, arn, None)?;
    match tagged.qualifier {
        Some(_) => Err(faults::invalid(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        )),
        None => Ok(tagged.address),
    }
}

impl Functions {
    /// Changes a function's tags. Where they say how it is walled in, its environments are made anew.
    async fn retag(
        self: &Arc<Self>,
        address: &Address,
        mut change: impl FnMut(&mut BTreeMap<String, String>) -> Result<(), Fault> + Send + 'static,
    ) -> Result<Answer<Unit>, Fault> {
        let platform = self.options.egress;
        let moved = alter(self, address, move |function| {
            let before = Asked::of(&function.tags, platform);
            change(&mut function.tags)?;
            let after = Asked::of(&function.tags, platform);
            Ok((before.word() != after.word(), before.latest != after.latest))
        })
        .await?;
        let (moved, latest) = moved;
        if latest && !moved {
            self.targets.forget(address);
            self.prepare(address);
        }
        if moved {
            self.changed_in_all_versions(address);
            self.prepare(address);
            self.provision(address);
        }
        Ok(Unit.into())
    }
}

impl Handle<ops::TagResource> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::TagResourceRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let resource = required(input.resource, "Resource")?;
        let more = input.tags.unwrap_or_default();
        if more.is_empty() {
            return Err(faults::invalid("An error occurred and the request cannot be processed."));
        }
        if let Some(uuid) = mappings::named_by(&context, &resource) {
            let add = |tags: &mut BTreeMap<String, String>| {
                tags.extend(more);
                rules::tags(tags)
            };
            return self.retag_mapping(&context, &uuid, add).await.map(|()| Unit.into());
        }
        if signing::named_by(&context, &resource).is_some() {
            let add = move |tags: &mut BTreeMap<String, String>| {
                tags.extend(more.clone());
                rules::tags(tags)
            };
            return self.retag_signing(&context, &resource, add).await.map(|()| Unit.into());
        }
        let address = tagged(&context, &resource)?;
        walls::check(&more, self.options.egress)?;
        self.retag(&address, move |tags| {
            tags.extend(more.clone());
            rules::tags(tags)
        })
        .await
    }
}

impl Handle<ops::UntagResource> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UntagResourceRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let resource = required(input.resource, "Resource")?;
        let keys = input.tag_keys.unwrap_or_default();
        if let Some(uuid) = mappings::named_by(&context, &resource) {
            let remove = |tags: &mut BTreeMap<String, String>| {
                tags.retain(|key, _| !keys.contains(key));
                Ok(())
            };
            return self.retag_mapping(&context, &uuid, remove).await.map(|()| Unit.into());
        }
        if signing::named_by(&context, &resource).is_some() {
            let remove = move |tags: &mut BTreeMap<String, String>| {
                tags.retain(|key, _| !keys.contains(key));
                Ok(())
            };
            return self.retag_signing(&context, &resource, remove).await.map(|()| Unit.into());
        }
        let address = tagged(&context, &resource)?;
        self.retag(&address, move |tags| {
            tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await
    }
}

impl Handle<ops::ListTags> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListTagsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListTagsResponse>, Fault> {
        let resource = required(input.resource, "Resource")?;
        if let Some(uuid) = mappings::named_by(&context, &resource) {
            return Ok(aws::ListTagsResponse { tags: Some(self.tags_of_mapping(&context, &uuid)?) }.into());
        }
        if signing::named_by(&context, &resource).is_some() {
            return Ok(aws::ListTagsResponse { tags: Some(self.tags_of_signing(&context, &resource)?) }.into());
        }
        let address = tagged(&context, &resource)?;
        let (_, function) = whole(&self, &context, &address.arn())?;
        Ok(aws::ListTagsResponse { tags: Some(function.tags) }.into())
    }
}
