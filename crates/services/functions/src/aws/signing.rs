//! Code signing configurations: Create, Get, Update, Delete, List; and which functions have them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Fault, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::list::{after, marker};
use super::{found, required};
use crate::family::{Family, Step, Wanted};
use crate::name::{self, Address};
use crate::signing::{self, Signing};
use crate::state::Home;
use crate::types::Function;
use crate::{Functions, faults, rules};

/// Most of one page. Source: AWS Lambda API reference, `ListCodeSigningConfigs`.
const PAGE: i64 = 10_000;

const ENFORCE: &str = "Enforce";
const WARN: &str = "Warn";

fn home(context: &Context) -> Home {
    Home { account: context.account, region: context.region.clone() }
}

/// The configuration that an ARN names, if it may be one of the caller's.
pub(super) fn named_by(context: &Context, arn: &str) -> Option<String> {
    signing::named_by(context.account, &context.region, arn)
}

/// The id of the configuration that a function shall have.
///
/// # Errors
/// AWS's words for one of another account or region: it is not found.
pub(super) fn to_have(context: &Context, arn: &str) -> Result<String, Fault> {
    named_by(context, arn).ok_or_else(|| faults::no_signing_to_have(arn))
}

/// What has no meaning for an image. Source: the message of AWS, as its clients report it.
pub(super) fn not_of_images() -> Fault {
    faults::invalid("Code signing is not supported for functions created with container images.")
}

/// Whether policies refuse what nobody has signed; by default they warn.
fn enforced(policies: Option<aws::CodeSigningPolicies>) -> Option<bool> {
    let policy = policies?.untrusted_artifact_on_deployment?;
    Some(policy == ENFORCE)
}

fn publishers(allowed: aws::AllowedPublishers) -> Result<Vec<String>, Fault> {
    let arns = allowed.signing_profile_version_arns;
    arns.ok_or_else(|| Fault::validation("AllowedPublishers.SigningProfileVersionArns is required"))
}

/// A configuration as AWS describes it.
fn shown(context: &Context, id: String, signing: Signing) -> aws::CodeSigningConfig {
    let policy = if signing.enforced { ENFORCE } else { WARN };
    aws::CodeSigningConfig {
        code_signing_config_arn: Some(signing::arn(context.account, &context.region, &id)),
        code_signing_config_id: Some(id),
        description: signing.description,
        allowed_publishers: Some(aws::AllowedPublishers { signing_profile_version_arns: Some(signing.publishers) }),
        code_signing_policies: Some(aws::CodeSigningPolicies {
            untrusted_artifact_on_deployment: Some(policy.to_owned()),
        }),
        last_modified: Some(rules::date(Timestamp(signing.modified_ms))),
    }
}

/// One page of at most `wanted`, of what was found, which has one more when another page follows; and the next marker.
fn paged<T>(mut found: Vec<T>, wanted: usize, name: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = found.last().filter(|_| more).map(|last| marker(name(last)));
    (found, next)
}

fn page_size(wanted: Option<i64>) -> usize {
    usize::try_from(wanted.unwrap_or(PAGE).clamp(1, PAGE)).expect("it is 1..=10,000")
}

impl Functions {
    /// The id of a configuration that is there, and the configuration.
    fn signing(&self, context: &Context, arn: &str) -> Result<(String, Signing), Fault> {
        let missing = || faults::no_signing(arn);
        let id = named_by(context, arn).ok_or_else(missing)?;
        let signing = self.state.signing(&home(context), &id)?.ok_or_else(missing)?;
        Ok((id, signing))
    }

    /// Changes a configuration that must be there.
    async fn alter_signing(
        &self,
        context: &Context,
        arn: &str,
        mut change: impl FnMut(&mut Signing) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(String, Signing), Fault> {
        let id = named_by(context, arn).ok_or_else(|| faults::no_signing(arn))?;
        let missing = faults::no_signing(arn);
        let change = move |found: Option<Signing>| {
            let mut signing = found.ok_or_else(|| missing.clone())?;
            change(&mut signing)?;
            Ok((Some(signing.clone()), signing))
        };
        let signing = self.state.alter_signing(&home(context), &id, change).await?;
        Ok((id, signing))
    }

    /// Changes the tags of a configuration.
    pub(super) async fn retag_signing(
        &self,
        context: &Context,
        arn: &str,
        mut change: impl FnMut(&mut BTreeMap<String, String>) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), Fault> {
        self.alter_signing(context, arn, move |signing| change(&mut signing.tags)).await.map(drop)
    }

    /// The tags of a configuration.
    pub(super) fn tags_of_signing(&self, context: &Context, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        Ok(self.signing(context, arn)?.1.tags)
    }

    /// Whether a function may be given an artifact, where nothing is changed: as [`Family::admit`].
    pub(super) fn admits(&self, address: &Address, function: &Function, artifact: &str) -> Result<(), Fault> {
        let Some(id) = &function.signing else { return Ok(()) };
        match self.state.signing(&Home::of(address), id)? {
            Some(signing) => signing.admits(artifact),
            None => Err(faults::no_signing_to_have(&signing::arn(address.account, &address.region, id))),
        }
    }

    /// Counts an artifact that no allowed publisher has signed, whether it was deployed or not.
    pub(super) fn warn_of_unsigned(&self, address: &Address) {
        self.options.meter.unsigned(address.account, &address.arn());
    }

    /// Counts a deployment that was refused because no allowed publisher has signed it.
    /// Source: AWS Lambda Developer Guide, "Using code signing to verify code integrity": "Enforce: Lambda issues a warning
    /// (the same as for the Warn action) and blocks the deployment of the code package."
    pub(super) fn warn_of_refused<T>(&self, address: &Address, deployed: Result<T, Fault>) -> Result<T, Fault> {
        deployed.inspect_err(|fault| {
            if fault.code == "CodeVerificationFailedException" {
                self.warn_of_unsigned(address);
            }
        })
    }

    /// Gives a function a configuration, or takes it away.
    async fn sign(&self, address: &Address, signing: Option<String>) -> Result<(), Fault> {
        let told = address.clone();
        let wanted = Wanted { signings: signing.iter().cloned().collect(), ..Wanted::default() };
        let change = move |family: &mut Family| {
            let function = family.existing(&told)?;
            if function.settings.image.is_some() {
                return Err(not_of_images());
            }
            function.signing.clone_from(&signing);
            Ok(Step::Done(()))
        };
        self.state.alter_family(address, wanted, change).await
    }
}

impl Handle<ops::CreateCodeSigningConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateCodeSigningConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateCodeSigningConfigResponse>, Fault> {
        let tags = input.tags.unwrap_or_default();
        rules::tags(&tags)?;
        let signing = Signing {
            description: input.description,
            publishers: publishers(input.allowed_publishers.unwrap_or_default())?,
            enforced: enforced(input.code_signing_policies).unwrap_or_default(),
            modified_ms: self.options.clocks.product().0,
            tags,
            functions: 0,
        };
        let id = signing::new_id(&*self.options.rng);
        let made = signing.clone();
        let taken = Fault::internal("a new code signing configuration has the id of another");
        let make = move |found: Option<Signing>| match found {
            None => Ok((Some(made.clone()), ())),
            Some(_) => Err(taken.clone()),
        };
        self.state.alter_signing(&home(&context), &id, make).await?;
        Ok(aws::CreateCodeSigningConfigResponse { code_signing_config: Some(shown(&context, id, signing)) }.into())
    }
}

impl Handle<ops::GetCodeSigningConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetCodeSigningConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::GetCodeSigningConfigResponse>, Fault> {
        let (id, signing) =
            self.signing(&context, &required(input.code_signing_config_arn, "CodeSigningConfigArn")?)?;
        Ok(aws::GetCodeSigningConfigResponse { code_signing_config: Some(shown(&context, id, signing)) }.into())
    }
}

impl Handle<ops::UpdateCodeSigningConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateCodeSigningConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::UpdateCodeSigningConfigResponse>, Fault> {
        let arn = required(input.code_signing_config_arn, "CodeSigningConfigArn")?;
        let (description, enforced) = (input.description, enforced(input.code_signing_policies));
        let publishers = input.allowed_publishers.map(publishers).transpose()?;
        let now = self.options.clocks.product();
        let change = move |signing: &mut Signing| {
            signing.description = description.clone().or_else(|| signing.description.take());
            if let Some(publishers) = &publishers {
                signing.publishers.clone_from(publishers);
            }
            signing.enforced = enforced.unwrap_or(signing.enforced);
            signing.modified_ms = now.0;
            Ok(())
        };
        let (id, signing) = self.alter_signing(&context, &arn, change).await?;
        Ok(aws::UpdateCodeSigningConfigResponse { code_signing_config: Some(shown(&context, id, signing)) }.into())
    }
}

impl Handle<ops::DeleteCodeSigningConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteCodeSigningConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::DeleteCodeSigningConfigResponse>, Fault> {
        let arn = required(input.code_signing_config_arn, "CodeSigningConfigArn")?;
        let id = named_by(&context, &arn).ok_or_else(|| faults::no_signing(&arn))?;
        let delete = move |found: Option<Signing>| {
            let signing = found.ok_or_else(|| faults::no_signing(&arn))?;
            if signing.functions > 0 {
                // AWS documents the fault and not its words.
                return Err(faults::conflict(format!(
                    "The code signing configuration {arn} cannot be deleted because functions still use it: \
                     ListFunctionsByCodeSigningConfig names them."
                )));
            }
            Ok((None, ()))
        };
        self.state.alter_signing(&home(&context), &id, delete).await?;
        Ok(aws::DeleteCodeSigningConfigResponse::default().into())
    }
}

impl Handle<ops::ListCodeSigningConfigs> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListCodeSigningConfigsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListCodeSigningConfigsResponse>, Fault> {
        let after = after(input.marker.as_deref())?;
        let wanted = page_size(input.max_items);
        let found = self.state.signings(&home(&context), after.as_deref(), wanted + 1)?;
        let (found, next_marker) = paged(found, wanted, |(id, _)| id);
        let configs = found.into_iter().map(|(id, signing)| shown(&context, id, signing));
        Ok(aws::ListCodeSigningConfigsResponse { next_marker, code_signing_configs: Some(configs.collect()) }.into())
    }
}

impl Handle<ops::ListFunctionsByCodeSigningConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListFunctionsByCodeSigningConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::ListFunctionsByCodeSigningConfigResponse>, Fault> {
        let (id, _) = self.signing(&context, &required(input.code_signing_config_arn, "CodeSigningConfigArn")?)?;
        let after = after(input.marker.as_deref())?;
        let wanted = page_size(input.max_items);
        let found = self.state.signed(&home(&context), &id, after.as_deref(), wanted + 1)?;
        let (found, next_marker) = paged(found, wanted, String::as_str);
        let (account, region) = (context.account, &context.region);
        let arns = found.into_iter().map(|name| Address { account, region: region.clone(), name }.arn());
        Ok(aws::ListFunctionsByCodeSigningConfigResponse { next_marker, function_arns: Some(arns.collect()) }.into())
    }
}

/// The configuration is looked for before the function.
impl Handle<ops::PutFunctionCodeSigningConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutFunctionCodeSigningConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::PutFunctionCodeSigningConfigResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let arn = required(input.code_signing_config_arn, "CodeSigningConfigArn")?;
        let address = name::resolve_whole(context.account, &context.region, &text)?;
        let id = to_have(&context, &arn)?;
        self.state.signing(&home(&context), &id)?.ok_or_else(|| faults::no_signing_to_have(&arn))?;
        self.sign(&address, Some(id)).await?;
        let answer = aws::PutFunctionCodeSigningConfigResponse {
            code_signing_config_arn: Some(arn),
            function_name: Some(address.name),
        };
        Ok(answer.into())
    }
}

/// A zip function without a configuration answers with its name alone.
impl Handle<ops::GetFunctionCodeSigningConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetFunctionCodeSigningConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::GetFunctionCodeSigningConfigResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let found = found(&self, &context, &text, None)?;
        if found.edition().settings.image.is_some() {
            return Err(not_of_images());
        }
        let id = found.function.signing;
        let answer = aws::GetFunctionCodeSigningConfigResponse {
            code_signing_config_arn: id.map(|id| signing::arn(context.account, &context.region, &id)),
            function_name: Some(found.named.address.name),
        };
        Ok(answer.into())
    }
}

impl Handle<ops::DeleteFunctionCodeSigningConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteFunctionCodeSigningConfigRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let address = name::resolve_whole(context.account, &context.region, &text)?;
        self.sign(&address, None).await?;
        Ok(Unit.into())
    }
}
