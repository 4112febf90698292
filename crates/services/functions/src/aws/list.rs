//! ListFunctions and ListVersionsByFunction.

use std::sync::Arc;

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};

use super::describe::{Detail, configuration};
use super::{refuse, required, some_text, whole};
use crate::name::LATEST;
use crate::{Functions, faults};

/// Most functions of one page. Source: AWS Lambda API reference, `ListFunctions`.
const PAGE: i64 = 50;

/// The name after which a page begins, from the marker the page before gave.
pub(super) fn after(marker: Option<&str>) -> Result<Option<String>, Fault> {
    let Some(marker) = marker.filter(|marker| !marker.is_empty()) else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(marker).ok();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    name.map(Some).ok_or_else(|| faults::invalid("Invalid value for Marker."))
}

/// The marker of the page after `name`.
pub(super) fn marker(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

impl Handle<ops::ListFunctions> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListFunctionsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListFunctionsResponse>, Fault> {
        refuse("ListFunctions", &[("MasterRegion", some_text(input.master_region.as_ref()))])?;
        let qualifier = input.function_version.as_ref().map(|_| LATEST);
        let wanted = usize::try_from(input.max_items.unwrap_or(PAGE).clamp(1, PAGE)).expect("it is 1..=50");
        let after = after(input.marker.as_deref())?;
        // One more than wanted shows whether there is another page.
        let mut found = self.state.list(context.account, &context.region, after.as_deref(), wanted + 1)?;
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next_marker = found.last().filter(|_| more).map(|(address, _)| marker(&address.name));
        let describe = |(address, function): &(crate::Address, crate::types::Function)| {
            configuration(address, qualifier, function, Detail::Listed)
        };
        Ok(aws::ListFunctionsResponse { next_marker, functions: Some(found.iter().map(describe).collect()) }.into())
    }
}

impl Handle<ops::ListVersionsByFunction> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListVersionsByFunctionRequest,
        _: Body,
    ) -> Result<Answer<aws::ListVersionsByFunctionResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let (address, function) = whole(&self, &context, &text)?;
        let first_page = after(input.marker.as_deref())?.is_none();
        let latest = configuration(&address, Some(LATEST), &function, Detail::Listed);
        let versions = if first_page { vec![latest] } else { Vec::new() };
        Ok(aws::ListVersionsByFunctionResponse { next_marker: None, versions: Some(versions) }.into())
    }
}
