//! The operations, by topic. What is not registered in [`register`] answers NotImplemented at the door.

mod account;
mod alias;
mod change;
mod concurrency;
mod create;
mod describe;
mod event_invoke;
mod image;
mod invoke;
mod layers;
mod list;
mod management;
mod mappings;
mod policy;
mod provisioned;
mod signing;
mod stream;
mod tags;
mod url;
mod version;

pub(crate) use create::inline;
pub(crate) use describe::{log_group, runtime_version};
pub(crate) use policy::document;

use std::sync::Arc;

use base::{Fault, RequestId};
use door::{Context, RouterBuilder};
use model::lambda::ops;

use crate::Functions;
use crate::find::Found;
use crate::name::{self, Address};
use crate::types::Function;

/// Registers every operation of Lambda that this room carries out: the coverage table.
#[must_use]
pub fn register(builder: RouterBuilder, functions: &Arc<Functions>) -> RouterBuilder {
    builder
        .knows("lambda", Arc::<Functions>::clone(functions))
        .on::<ops::CreateFunction, _>(functions)
        .on::<ops::GetFunction, _>(functions)
        .on::<ops::GetFunctionConfiguration, _>(functions)
        .on::<ops::CreateCodeSigningConfig, _>(functions)
        .on::<ops::GetCodeSigningConfig, _>(functions)
        .on::<ops::UpdateCodeSigningConfig, _>(functions)
        .on::<ops::DeleteCodeSigningConfig, _>(functions)
        .on::<ops::ListCodeSigningConfigs, _>(functions)
        .on::<ops::PutFunctionCodeSigningConfig, _>(functions)
        .on::<ops::GetFunctionCodeSigningConfig, _>(functions)
        .on::<ops::DeleteFunctionCodeSigningConfig, _>(functions)
        .on::<ops::ListFunctionsByCodeSigningConfig, _>(functions)
        .on::<ops::PutRuntimeManagementConfig, _>(functions)
        .on::<ops::GetRuntimeManagementConfig, _>(functions)
        .on::<ops::PutFunctionRecursionConfig, _>(functions)
        .on::<ops::GetFunctionRecursionConfig, _>(functions)
        .on::<ops::PutProvisionedConcurrencyConfig, _>(functions)
        .on::<ops::GetProvisionedConcurrencyConfig, _>(functions)
        .on::<ops::DeleteProvisionedConcurrencyConfig, _>(functions)
        .on::<ops::ListProvisionedConcurrencyConfigs, _>(functions)
        .on::<ops::ListFunctions, _>(functions)
        .on::<ops::ListVersionsByFunction, _>(functions)
        .on::<ops::PublishVersion, _>(functions)
        .on::<ops::CreateAlias, _>(functions)
        .on::<ops::GetAlias, _>(functions)
        .on::<ops::UpdateAlias, _>(functions)
        .on::<ops::DeleteAlias, _>(functions)
        .on::<ops::ListAliases, _>(functions)
        .on::<ops::UpdateFunctionCode, _>(functions)
        .on::<ops::UpdateFunctionConfiguration, _>(functions)
        .on::<ops::DeleteFunction, _>(functions)
        .on::<ops::Invoke, _>(functions)
        .on::<ops::InvokeAsync, _>(functions)
        .on::<ops::InvokeWithResponseStream, _>(functions)
        .on::<ops::TagResource, _>(functions)
        .on::<ops::UntagResource, _>(functions)
        .on::<ops::ListTags, _>(functions)
        .on::<ops::PutFunctionConcurrency, _>(functions)
        .on::<ops::GetFunctionConcurrency, _>(functions)
        .on::<ops::DeleteFunctionConcurrency, _>(functions)
        .on::<ops::CreateFunctionUrlConfig, _>(functions)
        .on::<ops::GetFunctionUrlConfig, _>(functions)
        .on::<ops::UpdateFunctionUrlConfig, _>(functions)
        .on::<ops::DeleteFunctionUrlConfig, _>(functions)
        .on::<ops::ListFunctionUrlConfigs, _>(functions)
        .on::<ops::AddPermission, _>(functions)
        .on::<ops::RemovePermission, _>(functions)
        .on::<ops::GetPolicy, _>(functions)
        .on::<ops::GetAccountSettings, _>(functions)
        .on::<ops::PutFunctionEventInvokeConfig, _>(functions)
        .on::<ops::UpdateFunctionEventInvokeConfig, _>(functions)
        .on::<ops::GetFunctionEventInvokeConfig, _>(functions)
        .on::<ops::DeleteFunctionEventInvokeConfig, _>(functions)
        .on::<ops::ListFunctionEventInvokeConfigs, _>(functions)
        .on::<ops::CreateEventSourceMapping, _>(functions)
        .on::<ops::GetEventSourceMapping, _>(functions)
        .on::<ops::UpdateEventSourceMapping, _>(functions)
        .on::<ops::DeleteEventSourceMapping, _>(functions)
        .on::<ops::ListEventSourceMappings, _>(functions)
        .on::<ops::PublishLayerVersion, _>(functions)
        .on::<ops::GetLayerVersion, _>(functions)
        .on::<ops::GetLayerVersionByArn, _>(functions)
        .on::<ops::DeleteLayerVersion, _>(functions)
        .on::<ops::ListLayers, _>(functions)
        .on::<ops::ListLayerVersions, _>(functions)
        .on::<ops::AddLayerVersionPermission, _>(functions)
        .on::<ops::RemoveLayerVersionPermission, _>(functions)
        .on::<ops::GetLayerVersionPolicy, _>(functions)
}

/// The text of a required member. The door has checked that it is there.
fn required(member: Option<String>, name: &str) -> Result<String, Fault> {
    member.ok_or_else(|| Fault::validation(format!("{name} is required")))
}

/// Refuses members that AWS knows and this room does not, by name: nothing is accepted and ignored.
fn refuse(operation: &str, members: &[(&str, bool)]) -> Result<(), Fault> {
    match members.iter().find(|(_, given)| *given) {
        Some((member, _)) => Err(Fault::not_implemented(format_args!("{operation}.{member}"))),
        None => Ok(()),
    }
}

/// Whether a list was given with something in it.
fn some_of<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

/// Whether a text was given and is not empty.
fn some_text(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

/// The function and version a caller named.
fn found(functions: &Functions, context: &Context, text: &str, qualifier: Option<&str>) -> Result<Found, Fault> {
    functions.find(name::resolve(context.account, &context.region, text, qualifier)?)
}

/// A whole function, named without version or alias.
fn whole(functions: &Functions, context: &Context, text: &str) -> Result<(Address, Function), Fault> {
    let address = name::resolve_whole(context.account, &context.region, text)?;
    let function = functions.state.get(&address)?.ok_or_else(|| crate::faults::no_function(&address.arn()))?;
    Ok((address, function))
}

/// Changes a function that must be there.
async fn alter<T, F>(functions: &Functions, address: &Address, mut change: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnMut(&mut Function) -> Result<T, Fault> + Send + 'static,
{
    let arn = address.arn();
    let run = move |found: Option<Function>| {
        let mut function = found.ok_or_else(|| crate::faults::no_function(&arn))?;
        let value = change(&mut function)?;
        Ok((Some(function), value))
    };
    functions.state.alter(address, run).await
}

/// A revision that nobody has seen yet.
fn new_revision(functions: &Functions) -> String {
    RequestId::new(&*functions.options.rng).to_string()
}
