//! Tags of APIs and stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};
use wire::Unit;

use crate::engine::Draft;
use crate::rules::check;
use crate::rules::tagged::Tagged;
use crate::types::Api;
use crate::{HttpApis, faults};

/// How ARNs name HTTP APIs.
pub(crate) const KIND: &str = "apis";

fn tags<'a>(tagged: &Tagged, api: &'a mut Api) -> Result<&'a mut BTreeMap<String, String>, Fault> {
    match &tagged.stage {
        None => Ok(&mut api.tags),
        Some(name) => Ok(&mut api.stages.get_mut(name).ok_or_else(|| faults::no_part("stage"))?.tags),
    }
}

impl Handle<ops::TagResource> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::TagResourceRequest,
        _: Body,
    ) -> Result<Answer<aws::TagResourceResponse>, Fault> {
        let tagged = Tagged::of(KIND, input.resource_arn.as_deref(), &context.region)?;
        let (given, api) = (input.tags.unwrap_or_default(), tagged.api.clone());
        let tag = move |draft: &mut Draft<'_>| {
            let tags = tags(&tagged, &mut draft.api)?;
            tags.extend(given.clone());
            check::tags(tags)
        };
        self.change(context.account, &context.region, Some(&api), tag).await?;
        Ok(aws::TagResourceResponse::default().into())
    }
}

impl Handle<ops::UntagResource> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UntagResourceRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let tagged = Tagged::of(KIND, input.resource_arn.as_deref(), &context.region)?;
        let (keys, api) = (input.tag_keys.unwrap_or_default(), tagged.api.clone());
        let untag = move |draft: &mut Draft<'_>| {
            let tags = tags(&tagged, &mut draft.api)?;
            tags.retain(|key, _| !keys.contains(key));
            Ok(())
        };
        self.change(context.account, &context.region, Some(&api), untag).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::GetTags> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetTagsRequest,
        _: Body,
    ) -> Result<Answer<aws::GetTagsResponse>, Fault> {
        let tagged = Tagged::of(KIND, input.resource_arn.as_deref(), &context.region)?;
        let live = self.api(context.account, &context.region, Some(&tagged.api))?;
        let tags = match &tagged.stage {
            None => &live.api.tags,
            Some(name) => &live.api.stages.get(name).ok_or_else(|| faults::no_part("stage"))?.tags,
        };
        Ok(aws::GetTagsResponse { tags: Some(tags.clone()) }.into())
    }
}
