//! Tags of log groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::logs::{self, ops};
use wire::Unit;

use super::{by_arn, own};
use crate::Observe;
use crate::faults;
use crate::types::Group;

/// Tags of one group at most.
const TAGS: usize = 50;
const TOO_MANY: &str = "The request could not be completed because the maximum number of tags has been exceeded.";

impl Handle<ops::TagResource> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::TagResourceRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let arn = input.resource_arn.unwrap_or_default();
        let tags = input.tags.unwrap_or_default();
        self.change_group(&by_arn(&context, &arn)?, move |group| {
            let fault = logs::too_many_tags_exception(TOO_MANY).with("resourceName", arn.clone());
            add(group, tags.clone(), fault)
        })
        .await?;
        Ok(Unit.into())
    }
}

fn add(group: &mut Group, tags: BTreeMap<String, String>, too_many: Fault) -> Result<(), Fault> {
    group.tags.extend(tags);
    if group.tags.len() > TAGS { Err(too_many) } else { Ok(()) }
}

/// The older way to tag.
impl Handle<ops::TagLogGroup> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::TagLogGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = own(&context, input.log_group_name.unwrap_or_default());
        let tags = input.tags.unwrap_or_default();
        self.change_group(&name, move |group| add(group, tags.clone(), faults::invalid(TOO_MANY))).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::UntagLogGroup> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::UntagLogGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = own(&context, input.log_group_name.unwrap_or_default());
        let keys = input.tags.unwrap_or_default();
        self.change_group(&name, move |group| {
            group.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::UntagResource> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::UntagResourceRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = by_arn(&context, &input.resource_arn.unwrap_or_default())?;
        let keys = input.tag_keys.unwrap_or_default();
        self.change_group(&name, move |group| {
            group.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListTagsForResource> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::ListTagsForResourceRequest,
        _: Body,
    ) -> Result<Answer<logs::ListTagsForResourceResponse>, Fault> {
        let name = by_arn(&context, &input.resource_arn.unwrap_or_default())?;
        let tags = self.read(move |room| Ok(room.group(&name)?.tags)).await?;
        Ok(logs::ListTagsForResourceResponse { tags: Some(tags) }.into())
    }
}

impl Handle<ops::ListTagsLogGroup> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::ListTagsLogGroupRequest,
        _: Body,
    ) -> Result<Answer<logs::ListTagsLogGroupResponse>, Fault> {
        let name = own(&context, input.log_group_name.unwrap_or_default());
        let tags = self.read(move |room| Ok(room.group(&name)?.tags)).await?;
        Ok(logs::ListTagsLogGroupResponse { tags: Some(tags) }.into())
    }
}
