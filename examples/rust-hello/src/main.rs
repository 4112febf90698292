//! A Lambda function in Rust, by the official runtime client. Deploy it with `lambent deploy examples/rust-hello`.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

async fn hello(event: LambdaEvent<Value>) -> Result<Value, Error> {
    println!("request {}", event.context.request_id);
    let name = event.payload["name"].as_str().unwrap_or("world");
    Ok(json!({ "hello": name }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(hello)).await
}
