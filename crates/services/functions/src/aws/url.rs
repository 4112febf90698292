//! The configuration of function URLs.

use std::sync::Arc;

use base::{Fault, Rng, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::list::{after, marker, page_size};
use super::{required, whole};
use crate::family::{Family, Step, Wanted};
use crate::name::{self, Named, Qualifier, qualifier};
use crate::types::{Cors, Url, UrlAuth};
use crate::{Functions, faults, rules};

/// Length of the id, as on AWS.
const ID_LENGTH: usize = 32;
/// Stands in a marker for the function's own URL; every alias comes after it.
const NO_ALIAS: &str = "!";

fn none_there() -> Fault {
    faults::not_found("The resource you requested does not exist.")
}

/// The function or alias whose URL is meant.
fn owner(context: &Context, text: Option<String>, named: Option<&str>) -> Result<Named, Fault> {
    let text = required(text, "FunctionName")?;
    let named = name::resolve(context.account, &context.region, &text, named)?;
    match (named.qualifier.as_deref(), qualifier(named.qualifier.as_deref())) {
        (None, _) | (_, Qualifier::Alias(_)) => Ok(named),
        (Some(other), _) => {
            let must = "satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)";
            Err(faults::constraint(other, "qualifier", must))
        }
    }
}

/// The URL of a function or of one of its aliases, to be changed.
fn place<'a>(family: &'a mut Family, named: &Named) -> Option<&'a mut Option<Url>> {
    match &named.qualifier {
        None => family.function.as_mut().map(|function| &mut function.url),
        Some(alias) => family.aliases.get_mut(alias).map(|alias| &mut alias.url),
    }
}

/// Whether a mode is the one that streams.
fn streams(mode: &str) -> bool {
    mode == "RESPONSE_STREAM"
}

fn auth(text: &str) -> UrlAuth {
    if text == "AWS_IAM" { UrlAuth::Iam } else { UrlAuth::None }
}

fn cors(cors: aws::Cors) -> Cors {
    Cors {
        allow_credentials: cors.allow_credentials,
        allow_headers: cors.allow_headers,
        allow_methods: cors.allow_methods,
        allow_origins: cors.allow_origins,
        expose_headers: cors.expose_headers,
        max_age_s: cors.max_age,
    }
}

fn aws_cors(cors: &Cors) -> aws::Cors {
    aws::Cors {
        allow_credentials: cors.allow_credentials,
        allow_headers: cors.allow_headers.clone(),
        allow_methods: cors.allow_methods.clone(),
        allow_origins: cors.allow_origins.clone(),
        expose_headers: cors.expose_headers.clone(),
        max_age: cors.max_age_s,
    }
}

/// A fresh id: lower-case letters and digits.
fn new_id(rng: &dyn Rng) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut raw = [0; ID_LENGTH];
    rng.fill(&mut raw);
    raw.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// What every answer about a URL tells.
struct Told {
    function_url: Option<String>,
    function_arn: Option<String>,
    auth_type: Option<String>,
    cors: Option<aws::Cors>,
    creation_time: Option<String>,
    last_modified_time: Option<String>,
    invoke_mode: Option<String>,
}

impl Functions {
    fn told(&self, context: &Context, named: &Named, url: &Url) -> Told {
        Told {
            function_url: Some(self.function_url(context.host.as_deref(), &named.address.region, &url.id)),
            function_arn: Some(named.address.qualified(named.qualifier.as_deref())),
            auth_type: Some(url.auth.as_str().to_owned()),
            cors: url.cors.as_ref().map(aws_cors),
            creation_time: Some(rules::date_z(Timestamp(url.created_ms))),
            last_modified_time: Some(rules::date_z(Timestamp(url.modified_ms))),
            invoke_mode: Some(if url.streams { "RESPONSE_STREAM" } else { "BUFFERED" }.to_owned()),
        }
    }

    fn url_of(&self, named: &Named) -> Result<Url, Fault> {
        let url = match &named.qualifier {
            None => self.state.get(&named.address)?.and_then(|function| function.url),
            Some(alias) => self.state.alias(&named.address, alias)?.and_then(|alias| alias.url),
        };
        url.ok_or_else(none_there)
    }

    /// Changes the URL of a function or of an alias; `missing` says in AWS's words that there is neither.
    async fn alter_url<T: Send + 'static>(
        &self,
        named: &Named,
        missing: fn() -> Fault,
        mut change: impl FnMut(&mut Option<Url>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let meant = named.clone();
        let alter = move |family: &mut Family| {
            let url = place(family, &meant).ok_or_else(missing)?;
            change(url).map(Step::Done)
        };
        let wanted = Wanted::of(named.qualifier.as_deref());
        let changed = self.state.alter_family(&named.address, wanted, alter).await?;
        self.targets.forget(&named.address);
        Ok(changed)
    }
}

impl Handle<ops::CreateFunctionUrlConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateFunctionUrlConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateFunctionUrlConfigResponse>, Fault> {
        let named = owner(&context, input.function_name, input.qualifier.as_deref())?;
        let now = self.options.clocks.product().0;
        let url = Url {
            id: new_id(&*self.options.rng),
            auth: auth(&required(input.auth_type, "AuthType")?),
            cors: input.cors.map(cors),
            streams: input.invoke_mode.as_deref().is_some_and(streams),
            created_ms: now,
            modified_ms: now,
        };
        let (made, arn) = (url.clone(), named.address.qualified(named.qualifier.as_deref()));
        let missing = || faults::not_found("Function does not exist");
        self.alter_url(&named, missing, move |url| {
            if url.is_some() {
                return Err(faults::conflict(format!(
                    "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig \
                     exists for this Lambda function"
                )));
            }
            *url = Some(made.clone());
            Ok(())
        })
        .await?;
        let told = self.told(&context, &named, &url);
        let answer = aws::CreateFunctionUrlConfigResponse {
            function_url: told.function_url,
            function_arn: told.function_arn,
            auth_type: told.auth_type,
            cors: told.cors,
            creation_time: told.creation_time,
            invoke_mode: told.invoke_mode,
        };
        Ok(answer.into())
    }
}

impl Handle<ops::GetFunctionUrlConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetFunctionUrlConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::GetFunctionUrlConfigResponse>, Fault> {
        let named = owner(&context, input.function_name, input.qualifier.as_deref())?;
        let url = self.url_of(&named)?;
        let told = self.told(&context, &named, &url);
        let answer = aws::GetFunctionUrlConfigResponse {
            function_url: told.function_url,
            function_arn: told.function_arn,
            auth_type: told.auth_type,
            cors: told.cors,
            creation_time: told.creation_time,
            last_modified_time: told.last_modified_time,
            invoke_mode: told.invoke_mode,
        };
        Ok(answer.into())
    }
}

impl Handle<ops::UpdateFunctionUrlConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateFunctionUrlConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::UpdateFunctionUrlConfigResponse>, Fault> {
        let named = owner(&context, input.function_name, input.qualifier.as_deref())?;
        let (new_auth, new_cors) = (input.auth_type.as_deref().map(auth), input.cors.map(cors));
        let new_mode = input.invoke_mode.as_deref().map(streams);
        let now = self.options.clocks.product().0;
        let change = move |url: &mut Option<Url>| {
            let url = url.as_mut().ok_or_else(none_there)?;
            url.auth = new_auth.unwrap_or(url.auth);
            if new_cors.is_some() {
                url.cors.clone_from(&new_cors);
            }
            url.streams = new_mode.unwrap_or(url.streams);
            url.modified_ms = now;
            Ok(url.clone())
        };
        let url = self.alter_url(&named, none_there, change).await?;
        let told = self.told(&context, &named, &url);
        let answer = aws::UpdateFunctionUrlConfigResponse {
            function_url: told.function_url,
            function_arn: told.function_arn,
            auth_type: told.auth_type,
            cors: told.cors,
            creation_time: told.creation_time,
            last_modified_time: told.last_modified_time,
            invoke_mode: told.invoke_mode,
        };
        Ok(answer.into())
    }
}

impl Handle<ops::DeleteFunctionUrlConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteFunctionUrlConfigRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let named = owner(&context, input.function_name, input.qualifier.as_deref())?;
        self.alter_url(&named, none_there, |url| url.take().map(|_| ()).ok_or_else(none_there)).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListFunctionUrlConfigs> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListFunctionUrlConfigsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListFunctionUrlConfigsResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let (address, function) = whole(&self, &context, &text)?;
        let wanted = page_size(input.max_items);
        let mut from = after(input.marker.as_deref())?;
        // The function's own URL comes first, under no alias's name.
        let own = function.url.filter(|_| from.is_none()).map(|url| (None, url));
        let mut urls: Vec<(Option<String>, Url)> = own.into_iter().collect();
        while function.changes > 0 && urls.len() <= wanted {
            let page = self.state.aliases(&address, from.as_deref(), wanted + 1)?;
            let last = page.len() <= wanted;
            from = page.last().map(|(name, _)| name.clone());
            urls.extend(page.into_iter().filter_map(|(name, alias)| Some((Some(name), alias.url?))));
            if last {
                break;
            }
        }
        let more = urls.len() > wanted;
        urls.truncate(wanted);
        let last = urls.last().filter(|_| more);
        let next_marker = last.map(|(alias, _)| marker(alias.as_deref().unwrap_or(NO_ALIAS)));
        let urls = urls.into_iter().map(|(qualifier, url)| {
            let told = self.told(&context, &Named { address: address.clone(), qualifier }, &url);
            aws::FunctionUrlConfig {
                function_url: told.function_url,
                function_arn: told.function_arn,
                creation_time: told.creation_time,
                last_modified_time: told.last_modified_time,
                cors: told.cors,
                auth_type: told.auth_type,
                invoke_mode: told.invoke_mode,
            }
        });
        let function_url_configs = Some(urls.collect());
        Ok(aws::ListFunctionUrlConfigsResponse { function_url_configs, next_marker }.into())
    }
}
