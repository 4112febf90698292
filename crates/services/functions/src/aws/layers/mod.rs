//! Layers: PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, DeleteLayerVersion; their lists; their policies;
//! how functions take them on.

mod attach;
mod list;
mod policy;

use std::sync::Arc;

use base::{Account, Fault};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::describe::base64_of_hex;
use super::{refuse, required};
use crate::from_s3::Archive;
use crate::layer::{self, Layer, LayerVersion};
use crate::{Functions, faults, rules};

/// The layer and version that a request names.
///
/// # Errors
/// AWS's words for a number that is none, and for a layer of another region.
fn named(context: &Context, name: Option<String>, version: Option<i64>) -> Result<(Layer, u64), Fault> {
    let name = required(name, "LayerName")?;
    let version = u64::try_from(version.unwrap_or_default()).ok().filter(|version| *version > 0);
    let version = version.ok_or_else(|| faults::invalid("Layer Version Cannot be less than 1."))?;
    Ok((layer::resolve(context.account, &context.region, &name)?, version))
}

/// The layer a request names, which must be the caller's own.
fn own(context: &Context, name: Option<String>) -> Result<Layer, Fault> {
    let layer = layer::resolve(context.account, &context.region, &required(name, "LayerName")?)?;
    if layer.account != context.account {
        return Err(faults::other_account(&layer.arn()));
    }
    Ok(layer)
}

fn none_there() -> Fault {
    faults::not_found("The resource you requested does not exist.")
}

impl Functions {
    /// A layer version that an account may read.
    fn readable(&self, account: Account, layer: &Layer, version: u64) -> Result<LayerVersion, Fault> {
        let found = self.state.layer_version(layer, version)?;
        if layer.account != account && found.as_ref().is_none_or(|found| !found.lets_in(account)) {
            return Err(faults::other_account(&layer.version_arn(version)));
        }
        found.ok_or_else(none_there)
    }

    /// A layer version as GetLayerVersion shows it.
    fn describe(
        &self,
        context: &Context,
        layer: &Layer,
        number: u64,
        version: LayerVersion,
    ) -> aws::GetLayerVersionResponse {
        let location = self.code_location(context, &version.code);
        aws::GetLayerVersionResponse {
            content: Some(aws::LayerVersionContentOutput {
                location: Some(location),
                code_sha256: base64_of_hex(&version.code.sha256),
                code_size: i64::try_from(version.code.size_bytes).ok(),
                ..aws::LayerVersionContentOutput::default()
            }),
            layer_arn: Some(layer.arn()),
            layer_version_arn: Some(layer.version_arn(number)),
            created_date: Some(rules::date(base::Timestamp(version.created_ms))),
            version: i64::try_from(number).ok(),
            description: Some(version.description),
            compatible_architectures: some(version.architectures),
            compatible_runtimes: some(version.runtimes),
            license_info: version.license,
        }
    }
}

/// A list that is left out when it is empty.
fn some(list: Vec<String>) -> Option<Vec<String>> {
    Some(list).filter(|list| !list.is_empty())
}

impl Handle<ops::PublishLayerVersion> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PublishLayerVersionRequest,
        _: Body,
    ) -> Result<Answer<aws::PublishLayerVersionResponse>, Fault> {
        let layer = own(&context, input.layer_name)?;
        let content = input.content.unwrap_or_default();
        refuse("PublishLayerVersion", &[("Content.S3ObjectStorageMode", content.s3_object_storage_mode.is_some())])?;
        for runtime in input.compatible_runtimes.iter().flatten() {
            crate::target::known_runtime(runtime)?;
        }
        let object = (content.s3_bucket, content.s3_key, content.s3_object_version);
        let archive = Archive::of(content.zip_file, object, "PublishLayerVersion")?;
        let kept = self.take_in(&context, archive).await?;
        let version = LayerVersion {
            code: kept.code().clone(),
            description: input.description.unwrap_or_default(),
            license: input.license_info,
            runtimes: input.compatible_runtimes.unwrap_or_default(),
            architectures: input.compatible_architectures.unwrap_or_default(),
            created_ms: self.options.clocks.product().0,
            policy: Vec::new(),
            policy_revision: String::new(),
        };
        let number = self.state.publish_layer(&layer, version.clone()).await?;
        drop(kept);
        let shown = self.describe(&context, &layer, number, version);
        Ok(aws::PublishLayerVersionResponse {
            content: shown.content,
            layer_arn: shown.layer_arn,
            layer_version_arn: shown.layer_version_arn,
            description: shown.description,
            created_date: shown.created_date,
            version: shown.version,
            compatible_architectures: shown.compatible_architectures,
            compatible_runtimes: shown.compatible_runtimes,
            license_info: shown.license_info,
        }
        .into())
    }
}

impl Handle<ops::GetLayerVersion> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetLayerVersionRequest,
        _: Body,
    ) -> Result<Answer<aws::GetLayerVersionResponse>, Fault> {
        let (layer, number) = named(&context, input.layer_name, input.version_number)?;
        let version = self.readable(context.account, &layer, number)?;
        Ok(self.describe(&context, &layer, number, version).into())
    }
}

impl Handle<ops::GetLayerVersionByArn> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetLayerVersionByArnRequest,
        _: Body,
    ) -> Result<Answer<aws::GetLayerVersionResponse>, Fault> {
        let arn = required(input.arn, "Arn")?;
        let Some((layer, Some(number))) = layer::parse(&arn) else { return Err(none_there()) };
        if layer.region != context.region {
            return Err(none_there());
        }
        let version = self.readable(context.account, &layer, number)?;
        Ok(self.describe(&context, &layer, number, version).into())
    }
}

/// A version that is not there is as good as deleted, as on AWS.
impl Handle<ops::DeleteLayerVersion> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteLayerVersionRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (layer, number) = named(&context, input.layer_name, input.version_number)?;
        if layer.account != context.account {
            return Err(faults::other_account(&layer.version_arn(number)));
        }
        let gone = self.state.alter_layer(&layer, number, |found| Ok((None, found))).await?;
        if let Some(version) = gone {
            self.code.maybe_unused(&version.code.sha256);
        }
        Ok(Unit.into())
    }
}
