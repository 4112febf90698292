//! GetFunction, GetFunctionConfiguration and how a function is described everywhere.

use std::sync::Arc;

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use store::Digest;

use super::{found, image, required};
use crate::find::Found;
use crate::name::Address;
use crate::types::{Edition, Settings, Snap};
use crate::{Functions, rules};

/// The parts of a description that only single functions show, not lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Whole,
    Listed,
}

/// A version as AWS describes it. Its state is `Active` from the first moment, as creation is complete when it answers, unless
/// a snapshot is made of it first.
pub(super) fn configuration(
    address: &Address,
    qualifier: Option<&str>,
    edition: &Edition<'_>,
    detail: Detail,
) -> aws::FunctionConfiguration {
    let settings = edition.settings;
    let (whole, archive) = (detail == Detail::Whole, settings.image.is_none());
    let text = |text: &str| Some(text.to_owned());
    let condition = condition(edition.snap);
    aws::FunctionConfiguration {
        function_name: text(&address.name),
        function_arn: Some(address.qualified(qualifier)),
        runtime: text(&settings.runtime).filter(|_| archive),
        role: text(&settings.role),
        handler: text(&settings.handler).filter(|_| archive),
        code_size: i64::try_from(edition.code.size_bytes).ok(),
        description: text(&settings.description),
        timeout: Some(settings.timeout_s.into()),
        memory_size: Some(settings.memory_mb.into()),
        last_modified: Some(rules::date(edition.modified)),
        code_sha256: base64_of_hex(&edition.code.sha256),
        version: text(&edition.version),
        environment: environment(settings),
        dead_letter_config: settings
            .dead_letter
            .as_ref()
            .map(|target| aws::DeadLetterConfig { target_arn: Some(target.clone()) }),
        layers: layers(settings),
        tracing_config: Some(aws::TracingConfigResponse {
            mode: text(if settings.active_tracing { "Active" } else { "PassThrough" }),
        }),
        revision_id: text(edition.revision),
        state: whole.then(|| condition.state.to_owned()),
        state_reason: condition.reason.filter(|_| whole),
        state_reason_code: condition.code.filter(|_| whole),
        last_update_status: whole.then(|| "Successful".to_owned()),
        package_type: text(if archive { "Zip" } else { "Image" }),
        image_config_response: settings.image.as_ref().and_then(image::shown),
        architectures: Some(vec![settings.architecture.clone()]),
        ephemeral_storage: Some(aws::EphemeralStorage { size: Some(settings.tmp_mb.into()) }),
        snap_start: Some(aws::SnapStartResponse {
            apply_on: text(if settings.snap_start { "PublishedVersions" } else { "None" }),
            optimization_status: text(if condition.optimised { "On" } else { "Off" }),
        }),
        runtime_version_config: (whole && archive).then(|| aws::RuntimeVersionConfig {
            runtime_version_arn: Some(runtime_version(address, &settings.runtime)),
            error: None,
        }),
        logging_config: Some(aws::LoggingConfig {
            log_format: text("Text"),
            log_group: Some(log_group(address, settings)),
            ..aws::LoggingConfig::default()
        }),
        ..aws::FunctionConfiguration::default()
    }
}

/// Whether a version can be invoked, and how its environments begin.
struct Condition {
    state: &'static str,
    reason: Option<String>,
    code: Option<String>,
    optimised: bool,
}

fn condition(snap: Option<&Snap>) -> Condition {
    let text = |text: &str| Some(text.to_owned());
    let active = Condition { state: "Active", reason: None, code: None, optimised: false };
    match snap {
        None => active,
        Some(Snap::On) => Condition { optimised: true, ..active },
        Some(Snap::Off(why)) => {
            Condition { reason: Some(format!("SnapStart is off for this version: {why}")), ..active }
        }
        Some(Snap::Pending) => Condition {
            state: "Pending",
            reason: text("The function is being created."),
            code: text("Creating"),
            optimised: true,
        },
        Some(Snap::Failed { code, reason }) => {
            Condition { state: "Failed", reason: text(reason), code: text(code), optimised: false }
        }
    }
}

/// What a caller named, as AWS describes it: its ARN has the qualifier by which it was named.
pub(super) fn described(found: &Found, detail: Detail) -> aws::FunctionConfiguration {
    configuration(&found.named.address, found.named.qualifier.as_deref(), &found.edition(), detail)
}

/// Where a function's log goes.
pub(crate) fn log_group(address: &Address, settings: &Settings) -> String {
    settings.log_group.clone().unwrap_or_else(|| format!("/aws/lambda/{}", address.name))
}

fn environment(settings: &Settings) -> Option<aws::EnvironmentResponse> {
    let variables = settings.environment.clone()?;
    Some(aws::EnvironmentResponse { variables: Some(variables), error: None })
}

fn layers(settings: &Settings) -> Option<Vec<aws::Layer>> {
    let layers = settings.layers.iter().map(|layer| aws::Layer {
        arn: Some(layer.arn.clone()),
        code_size: i64::try_from(layer.code.size_bytes).ok(),
        ..aws::Layer::default()
    });
    Some(layers.collect::<Vec<_>>()).filter(|layers| !layers.is_empty())
}

/// Names the runtime's version as AWS does. Ours has one version per identifier, so the name is made from that.
pub(crate) fn runtime_version(address: &Address, runtime: &str) -> String {
    format!("arn:aws:lambda:{}::runtime:{}", address.region, Digest::of(runtime.as_bytes()))
}

pub(super) fn base64_of_hex(hex: &str) -> Option<String> {
    let digest: Digest = hex.parse().ok()?;
    Some(STANDARD.encode(digest.as_bytes()))
}

impl Handle<ops::GetFunction> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetFunctionRequest,
        _: Body,
    ) -> Result<Answer<aws::GetFunctionResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let found = found(&self, &context, &text, input.qualifier.as_deref())?;
        let edition = found.edition();
        let code = match &edition.settings.image {
            Some(image) => image::location(image, edition.code),
            None => aws::FunctionCodeLocation {
                repository_type: Some("S3".into()),
                location: Some(self.code_location(&context, edition.code)),
                ..aws::FunctionCodeLocation::default()
            },
        };
        let reserved = found
            .function
            .reserved
            .map(|reserved| aws::Concurrency { reserved_concurrent_executions: Some(reserved.into()) });
        let answer = aws::GetFunctionResponse {
            configuration: Some(described(&found, Detail::Whole)),
            code: Some(code),
            tags: Some(found.function.tags).filter(|tags| !tags.is_empty()),
            tags_error: None,
            concurrency: reserved,
        };
        Ok(answer.into())
    }
}

impl Handle<ops::GetFunctionConfiguration> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetFunctionConfigurationRequest,
        _: Body,
    ) -> Result<Answer<aws::FunctionConfiguration>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let found = found(&self, &context, &text, input.qualifier.as_deref())?;
        Ok(described(&found, Detail::Whole).into())
    }
}
