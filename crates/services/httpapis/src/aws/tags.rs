//! Tags of APIs and stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Fault, Region};
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};
use wire::Unit;

use crate::engine::Draft;
use crate::rules::check;
use crate::types::Api;
use crate::{HttpApis, faults};

/// What has tags, by its ARN: `arn:aws:apigateway:REGION::/apis/ID[/stages/NAME]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tagged {
    pub(crate) api: String,
    pub(crate) stage: Option<String>,
}

impl Tagged {
    /// None if the ARN names nothing of the region that has tags here.
    pub(crate) fn parse(arn: &str, region: &Region) -> Option<Self> {
        let path = arn.strip_prefix("arn:aws:apigateway:")?.strip_prefix(region.as_str())?.strip_prefix("::/")?;
        let mut parts = path.split('/');
        let (api, stage) = match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("apis"), Some(api), None, ..) => (api, None),
            (Some("apis"), Some(api), Some("stages"), Some(stage), None) => (api, Some(stage.to_owned())),
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
            Some(name) => Ok(&mut api.stages.get_mut(name).ok_or_else(|| faults::no_part("stage"))?.tags),
        }
    }
}

impl Handle<ops::TagResource> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::TagResourceRequest,
        _: Body,
    ) -> Result<Answer<aws::TagResourceResponse>, Fault> {
        let tagged = Tagged::of(input.resource_arn.as_deref(), &context.region)?;
        let (given, api) = (input.tags.unwrap_or_default(), tagged.api.clone());
        let tag = move |draft: &mut Draft<'_>| {
            let tags = tagged.tags(&mut draft.api)?;
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
        let tagged = Tagged::of(input.resource_arn.as_deref(), &context.region)?;
        let (keys, api) = (input.tag_keys.unwrap_or_default(), tagged.api.clone());
        let untag = move |draft: &mut Draft<'_>| {
            let tags = tagged.tags(&mut draft.api)?;
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
        let tagged = Tagged::of(input.resource_arn.as_deref(), &context.region)?;
        let live = self.api(context.account, &context.region, Some(&tagged.api))?;
        let tags = match &tagged.stage {
            None => &live.api.tags,
            Some(name) => &live.api.stages.get(name).ok_or_else(|| faults::no_part("stage"))?.tags,
        };
        Ok(aws::GetTagsResponse { tags: Some(tags.clone()) }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_name_apis_and_stages() {
        let region = Region::default_region();
        let parse = |arn: &str| Tagged::parse(arn, &region);
        let of = |stage: Option<&str>| Some(Tagged { api: "abc".into(), stage: stage.map(str::to_owned) });
        assert_eq!(parse("arn:aws:apigateway:us-east-1::/apis/abc"), of(None));
        assert_eq!(parse("arn:aws:apigateway:us-east-1::/apis/abc/stages/$default"), of(Some("$default")));
        for wrong in ["", "arn:aws:apigateway:eu-west-1::/apis/abc", "arn:aws:apigateway:us-east-1::/restapis/abc"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
