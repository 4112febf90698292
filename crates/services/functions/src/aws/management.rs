//! PutRuntimeManagementConfig, GetRuntimeManagementConfig, PutFunctionRecursionConfig, GetFunctionRecursionConfig.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};

use super::describe::runtime_version;
use super::{alter, found, required, whole};
use crate::name;
use crate::types::RuntimeManagement;
use crate::{Functions, faults};

const AUTO: &str = "Auto";
const MANUAL: &str = "Manual";

/// A runtime here is the host's interpreter and has one version: it may be pinned, and no other may.
impl Handle<ops::PutRuntimeManagementConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutRuntimeManagementConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::PutRuntimeManagementConfigResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let update_on = required(input.update_runtime_on, "UpdateRuntimeOn")?;
        let found = found(&self, &context, &text, input.qualifier.as_deref())?;
        let (address, edition) = (&found.named.address, found.edition());
        if edition.settings.image.is_some() {
            return Err(faults::invalid("A function that is a container image brings its runtime along."));
        }
        let only = runtime_version(address, &edition.settings.runtime);
        match (update_on.as_str(), input.runtime_version_arn.as_deref()) {
            (MANUAL, None) => {
                return Err(faults::invalid("RuntimeVersionArn is required when UpdateRuntimeOn is Manual."));
            }
            (MANUAL, Some(arn)) if arn != only => {
                return Err(faults::invalid(format!(
                    "Runtime version {arn} is not available for {}; the version here is {only}.",
                    edition.settings.runtime
                )));
            }
            (MANUAL, Some(_)) | (_, None) => {}
            (_, Some(_)) => {
                return Err(faults::invalid("RuntimeVersionArn may be given only when UpdateRuntimeOn is Manual."));
            }
        }
        let version = edition.version.clone();
        let config = RuntimeManagement { update_on: update_on.clone(), version_arn: input.runtime_version_arn.clone() };
        let of = version.clone();
        alter(&self, address, move |function| {
            if config.update_on == AUTO {
                function.runtime_management.remove(&of);
            } else {
                function.runtime_management.insert(of.clone(), config.clone());
            }
            Ok(())
        })
        .await?;
        let answer = aws::PutRuntimeManagementConfigResponse {
            update_runtime_on: Some(update_on),
            function_arn: Some(address.qualified(Some(&version))),
            runtime_version_arn: input.runtime_version_arn,
        };
        Ok(answer.into())
    }
}

impl Handle<ops::GetRuntimeManagementConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetRuntimeManagementConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::GetRuntimeManagementConfigResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let found = found(&self, &context, &text, input.qualifier.as_deref())?;
        let version = found.edition().version;
        let config = found.function.runtime_management.get(&version);
        let answer = aws::GetRuntimeManagementConfigResponse {
            update_runtime_on: Some(config.map_or(AUTO, |config| &config.update_on).to_owned()),
            function_arn: Some(found.named.address.qualified(Some(&version))),
            runtime_version_arn: config.and_then(|config| config.version_arn.clone()),
        };
        Ok(answer.into())
    }
}

fn told(allow: bool) -> Option<String> {
    Some(if allow { "Allow" } else { "Terminate" }.to_owned())
}

impl Handle<ops::PutFunctionRecursionConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutFunctionRecursionConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::PutFunctionRecursionConfigResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let allow = required(input.recursive_loop, "RecursiveLoop")? == "Allow";
        let address = name::resolve_whole(context.account, &context.region, &text)?;
        alter(&self, &address, move |function| {
            function.allow_loops = allow;
            Ok(())
        })
        .await?;
        Ok(aws::PutFunctionRecursionConfigResponse { recursive_loop: told(allow) }.into())
    }
}

impl Handle<ops::GetFunctionRecursionConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetFunctionRecursionConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::GetFunctionRecursionConfigResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let (_, function) = whole(&self, &context, &text)?;
        Ok(aws::GetFunctionRecursionConfigResponse { recursive_loop: told(function.allow_loops) }.into())
    }
}
