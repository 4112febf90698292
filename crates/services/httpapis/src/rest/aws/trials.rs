//! TestInvokeMethod, TestInvokeAuthorizer: requests to an API as it is now.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use model::apigateway::{self as aws, ops};
use serde_json::Value;

use super::At;
use crate::rest::serve::Given;
use crate::rest::{RestApis, faults};
use crate::rules::check;

type Many = BTreeMap<String, Vec<String>>;

/// What an input says of a request's headers: where a name has many values they go before the one.
fn headers(one: Option<BTreeMap<String, String>>, many: Option<Many>) -> Result<HeaderMap, Fault> {
    let mut all: Many = one.unwrap_or_default().into_iter().map(|(name, value)| (name, vec![value])).collect();
    for (name, values) in many.unwrap_or_default() {
        all.retain(|other, _| !other.eq_ignore_ascii_case(&name));
        all.insert(name, values);
    }
    let mut headers = HeaderMap::new();
    for (name, values) in all {
        let wrong = || faults::bad(format!("Invalid header specified: {name}"));
        for value in values {
            let value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
            headers.append(name.parse::<HeaderName>().map_err(|_| wrong())?, value);
        }
    }
    Ok(headers)
}

fn variables(given: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, Fault> {
    let variables = given.unwrap_or_default();
    check::variables(&variables)?;
    Ok(variables)
}

/// A test comes from nowhere.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Handle<ops::TestInvokeMethod> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::TestInvokeMethodRequest,
        _: Body,
    ) -> Result<Answer<aws::TestInvokeMethodResponse>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let live = self.of_resource(context.account, &context.region, input.rest_api_id.as_deref())?;
        live.api.method(&at)?;
        faults::refuse("TestInvokeMethod", &[("clientCertificateId", input.client_certificate_id.is_some())])?;
        // Whatever the method takes, it takes GET.
        let verb = if at.method == "ANY" { "GET" } else { &*at.method };
        let given = Given {
            method: verb.parse().map_err(|_| faults::no_method())?,
            path: input.path_with_query_string.filter(|path| !path.is_empty()),
            headers: headers(input.headers, input.multi_value_headers)?,
            body: input.body.unwrap_or_default().into(),
            variables: variables(input.stage_variables)?,
            peer: PEER,
        };
        let asked = self.try_method(&live, &at.resource, &at.method, given).await;
        let asked = asked.ok_or_else(|| faults::bad("No integration defined for method"))?;
        let response = asked.outcome;
        let mut many = Many::new();
        for (name, value) in &response.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            many.entry(name.as_str().to_owned()).or_default().push(value);
        }
        let last = many.iter().filter_map(|(name, values)| Some((name.clone(), values.last()?.clone())));
        Ok(aws::TestInvokeMethodResponse {
            status: Some(response.status.into()),
            body: Some(match response.body {
                Body::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Body::Empty | Body::Stream(_) => String::new(),
            }),
            headers: Some(last.collect()),
            multi_value_headers: Some(many),
            log: Some(asked.log),
            latency: i64::try_from(asked.took.as_millis()).ok(),
        }
        .into())
    }
}

impl Handle<ops::TestInvokeAuthorizer> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::TestInvokeAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<aws::TestInvokeAuthorizerResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let id = input.authorizer_id.unwrap_or_default();
        let authorizer = live.api.authorizers.get(&id).ok_or_else(faults::no_authorizer)?;
        let more = input.additional_context.is_some_and(|more| !more.is_empty());
        faults::refuse("TestInvokeAuthorizer", &[("additionalContext", more)])?;
        let given = Given {
            method: http::Method::GET,
            path: input.path_with_query_string.filter(|path| !path.is_empty()),
            headers: headers(input.headers, input.multi_value_headers)?,
            body: input.body.unwrap_or_default().into(),
            variables: variables(input.stage_variables)?,
            peer: PEER,
        };
        let asked = self.try_authorizer(&live, (&id, authorizer), given).await;
        let said = asked.outcome.as_ref().ok();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(aws::TestInvokeAuthorizerResponse {
            // None of a client that would have been asked further.
            client_status: Some(asked.outcome.as_ref().err().copied().unwrap_or_default().into()),
            log: Some(asked.log),
            latency: i64::try_from(asked.took.as_millis()).ok(),
            principal_id: said.and_then(|said| said.get("principalId")).map(text),
            policy: said.and_then(|said| said.get("policyDocument")).map(text),
            authorization: Some(BTreeMap::new()),
            claims: None,
        }
        .into())
    }
}
