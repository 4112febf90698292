//! Answers HTTP requests: a function URL or API Gateway sends them (payload format 2.0).

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

async fn answer(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let request = event.payload;
    let method = request["requestContext"]["http"]["method"].as_str().unwrap_or_default();
    let path = request["rawPath"].as_str().unwrap_or_default();
    let (status, body) = match (method, path) {
        ("GET", "/") => {
            let name = request["queryStringParameters"]["name"].as_str().unwrap_or("world");
            (200, json!({ "hello": name }))
        }
        _ => (404, json!({ "error": format!("there is no {method} {path}") })),
    };
    Ok(json!({
        "statusCode": status,
        "headers": { "content-type": "application/json" },
        "body": body.to_string(),
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(answer)).await
}
