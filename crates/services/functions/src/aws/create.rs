//! CreateFunction and DeleteFunction.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Fault, Principal, RequestId, limits};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};

use super::describe::{Detail, configuration};
use super::{image, refuse, required, signing, some_of, some_text};
use crate::family::{Family, Step, Wanted};
use crate::from_s3::Archive;
use crate::name::{self, Address, LATEST, NAME_LENGTH};
use crate::rules::{self, Change};
use crate::types::{Function, Settings};
use crate::{Functions, faults, walls};

impl Handle<ops::CreateFunction> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateFunctionRequest,
        _: Body,
    ) -> Result<Answer<aws::FunctionConfiguration>, Fault> {
        unsupported(&input)?;
        let text = required(input.function_name.clone(), "FunctionName")?;
        let address = name::resolve_whole(context.account, &context.region, &text)?;
        if address.name.len() > NAME_LENGTH {
            let must = format!("have length less than or equal to {NAME_LENGTH}");
            return Err(faults::constraint(&address.name, "functionName", &must));
        }
        let tags = input.tags.clone().unwrap_or_default();
        rules::tags(&tags)?;
        walls::check(&tags, self.options.egress)?;
        let code = input.code.clone().unwrap_or_default();
        let publish = input.publish == Some(true);
        let arns = input.layers.clone().unwrap_or_default();
        let image = image::requested(&input)?;
        let signing = input.code_signing_config_arn.as_deref().filter(|arn| !arn.is_empty());
        if signing.is_some() && image.is_some() {
            return Err(signing::not_of_images());
        }
        let signing = signing.map(|arn| signing::to_have(&context, arn)).transpose()?;
        let mut settings = rules::create(Change { image, ..requested(input)? })?;
        self.accepts(&address, &settings)?;
        self.may_assume(&address, &settings.role, context.request_id)?;
        self.accepts_dead_letters("CreateFunction", (&context, &address), &settings).await?;
        if self.state.get(&address)?.is_some() {
            return Err(exists(&address));
        }
        let (code, kept) = match &settings.image {
            Some(image) => (image::code(image), None),
            None => {
                let kept = self.take_in(&context, archive_of(code, "CreateFunction")?).await?;
                settings.layers = self.attach(&context, "CreateFunction", &arns).await?;
                self.fits(kept.unpacked_bytes(), &settings.layers).await?;
                (kept.code().clone(), Some(kept))
            }
        };
        let function = Function {
            settings,
            code,
            revision: super::new_revision(&self),
            modified_ms: self.options.clocks.product().0,
            tags,
            reserved: None,
            url: None,
            policy: Vec::new(),
            event_invoke: BTreeMap::new(),
            published: None,
            provisioned: BTreeMap::new(),
            runtime_management: BTreeMap::new(),
            allow_loops: false,
            signing: signing.clone(),
            changes: 0,
        };
        let (taken, publisher) = (exists(&address), self.publisher(None));
        let told = address.clone();
        let wanted = Wanted { signings: signing.into_iter().collect(), ..Wanted::default() };
        let make = move |family: &mut Family| {
            if family.function.is_some() {
                return Err(taken.clone());
            }
            family.function = Some(function.clone());
            let unsigned = family.admit(&told, &told.name)?;
            let made = if publish {
                publisher.publish(family, &told)?
            } else {
                Step::Done(configuration(&told, None, &function.latest(), Detail::Whole))
            };
            Ok(made.map(|made| (made, unsigned)))
        };
        let created = self.state.alter_family(&address, wanted, make).await;
        let (created, unsigned) = self.warn_of_refused(&address, created)?;
        drop(kept);
        if unsigned {
            self.warn_of_unsigned(&address);
        }
        self.prepare(&address);
        self.begin_snapshot(&address, &created);
        Ok(created.into())
    }
}

fn exists(address: &Address) -> Fault {
    faults::conflict(format!("Function already exist: {}", address.name))
}

fn unsupported(input: &aws::CreateFunctionRequest) -> Result<(), Fault> {
    let vpc = input.vpc_config.as_ref();
    let vpc = vpc.is_some_and(|vpc| some_of(vpc.subnet_ids.as_ref()) || some_of(vpc.security_group_ids.as_ref()));
    refuse(
        "CreateFunction",
        &[
            ("PublishTo", input.publish_to.is_some()),
            ("VpcConfig", vpc),
            ("KMSKeyArn", some_text(input.kms_key_arn.as_ref())),
            ("FileSystemConfigs", some_of(input.file_system_configs.as_ref())),
            ("TenancyConfig", input.tenancy_config.is_some()),
            ("CapacityProviderConfig", input.capacity_provider_config.is_some()),
            ("DurableConfig", input.durable_config.is_some()),
            ("RuntimeConfig", input.runtime_config.is_some()),
            ("AcceleratorConfig", input.accelerator_config.is_some()),
        ],
    )
}

/// The target that a request gives: an empty text for none, and for a configuration without one.
pub(super) fn dead_letter(config: Option<aws::DeadLetterConfig>) -> Option<String> {
    config.map(|config| config.target_arn.unwrap_or_default())
}

pub(super) fn active_tracing(config: Option<&aws::TracingConfig>) -> Option<bool> {
    config?.mode.as_deref().map(|mode| mode == "Active")
}

pub(super) fn snap_start(config: Option<&aws::SnapStart>) -> Option<bool> {
    config?.apply_on.as_deref().map(|apply| apply == "PublishedVersions")
}

fn requested(input: aws::CreateFunctionRequest) -> Result<Change, Fault> {
    Ok(Change {
        runtime: input.runtime,
        role: input.role,
        handler: input.handler,
        description: input.description,
        timeout_s: input.timeout,
        memory_mb: input.memory_size,
        tmp_mb: input.ephemeral_storage.and_then(|storage| storage.size),
        environment: input.environment.map(|environment| environment.variables.unwrap_or_default()),
        architectures: input.architectures,
        active_tracing: active_tracing(input.tracing_config.as_ref()),
        snap_start: snap_start(input.snap_start.as_ref()),
        log_group: log_group("CreateFunction", input.logging_config)?,
        dead_letter: dead_letter(input.dead_letter_config),
        ..Change::default()
    })
}

/// The log group a request asks for; log formats other than text are refused.
pub(super) fn log_group(operation: &str, config: Option<aws::LoggingConfig>) -> Result<Option<String>, Fault> {
    let Some(config) = config else { return Ok(None) };
    refuse(
        operation,
        &[
            ("LoggingConfig.LogFormat=JSON", config.log_format.as_deref() == Some("JSON")),
            ("LoggingConfig.ApplicationLogLevel", config.application_log_level.is_some()),
            ("LoggingConfig.SystemLogLevel", config.system_log_level.is_some()),
        ],
    )?;
    Ok(config.log_group)
}

/// The archive of a request; what else it may ask for is refused by name.
fn archive_of(code: aws::FunctionCode, operation: &str) -> Result<Archive, Fault> {
    refuse(
        operation,
        &[
            ("Code.S3ObjectStorageMode", code.s3_object_storage_mode.is_some()),
            ("Code.SourceKMSKeyArn", code.source_kms_key_arn.is_some()),
        ],
    )?;
    Archive::of(code.zip_file, (code.s3_bucket, code.s3_key, code.s3_object_version), operation)
}

/// An archive sent along, within its limit.
pub(crate) fn inline(zip: Option<bytes::Bytes>, operation: &str) -> Result<bytes::Bytes, Fault> {
    let zip = zip.ok_or_else(|| faults::invalid("Please provide a source for function code."))?;
    if zip.len() > limits::ZIP_BYTES {
        // AWS counts the request's body, where the archive stands in base64.
        return Err(faults::too_large(limits::ZIP_BYTES.div_ceil(3) * 4 - 1, operation));
    }
    Ok(zip)
}

impl Functions {
    /// What only the platform as a whole can say of settings: whether the runtime is known, and whose role it is.
    pub(super) fn accepts(&self, address: &Address, settings: &Settings) -> Result<(), Fault> {
        if settings.image.is_none() {
            crate::target::known_runtime(&settings.runtime)?;
        }
        let owner = settings.role.split(':').nth(4).unwrap_or_default();
        if !self.options.loopback && owner != address.account.as_str() {
            return Err(faults::user(Fault::denied("Cross-account pass role is not allowed.")));
        }
        Ok(())
    }

    /// Whether Lambda may act as a role for a function.
    pub(super) fn may_assume(&self, address: &Address, role: &str, request: RequestId) -> Result<(), Fault> {
        let lambda = Principal::Service {
            name: crate::access::SERVICE,
            source_arn: address.arn(),
            source_account: address.account,
        };
        let decided = self.options.gate.assume(role, &lambda, &address.region, request);
        decided.map_err(|_| faults::invalid("The role defined for the function cannot be assumed by Lambda."))
    }

    /// What follows when `$LATEST` changed: its environments end, the code it used may go.
    pub(crate) fn changed(&self, address: &Address, was: &Function) {
        self.targets.forget(address);
        self.invoker.evict_version(&address.arn(), LATEST);
        for code in was.codes() {
            self.code.maybe_unused(&code.sha256);
        }
    }

    /// What follows when a function changed in a way that its published versions follow, or it went.
    pub(crate) fn changed_in_all_versions(&self, address: &Address) {
        self.targets.forget(address);
        self.invoker.evict(&address.arn());
    }
}
