//! Takes messages from an SQS queue in batches. Only what failed comes again: the event source mapping must have
//! `ReportBatchItemFailures` among its function response types.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

async fn batch(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let mut failures = Vec::new();
    for record in event.payload["Records"].as_array().into_iter().flatten() {
        if let Err(error) = work(record["body"].as_str().unwrap_or_default()) {
            println!("message {} failed: {error}", record["messageId"]);
            failures.push(json!({ "itemIdentifier": record["messageId"] }));
        }
    }
    Ok(json!({ "batchItemFailures": failures }))
}

/// A message may come more than once: doing it again must do no harm.
fn work(body: &str) -> Result<(), Error> {
    let order: Value = serde_json::from_str(body)?;
    println!("order {} over {}", order["order"], order["amount"]);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(batch)).await
}
