//! ListFunctions and ListVersionsByFunction.

use std::sync::Arc;

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};

use super::describe::{Detail, configuration};
use super::{refuse, required, some_text, whole};
use crate::name::Address;
use crate::types::{Edition, Function};
use crate::{Functions, faults};

/// Most entries of one page, whatever was asked for. Source: AWS Lambda API reference, `ListFunctions`.
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

/// How many entries a page has.
pub(super) fn page_size(wanted: Option<i64>) -> usize {
    usize::try_from(wanted.unwrap_or(PAGE).clamp(1, PAGE)).expect("it is 1..=50")
}

/// The version after which a page begins: a function's name, and the number of its last version that was shown.
fn after_version(marker: Option<&str>) -> Result<Option<(String, u64)>, Fault> {
    let Some(text) = after(marker)? else { return Ok(None) };
    let parts = text.split_once(':').and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
    parts.map(Some).ok_or_else(|| faults::invalid("Invalid value for Marker."))
}

impl Functions {
    /// At most `limit` versions of a function, `$LATEST` first, after the number `after`; with each its number, 0 for
    /// `$LATEST`.
    fn versions_of(
        &self,
        (address, function): &(Address, Function),
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, aws::FunctionConfiguration)>, Fault> {
        let told = |number: u64, edition: &Edition<'_>| {
            (number, configuration(address, Some(&edition.version), edition, Detail::Listed))
        };
        let mut found = Vec::new();
        if after.is_none() {
            found.push(told(0, &function.latest()));
        }
        // A function that never had a version is known by its own row.
        if function.changes > 0 && found.len() < limit {
            let versions = self.state.versions(address, after.unwrap_or_default(), limit - found.len())?;
            found.extend(versions.iter().map(|(number, version)| told(*number, &version.edition(*number))));
        }
        Ok(found)
    }

    /// One page of all versions of all functions.
    fn every_version(&self, context: &Context, marker_given: Option<&str>, wanted: usize) -> Listed {
        let (account, region) = (context.account, &context.region);
        let mut from = after_version(marker_given)?;
        let mut found: Vec<(String, aws::FunctionConfiguration)> = Vec::new();
        let mut next: Option<(Address, Function)> = match &from {
            Some((name, _)) => {
                let address = Address { account, region: region.clone(), name: name.clone() };
                self.state.get(&address)?.map(|function| (address, function))
            }
            None => self.state.list(account, region, None, 1)?.pop(),
        };
        // The marker's function may be gone by now.
        if next.is_none()
            && let Some((name, _)) = from.take()
        {
            next = self.state.list(account, region, Some(&name), 1)?.pop();
        }
        while let Some(one) = next {
            let after = from.take().map(|(_, number)| number);
            let versions = self.versions_of(&one, after, wanted + 1 - found.len())?;
            found.extend(versions.into_iter().map(|(number, told)| (format!("{}:{number}", one.0.name), told)));
            next =
                if found.len() > wanted { None } else { self.state.list(account, region, Some(&one.0.name), 1)?.pop() };
        }
        Ok(paged(found, wanted))
    }
}

/// A page's entries, and the marker of the next one if there is one.
type Listed = Result<(Vec<aws::FunctionConfiguration>, Option<String>), Fault>;

/// The page of what was found, which has one more than wanted when another page follows.
fn paged(
    mut found: Vec<(String, aws::FunctionConfiguration)>,
    wanted: usize,
) -> (Vec<aws::FunctionConfiguration>, Option<String>) {
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = found.last().filter(|_| more).map(|(place, _)| marker(place));
    (found.into_iter().map(|(_, told)| told).collect(), next)
}

impl Handle<ops::ListFunctions> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListFunctionsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListFunctionsResponse>, Fault> {
        refuse("ListFunctions", &[("MasterRegion", some_text(input.master_region.as_ref()))])?;
        let wanted = page_size(input.max_items);
        let (functions, next_marker) = if input.function_version.is_some() {
            self.every_version(&context, input.marker.as_deref(), wanted)?
        } else {
            let after = after(input.marker.as_deref())?;
            let found = self.state.list(context.account, &context.region, after.as_deref(), wanted + 1)?;
            let told = found.iter().map(|(address, function)| {
                (address.name.clone(), configuration(address, None, &function.latest(), Detail::Listed))
            });
            paged(told.collect(), wanted)
        };
        Ok(aws::ListFunctionsResponse { next_marker, functions: Some(functions) }.into())
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
        let one = whole(&self, &context, &text)?;
        let after = after_version(input.marker.as_deref())?.map(|(_, number)| number);
        let wanted = page_size(input.max_items);
        let found = self.versions_of(&one, after, wanted + 1)?;
        let found = found.into_iter().map(|(number, told)| (format!("{}:{number}", one.0.name), told));
        let (versions, next_marker) = paged(found.collect(), wanted);
        Ok(aws::ListVersionsByFunctionResponse { next_marker, versions: Some(versions) }.into())
    }
}
