//! Tags of log groups.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::logs::{self, ops};
use wire::Unit;

use super::{by_arn, own};
use crate::Observe;

/// Tags of one group at most.
const TAGS: usize = 50;

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
            group.tags.extend(tags.clone());
            if group.tags.len() > TAGS {
                let fault = logs::too_many_tags_exception(
                    "The request could not be completed because the maximum number of tags has been exceeded.",
                );
                return Err(fault.with("resourceName", arn.clone()));
            }
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
