//! An axum application, as it would run anywhere: it listens on `$PORT`.

use axum::extract::Query;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Asked {
    name: Option<String>,
}

async fn hello(Query(asked): Query<Asked>) -> String {
    format!("hello {}\n", asked.name.as_deref().unwrap_or("world"))
}

/// What is invoked without HTTP comes here.
async fn events(Json(event): Json<Value>) -> Json<Value> {
    Json(json!({ "event": event }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let app = Router::new().route("/", get(hello)).route("/events", post(events));
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", port)).await?;
    axum::serve(listener, app).await
}
