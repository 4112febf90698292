//! Tags of APIs and stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::page;
use crate::rest::engine::{Draft, Missing};
use crate::rest::types::Api;
use crate::rest::{RestApis, faults};
use crate::rules::check;
use crate::rules::tagged::Tagged;

/// How ARNs name REST APIs.
pub(crate) const KIND: &str = "restapis";

fn tags<'a>(tagged: &Tagged, api: &'a mut Api) -> Result<&'a mut BTreeMap<String, String>, Fault> {
    match &tagged.stage {
        None => Ok(&mut api.tags),
        Some(name) => Ok(&mut api.stages.get_mut(name).ok_or_else(faults::no_stage)?.tags),
    }
}

impl Handle<ops::TagResource> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::TagResourceRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let tagged = Tagged::of(KIND, input.resource_arn.as_deref(), &context.region)?;
        let (given, api) = (input.tags.unwrap_or_default(), tagged.api.clone());
        let tag = move |draft: &mut Draft<'_>| {
            let tags = tags(&tagged, &mut draft.api)?;
            tags.extend(given.clone());
            check::tags(tags)
        };
        self.change((context.account, &context.region), Some(&api), Missing::Api, tag).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::UntagResource> for RestApis {
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
            keys.iter().for_each(|key| drop(tags.remove(key)));
            Ok(())
        };
        self.change((context.account, &context.region), Some(&api), Missing::Api, untag).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::GetTags> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetTagsRequest,
        _: Body,
    ) -> Result<Answer<aws::Tags>, Fault> {
        let tagged = Tagged::of(KIND, input.resource_arn.as_deref(), &context.region)?;
        // There are at most 50: one page holds them.
        page(input.limit, input.position.as_deref())?;
        let live = self.api(context.account, &context.region, Some(&tagged.api))?;
        let mut api = live.api.clone();
        Ok(aws::Tags { tags: Some(std::mem::take(tags(&tagged, &mut api)?)) }.into())
    }
}
