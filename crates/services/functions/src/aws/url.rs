//! The configuration of function URLs.

use std::sync::Arc;

use base::{Fault, Rng, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::{alter, refuse, required};
use crate::name::{self, Address};
use crate::types::{Cors, Function, Url, UrlAuth};
use crate::{Functions, faults, rules};

/// Length of the id, as on AWS.
const ID_LENGTH: usize = 32;

fn none_there() -> Fault {
    faults::not_found("The resource you requested does not exist.")
}

/// The function whose URL is meant. URLs of aliases come with aliases.
fn address(context: &Context, text: Option<String>, qualifier: Option<&str>) -> Result<Address, Fault> {
    let text = required(text, "FunctionName")?;
    let named = name::resolve(context.account, &context.region, &text, qualifier)?;
    match named.qualifier {
        None => Ok(named.address),
        Some(qualifier) => {
            Err(faults::not_found(format!("Cannot find alias arn: {}", named.address.qualified(Some(&qualifier)))))
        }
    }
}

fn streaming(operation: &str, mode: Option<&str>) -> Result<(), Fault> {
    refuse(operation, &[("InvokeMode=RESPONSE_STREAM", mode == Some("RESPONSE_STREAM"))])
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
    fn told(&self, context: &Context, address: &Address, url: &Url) -> Told {
        Told {
            function_url: Some(self.function_url(context.host.as_deref(), &address.region, &url.id)),
            function_arn: Some(address.arn()),
            auth_type: Some(url.auth.as_str().to_owned()),
            cors: url.cors.as_ref().map(aws_cors),
            creation_time: Some(rules::date_z(Timestamp(url.created_ms))),
            last_modified_time: Some(rules::date_z(Timestamp(url.modified_ms))),
            invoke_mode: Some("BUFFERED".to_owned()),
        }
    }

    fn url_of(&self, address: &Address) -> Result<(Function, Url), Fault> {
        let function = self.state.get(address)?.ok_or_else(none_there)?;
        let url = function.url.clone().ok_or_else(none_there)?;
        Ok((function, url))
    }
}

impl Handle<ops::CreateFunctionUrlConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateFunctionUrlConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateFunctionUrlConfigResponse>, Fault> {
        streaming("CreateFunctionUrlConfig", input.invoke_mode.as_deref())?;
        let address = address(&context, input.function_name, input.qualifier.as_deref())?;
        self.state.get(&address)?.ok_or_else(|| faults::not_found("Function does not exist"))?;
        let now = self.options.clocks.product().0;
        let url = Url {
            id: new_id(&*self.options.rng),
            auth: auth(&required(input.auth_type, "AuthType")?),
            cors: input.cors.map(cors),
            created_ms: now,
            modified_ms: now,
        };
        let (made, arn) = (url.clone(), address.arn());
        alter(&self, &address, move |function| {
            if function.url.is_some() {
                return Err(faults::conflict(format!(
                    "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig \
                     exists for this Lambda function"
                )));
            }
            function.url = Some(made.clone());
            Ok(())
        })
        .await?;
        self.targets.forget(&address);
        let told = self.told(&context, &address, &url);
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
        let address = address(&context, input.function_name, input.qualifier.as_deref())?;
        let (_, url) = self.url_of(&address)?;
        let told = self.told(&context, &address, &url);
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
        streaming("UpdateFunctionUrlConfig", input.invoke_mode.as_deref())?;
        let address = address(&context, input.function_name, input.qualifier.as_deref())?;
        let (new_auth, new_cors) = (input.auth_type.as_deref().map(auth), input.cors.map(cors));
        let now = self.options.clocks.product().0;
        let url = alter(&self, &address, move |function| {
            let url = function.url.as_mut().ok_or_else(none_there)?;
            url.auth = new_auth.unwrap_or(url.auth);
            if new_cors.is_some() {
                url.cors.clone_from(&new_cors);
            }
            url.modified_ms = now;
            Ok(url.clone())
        })
        .await?;
        self.targets.forget(&address);
        let told = self.told(&context, &address, &url);
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
        let address = address(&context, input.function_name, input.qualifier.as_deref())?;
        self.url_of(&address)?;
        alter(&self, &address, |function| function.url.take().map(|_| ()).ok_or_else(none_there)).await?;
        self.targets.forget(&address);
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
        let address = address(&context, input.function_name, None)?;
        let function = self.state.get(&address)?.ok_or_else(|| faults::no_function(&address.arn()))?;
        let first_page = super::list::after(input.marker.as_deref())?.is_none();
        let urls = function.url.iter().filter(|_| first_page).map(|url| {
            let told = self.told(&context, &address, url);
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
        Ok(aws::ListFunctionUrlConfigsResponse { function_url_configs, next_marker: None }.into())
    }
}
