//! `lambent routes`: what answers where, and who may call it.

use std::collections::HashMap;

use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::inspect::{functions, text};
use crate::client::{AwsError, Client, function};

/// The hash of a request without a body, which S3 wants to be told.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Show only what leads to this function.
    name: Option<String>,
    /// Print each route as a line of JSON: method, url, target, who.
    #[arg(long)]
    json: bool,
}

/// One address that answers.
struct Route {
    method: String,
    url: String,
    target: String,
    who: String,
}

/// Prints the routes, by address.
pub(crate) async fn show(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let mut routes = function_urls(client).await?;
    routes.extend(served(http_apis(client).await)?);
    routes.extend(served(rest_apis(client).await)?);
    routes.extend(websites(client).await?);
    routes.extend(sources(client).await?);
    if let Some(name) = &arguments.name {
        routes.retain(|route| route.target == *name || route.target.split(':').next() == Some(name));
    }
    routes.sort_by(|one, other| (&one.url, &one.method).cmp(&(&other.url, &other.method)));
    if arguments.json {
        for Route { method, url, target, who } in &routes {
            println!("{}", json!({"method": method, "url": url, "target": target, "who": who}));
        }
        return Ok(());
    }
    if routes.is_empty() {
        match &arguments.name {
            Some(name) => println!("nothing that answers leads to {name}"),
            None => println!(
                "no routes yet: a function's URL, an HTTP API, a bucket's website or a queue's mapping makes one"
            ),
        }
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["METHOD", "URL", "TARGET", "WHO MAY CALL"]);
    for Route { method, url, target, who } in routes {
        table.add_row([method, url, target, who]);
    }
    println!("{table}");
    Ok(())
}

/// What a service answers; nothing where the platform does not have it.
fn served(routes: anyhow::Result<Vec<Route>>) -> anyhow::Result<Vec<Route>> {
    match routes {
        Err(error) if error.downcast_ref::<AwsError>().is_some_and(|error| error.code == "NotImplemented") => {
            Ok(Vec::new())
        }
        routes => routes,
    }
}

async fn function_urls(client: &Client) -> anyhow::Result<Vec<Route>> {
    let mut out = Vec::new();
    for one in functions(client).await? {
        let name = text(&one, "FunctionName");
        let mut marker = String::new();
        loop {
            let path = function("2021-10-31", &name, &format!("/urls?MaxItems=50{marker}"));
            let page = client.lambda("GET", &path, None).await?;
            for url in page["FunctionUrlConfigs"].as_array().into_iter().flatten() {
                let who = match url["AuthType"].as_str() {
                    Some("AWS_IAM") => "signed, with lambda:InvokeFunctionUrl".to_owned(),
                    _ => "anybody".to_owned(),
                };
                let target = shortened(&text(url, "FunctionArn"));
                out.push(Route {
                    method: "ANY".to_owned(),
                    url: client.reachable(&text(url, "FunctionUrl")).await,
                    target,
                    who,
                });
            }
            match page["NextMarker"].as_str().filter(|next| !next.is_empty()) {
                Some(next) => marker = format!("&Marker={}", escaped(next)),
                None => break,
            }
        }
    }
    Ok(out)
}

/// The queues and streams that lead to functions, each with its mapping's state.
async fn sources(client: &Client) -> anyhow::Result<Vec<Route>> {
    let (mut out, mut marker) = (Vec::new(), String::new());
    loop {
        let path = format!("/2015-03-31/event-source-mappings?MaxItems=100{marker}");
        let page = client.lambda("GET", &path, None).await?;
        for one in page["EventSourceMappings"].as_array().into_iter().flatten() {
            out.push(Route {
                method: "EVENT".to_owned(),
                url: text(one, "EventSourceArn"),
                target: shortened(&text(one, "FunctionArn")),
                who: format!("its messages ({})", text(one, "State").to_lowercase()),
            });
        }
        match page["NextMarker"].as_str().filter(|next| !next.is_empty()) {
            Some(next) => marker = format!("&Marker={}", escaped(next)),
            None => return Ok(out),
        }
    }
}

async fn http_apis(client: &Client) -> anyhow::Result<Vec<Route>> {
    let mut out = Vec::new();
    for api in all(client, "/v2/apis").await? {
        let below = |what: &str| format!("/v2/apis/{}/{what}", text(&api, "apiId"));
        let by_id = |rows: Vec<Value>, id: &str| -> HashMap<String, Value> {
            rows.into_iter().map(|row| (text(&row, id), row)).collect()
        };
        let targets = by_id(all(client, &below("integrations")).await?, "integrationId");
        let judges = by_id(all(client, &below("authorizers")).await?, "authorizerId");
        let (routes, stages) = (all(client, &below("routes")).await?, all(client, &below("stages")).await?);
        let endpoint = client.reachable(&text(&api, "apiEndpoint")).await;
        for stage in &stages {
            let stage = match text(stage, "stageName") {
                name if name == "$default" => String::new(),
                name => format!("/{name}"),
            };
            for route in &routes {
                let key = text(route, "routeKey");
                let (method, path) = key.split_once(' ').unwrap_or(("ANY", "/{any+}"));
                let integration = text(route, "target").trim_start_matches("integrations/").to_owned();
                let target = targets.get(&integration).map(|to| shortened(&text(to, "integrationUri")));
                out.push(Route {
                    method: method.to_owned(),
                    url: format!("{endpoint}{stage}{path}"),
                    target: target.unwrap_or_else(|| "nothing".to_owned()),
                    who: may_call(route, judges.get(&text(route, "authorizerId"))),
                });
            }
        }
    }
    Ok(out)
}

/// Who a route of an HTTP API lets in.
fn may_call(route: &Value, judge: Option<&Value>) -> String {
    let scopes: Vec<&str> =
        route["authorizationScopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match (route["authorizationType"].as_str(), judge) {
        (Some("AWS_IAM"), _) => "signed, with execute-api:Invoke".to_owned(),
        (Some("JWT"), Some(judge)) => {
            let issuer = judge["jwtConfiguration"]["issuer"].as_str().unwrap_or_default();
            let of = if scopes.is_empty() { String::new() } else { format!(" for {}", scopes.join(" or ")) };
            format!("a token of {issuer}{of}")
        }
        (Some("CUSTOM"), Some(judge)) => {
            format!("whom {} lets in", shortened(&text(judge, "authorizerUri")))
        }
        (None | Some("NONE"), _) => "anybody".to_owned(),
        (Some(other), _) => other.to_owned(),
    }
}

async fn rest_apis(client: &Client) -> anyhow::Result<Vec<Route>> {
    let mut out = Vec::new();
    for api in all(client, "/restapis").await? {
        let id = text(&api, "id");
        let stages = ask(client, &format!("/restapis/{id}/stages")).await?;
        let resources = all(client, &format!("/restapis/{id}/resources?embed=methods")).await?;
        let judges = all(client, &format!("/restapis/{id}/authorizers")).await?;
        let (host, port) = match client.endpoint.trim_start_matches("http://").rsplit_once(':') {
            Some((host, port)) if host.parse::<std::net::IpAddr>().is_err() => (host.to_owned(), format!(":{port}")),
            Some((_, port)) => ("localhost".to_owned(), format!(":{port}")),
            None => ("localhost".to_owned(), String::new()),
        };
        let endpoint = client.reachable(&format!("http://{id}.execute-api.{}.{host}{port}", client.region)).await;
        for stage in stages["item"].as_array().into_iter().flatten() {
            let stage = text(stage, "stageName");
            for resource in &resources {
                for (method, what) in resource["resourceMethods"].as_object().into_iter().flatten() {
                    let integration = &what["methodIntegration"];
                    let target = match integration["uri"].as_str() {
                        Some(uri) => shortened(uri),
                        None => text(integration, "type").to_lowercase(),
                    };
                    let judge = judges.iter().find(|judge| judge["id"] == what["authorizerId"]);
                    let who = match what["authorizationType"].as_str() {
                        Some("AWS_IAM") => "signed, with execute-api:Invoke".to_owned(),
                        Some("CUSTOM") => match judge {
                            Some(judge) => format!("whom {} lets in", shortened(&text(judge, "authorizerUri"))),
                            None => "nobody: its authorizer is gone".to_owned(),
                        },
                        Some("NONE") | None => "anybody".to_owned(),
                        Some(other) => other.to_owned(),
                    };
                    let path = text(resource, "path");
                    let url = format!("{endpoint}/{stage}{path}");
                    out.push(Route { method: method.clone(), url, target, who });
                }
            }
        }
    }
    Ok(out)
}

async fn websites(client: &Client) -> anyhow::Result<Vec<Route>> {
    let get =
        async |path: &str| client.signed("s3", "GET", path, &[("x-amz-content-sha256", NOTHING)], Bytes::new()).await;
    let list = get("/").await?;
    let body = String::from_utf8_lossy(&list.body).into_owned();
    anyhow::ensure!(list.status == 200, "ListBuckets answered {}: {body}", list.status);
    let port = client.endpoint.rsplit_once(':').map_or("80", |(_, port)| port);
    let mut out = Vec::new();
    // A bucket's name has nothing in it that XML would escape.
    for bucket in body.split("<Bucket>").skip(1).filter_map(|bucket| bucket.split("<Name>").nth(1)?.split('<').next()) {
        let answer = get(&format!("/{bucket}?website")).await?;
        let configuration = String::from_utf8_lossy(&answer.body);
        match answer.status {
            200 => {}
            403 | 404 => continue,
            status => anyhow::bail!("GetBucketWebsite of {bucket} answered {status}: {configuration}"),
        }
        out.push(Route {
            method: "GET".to_owned(),
            url: format!("http://{bucket}.s3-website.{}.localhost:{port}/", client.region),
            target: format!("s3://{bucket}"),
            who: "whom the bucket's policy lets read".to_owned(),
        });
    }
    Ok(out)
}

/// All rows of a listing of API Gateway.
async fn all(client: &Client, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut out = Vec::new();
    let mut at = path.to_owned();
    let joint = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = ask(client, &at).await?;
        // Version 1 names its rows and its next page otherwise.
        out.extend(page["items"].as_array().or(page["item"].as_array()).into_iter().flatten().cloned());
        let (name, next) = match page["nextToken"].as_str() {
            Some(next) => ("nextToken", Some(next)),
            None => ("position", page["position"].as_str()),
        };
        match next {
            Some(next) => at = format!("{path}{joint}{name}={}", escaped(next)),
            None => return Ok(out),
        }
    }
}

async fn ask(client: &Client, path: &str) -> anyhow::Result<Value> {
    client.signed("apigateway", "GET", path, &[], Bytes::new()).await?.json()
}

/// A function's name with its qualifier, of whatever names a function; else the text itself.
fn shortened(target: &str) -> String {
    let arn = target.split("/functions/").nth(1).map_or(target, |arn| arn.trim_end_matches("/invocations"));
    match arn.split_once(":function:") {
        Some((before, name)) if before.starts_with("arn:") => name.to_owned(),
        _ => target.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_shortly_however_it_is_named() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:live";
        let uri = format!("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations");
        assert_eq!((shortened(arn), shortened(&uri)), ("f:live".into(), "f:live".into()));
        assert_eq!(shortened("https://example.com/functions/x"), "https://example.com/functions/x");
    }
}
