//! `lambent events`: deliveries between services that failed too often.

use anyhow::bail;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::Client;

/// Lists what is parked.
pub(crate) async fn stuck(client: &Client) -> anyhow::Result<()> {
    let answer = client.signed("events", "GET", "/_lambent/events/stuck", &[], Bytes::new()).await?.json()?;
    let events = answer["events"].as_array().cloned().unwrap_or_default();
    if events.is_empty() {
        println!("nothing is stuck");
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["ID", "TARGET", "PATH", "TRIED", "LAST ERROR"]);
    for event in &events {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        table.add_row([text("id"), text("target"), text("path"), event["attempts"].to_string(), text("lastError")]);
    }
    println!("{table}");
    Ok(())
}

/// Delivers one again, or all.
pub(crate) async fn replay(client: &Client, id: Option<&str>, all: bool) -> anyhow::Result<()> {
    let body: Value = match (id, all) {
        (Some(id), false) => json!({ "id": id }),
        (None, true) => json!({ "all": true }),
        _ => bail!("name one event, or say --all"),
    };
    let headers = [("content-type", "application/json")];
    let body = Bytes::from(body.to_string());
    let answer = client.signed("events", "POST", "/_lambent/events/replay", &headers, body).await?.json()?;
    println!("{} on their way again", answer["replayed"].as_array().map_or(0, Vec::len));
    Ok(())
}
