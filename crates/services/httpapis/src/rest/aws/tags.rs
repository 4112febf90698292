//! Tags of APIs and stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Fault, Region};
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::page;
use crate::rest::engine::{Draft, Missing};
use crate::rest::types::Api;
use crate::rest::{RestApis, faults};
use crate::rules::check;

/// What has tags, by its ARN: `arn:aws:apigateway:REGION::/restapis/ID[/stages/NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tagged {
    pub(crate) api: String,
    pub(crate) stage: Option<String>,
}

impl Tagged {
    /// None if the ARN names nothing of the region that has tags here.
    pub(crate) fn parse(arn: &str, region: &Region) -> Option<Self> {
        let path = arn.strip_prefix("arn:aws:apigateway:")?.strip_prefix(region.as_str())?.strip_prefix("::/")?;
        let parts: Vec<&str> = path.split('/').collect();
        let (api, stage) = match *parts {
            ["restapis", api] => (api, None),
            ["restapis", api, "stages", stage] => (api, Some(stage.to_owned())),
            _ => return None,
        };
        Some(Self { api: api.to_owned(), stage })
    }

    fn of(arn: Option<&str>, region: &Region) -> Result<Self, Fault> {
        let arn = arn.unwrap_or_default();
        Self::parse(arn, region).ok_or_else(|| faults::bad(format!("Invalid resource ARN specified: {arn}")))
    }

    fn tags<'a>(&self, api: &'a mut Api) -> Result<&'a mut BTreeMap<String, String>, Fault> {
        match &self.stage {
            None => Ok(&mut api.tags),
            Some(name) => Ok(&mut api.stages.get_mut(name).ok_or_else(faults::no_stage)?.tags),
        }
    }
}

impl Handle<ops::TagResource> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::TagResourceRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let tagged = Tagged::of(input.resource_arn.as_deref(), &context.region)?;
        let (given, api) = (input.tags.unwrap_or_default(), tagged.api.clone());
        let tag = move |draft: &mut Draft<'_>| {
            let tags = tagged.tags(&mut draft.api)?;
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
        let tagged = Tagged::of(input.resource_arn.as_deref(), &context.region)?;
        let (keys, api) = (input.tag_keys.unwrap_or_default(), tagged.api.clone());
        let untag = move |draft: &mut Draft<'_>| {
            let tags = tagged.tags(&mut draft.api)?;
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
        let tagged = Tagged::of(input.resource_arn.as_deref(), &context.region)?;
        // There are at most 50: one page holds them.
        page(input.limit, input.position.as_deref())?;
        let live = self.api(context.account, &context.region, Some(&tagged.api))?;
        let mut api = live.api.clone();
        Ok(aws::Tags { tags: Some(std::mem::take(tagged.tags(&mut api)?)) }.into())
    }
}
