//! ListLayers and ListLayerVersions.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};

use super::some;
use crate::aws::list::{after, marker};
use crate::aws::required;
use crate::layer::{self, Layer, LayerVersion};
use crate::{Functions, faults, rules};

/// Most of one page. Source: AWS Lambda API reference, `ListLayers`.
const PAGE: i64 = 50;

fn wanted(max_items: Option<i64>) -> usize {
    usize::try_from(max_items.unwrap_or(PAGE).clamp(1, PAGE)).expect("it is 1..=50")
}

fn item(layer: &Layer, number: u64, version: LayerVersion) -> aws::LayerVersionsListItem {
    aws::LayerVersionsListItem {
        layer_version_arn: Some(layer.version_arn(number)),
        version: i64::try_from(number).ok(),
        description: Some(version.description).filter(|description| !description.is_empty()),
        created_date: Some(rules::date(base::Timestamp(version.created_ms))),
        compatible_architectures: some(version.architectures),
        compatible_runtimes: some(version.runtimes),
        license_info: version.license,
    }
}

impl Handle<ops::ListLayers> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListLayersRequest,
        _: Body,
    ) -> Result<Answer<aws::ListLayersResponse>, Fault> {
        let (runtime, architecture) = (input.compatible_runtime, input.compatible_architecture);
        let after = after(input.marker.as_deref())?;
        let wanted = wanted(input.max_items);
        let matches = |version: &LayerVersion| version.matches(runtime.as_deref(), architecture.as_deref());
        // One more than wanted shows whether there is another page.
        let mut found = self.state.layers(context.account, &context.region, after.as_deref(), wanted + 1, matches)?;
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next_marker = found.last().filter(|_| more).map(|(layer, ..)| marker(&layer.name));
        let show = |(layer, number, version): (Layer, u64, LayerVersion)| aws::LayersListItem {
            layer_name: Some(layer.name.clone()),
            layer_arn: Some(layer.arn()),
            latest_matching_version: Some(item(&layer, number, version)),
        };
        Ok(aws::ListLayersResponse { next_marker, layers: Some(found.into_iter().map(show).collect()) }.into())
    }
}

impl Handle<ops::ListLayerVersions> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListLayerVersionsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListLayerVersionsResponse>, Fault> {
        let layer = layer::resolve(context.account, &context.region, &required(input.layer_name, "LayerName")?)?;
        if layer.account != context.account {
            return Err(faults::other_account(&layer.arn()));
        }
        let (runtime, architecture) = (input.compatible_runtime, input.compatible_architecture);
        let before = match after(input.marker.as_deref())? {
            Some(number) => Some(number.parse().map_err(|_| faults::invalid("Invalid value for Marker."))?),
            None => None,
        };
        let wanted = wanted(input.max_items);
        let matches = |version: &LayerVersion| version.matches(runtime.as_deref(), architecture.as_deref());
        let mut found = self.state.layer_versions(&layer, before, wanted + 1, matches)?;
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next_marker = found.last().filter(|_| more).map(|(number, _)| marker(&number.to_string()));
        let shown = found.into_iter().map(|(number, version)| item(&layer, number, version));
        Ok(aws::ListLayerVersionsResponse { next_marker, layer_versions: Some(shown.collect()) }.into())
    }
}
