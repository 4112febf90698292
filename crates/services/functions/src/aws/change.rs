//! UpdateFunctionCode and UpdateFunctionConfiguration.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};

use super::create::{active_tracing, dead_letter, log_group, snap_start};
use super::describe::{Detail, configuration};
use super::{image, new_revision, refuse, required, some_of, some_text, whole};
use crate::family::{Family, Step, Wanted};
use crate::from_s3::Archive;
use crate::rules::{self, Change};
use crate::types::Function;
use crate::{Functions, faults, signing};

/// What tells a caller the latest revision of a function.
const TELLS_REVISION: &str = "GetFunction/GetAlias";

/// Whether the revision a caller insists on is still the latest.
pub(super) fn insist_on(latest: &str, revision: Option<&str>) -> Result<(), Fault> {
    match revision.filter(|revision| !revision.is_empty()) {
        Some(revision) if revision != latest => Err(faults::stale(TELLS_REVISION)),
        _ => Ok(()),
    }
}

fn insist(function: &Function, revision: Option<&str>) -> Result<(), Fault> {
    insist_on(&function.revision, revision)
}

impl Handle<ops::UpdateFunctionCode> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateFunctionCodeRequest,
        _: Body,
    ) -> Result<Answer<aws::FunctionConfiguration>, Fault> {
        refuse(
            "UpdateFunctionCode",
            &[
                ("S3ObjectStorageMode", input.s3_object_storage_mode.is_some()),
                ("PublishTo", input.publish_to.is_some()),
                ("SourceKMSKeyArn", input.source_kms_key_arn.is_some()),
            ],
        )?;
        let text = required(input.function_name, "FunctionName")?;
        let (address, mut found) = whole(&self, &context, &text)?;
        insist(&found, input.revision_id.as_deref())?;
        let admitted = self.admits(&address, &found, &address.arn());
        // A dry run deploys nothing: what it would be refused is not counted.
        if input.dry_run == Some(true) { admitted } else { self.warn_of_refused(&address, admitted) }?;
        let image =
            image::updated(&found.settings, input.image_uri, input.zip_file.is_some() || input.s3_bucket.is_some())?;
        let architecture = input.architectures.and_then(|list| list.into_iter().next());
        let (code, kept) = match &image {
            Some(image) => (image::code(image), None),
            None => {
                let object = (input.s3_bucket, input.s3_key, input.s3_object_version);
                let archive = Archive::of(input.zip_file, object, "UpdateFunctionCode")?;
                let kept = self.take_in(&context, archive).await?;
                self.fits(kept.unpacked_bytes(), &found.settings.layers).await?;
                (kept.code().clone(), Some(kept))
            }
        };
        if input.dry_run == Some(true) {
            // Kept only until the answer: no row names it.
            (found.code, found.settings.image) = (code, image);
            found.settings.architecture = architecture.unwrap_or(found.settings.architecture);
            return Ok(configuration(&address, None, &found.latest(), Detail::Whole).into());
        }
        let insisted = input.revision_id;
        let (revision, now) = (new_revision(&self), self.options.clocks.product());
        let publisher = (input.publish == Some(true)).then(|| self.publisher(None));
        let told = address.clone();
        let update = move |family: &mut Family| {
            let function = family.existing(&told)?;
            insist(function, insisted.as_deref())?;
            let was = function.clone();
            let unsigned = family.admit(&told, &told.arn())?;
            let function = family.existing(&told)?;
            function.code.clone_from(&code);
            function.settings.image.clone_from(&image);
            if let Some(architecture) = &architecture {
                function.settings.architecture.clone_from(architecture);
            }
            function.revision.clone_from(&revision);
            function.modified_ms = now.0;
            let updated = match &publisher {
                Some(publisher) => publisher.publish(family, &told)?,
                None => Step::Done(configuration(&told, None, &function.latest(), Detail::Whole)),
            };
            Ok(updated.map(|updated| (updated, was, unsigned)))
        };
        let updated = self.state.alter_family(&address, Wanted::default(), update).await;
        let (updated, was, unsigned) = self.warn_of_refused(&address, updated)?;
        drop(kept);
        if unsigned {
            self.warn_of_unsigned(&address);
        }
        self.changed(&address, &was);
        self.prepare(&address);
        self.begin_snapshot(&address, &updated);
        Ok(updated.into())
    }
}

impl Handle<ops::UpdateFunctionConfiguration> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateFunctionConfigurationRequest,
        _: Body,
    ) -> Result<Answer<aws::FunctionConfiguration>, Fault> {
        unsupported(&input)?;
        let text = required(input.function_name.clone(), "FunctionName")?;
        let (address, found) = whole(&self, &context, &text)?;
        let insisted = input.revision_id.clone();
        insist(&found, insisted.as_deref())?;
        image::fits(&input, &found.settings)?;
        let arns = input.layers.clone().filter(|_| found.settings.image.is_none());
        let mut requested = requested(input)?;
        // Held until the row names them: a layer version that is deleted meanwhile leaves its code to this function.
        let held = self.code.hold().await;
        if let Some(arns) = arns {
            let layers = self.attach(&context, "UpdateFunctionConfiguration", &arns).await?;
            self.fits(self.code.tree(&found.code).await?.size_bytes, &layers).await?;
            requested.layers = Some(layers);
        }
        let next = rules::change(&found.settings, requested.clone())?;
        self.accepts(&address, &next)?;
        if requested.dead_letter.is_some() {
            self.accepts_dead_letters("UpdateFunctionConfiguration", (&context, &address), &next).await?;
        }
        if let Some(role) = &requested.role {
            self.may_assume(&address, role, context.request_id)?;
        }
        let (revision, now) = (new_revision(&self), self.options.clocks.product());
        let told = address.clone();
        let update = move |family: &mut Family| {
            let function = family.existing(&told)?;
            insist(function, insisted.as_deref())?;
            let was = function.clone();
            function.settings = rules::change(&function.settings, requested.clone())?;
            function.revision.clone_from(&revision);
            function.modified_ms = now.0;
            let function = function.clone();
            let added = signing::added(&was.settings.layers, &function.settings.layers);
            let unsigned = added.map_or(Ok(false), |layer| family.admit(&told, layer))?;
            Ok(Step::Done((function, was, unsigned)))
        };
        let updated = self.state.alter_family(&address, Wanted::default(), update).await;
        let (function, was, unsigned) = self.warn_of_refused(&address, updated)?;
        drop(held);
        if unsigned {
            self.warn_of_unsigned(&address);
        }
        self.changed(&address, &was);
        self.prepare(&address);
        Ok(configuration(&address, None, &function.latest(), Detail::Whole).into())
    }
}

fn unsupported(input: &aws::UpdateFunctionConfigurationRequest) -> Result<(), Fault> {
    let vpc = input.vpc_config.as_ref();
    let vpc = vpc.is_some_and(|vpc| some_of(vpc.subnet_ids.as_ref()) || some_of(vpc.security_group_ids.as_ref()));
    refuse(
        "UpdateFunctionConfiguration",
        &[
            ("VpcConfig", vpc),
            ("KMSKeyArn", some_text(input.kms_key_arn.as_ref())),
            ("FileSystemConfigs", some_of(input.file_system_configs.as_ref())),
            ("CapacityProviderConfig", input.capacity_provider_config.is_some()),
            ("DurableConfig", input.durable_config.is_some()),
            ("RuntimeConfig", input.runtime_config.is_some()),
            ("AcceleratorConfig", input.accelerator_config.is_some()),
        ],
    )
}

fn requested(input: aws::UpdateFunctionConfigurationRequest) -> Result<Change, Fault> {
    Ok(Change {
        runtime: input.runtime,
        role: input.role,
        handler: input.handler,
        description: input.description,
        timeout_s: input.timeout,
        memory_mb: input.memory_size,
        tmp_mb: input.ephemeral_storage.and_then(|storage| storage.size),
        environment: input.environment.map(|environment| environment.variables.unwrap_or_default()),
        active_tracing: active_tracing(input.tracing_config.as_ref()),
        snap_start: snap_start(input.snap_start.as_ref()),
        log_group: log_group("UpdateFunctionConfiguration", input.logging_config)?,
        image_config: input.image_config.map(image::config),
        dead_letter: dead_letter(input.dead_letter_config),
        ..Change::default()
    })
}
