//! The web page of the platform: what runs, what it cost, and a photo to try it with.
//!
//! What: one embedded HTML file and the few JSON answers it asks for. Why: a first visitor must see a cold start, a warm
//! one and the scale back to zero without reading anything. Never: no state, no rule, no way around the APIs: what it
//! shows it asks through the door, as whoever looks at it.
//!
//! The gateway serves these paths only to whom the APIs would believe: on loopback, at our own host name, to our own page.

#![deny(missing_docs)]

mod ask;
mod live;
mod page;

use std::sync::Arc;

use base::{BoxFuture, Clocks, Principal, Rng};
use door::{Body, Dispatch, Site, SiteRequest, SiteResponse};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::sync::watch;

pub use live::Live;

/// What the console is made of.
pub struct Options {
    /// Through which it asks.
    pub dispatch: Arc<dyn Dispatch>,
    /// The services it may ask.
    pub services: &'static [&'static wire::Service],
    /// The product clock says which log lines are recent.
    pub clocks: Arc<dyn Clocks>,
    /// Request ids and the page's nonce come from it.
    pub rng: Arc<dyn Rng>,
    /// The live environments now, of every function that has any.
    pub live: Arc<dyn Fn() -> Vec<Live> + Send + Sync>,
    /// Changes whenever an environment begins or ends.
    pub changes: watch::Receiver<usize>,
    /// How long an idle environment is kept, ms: the page says so beside its count.
    pub keep_alive_ms: u64,
}

/// The web page.
pub struct Console {
    options: Options,
}

impl Console {
    /// The page over these parts.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    async fn answer(&self, request: SiteRequest) -> SiteResponse {
        if request.principal == Principal::Anonymous {
            return json_answer(403, &json!({"message": "sign in is needed to see this page from here"}));
        }
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return json_answer(405, &json!({"message": "this page only shows; changes go through the AWS APIs"}));
        }
        match request.path.as_str() {
            "/" | "/_lambent/console" | "/_lambent/console/" => page::answer(&*self.options.rng),
            "/_lambent/console/live" => live::answer(&self.options, &request),
            "/_lambent/console/functions" => self.shown(ask::functions(&self.options, &request).await),
            "/_lambent/console/logs" => self.shown(ask::logs(&self.options, &request).await),
            _ => json_answer(404, &json!({"message": "there is no such page"})),
        }
    }

    fn shown(&self, answer: Result<Value, base::Fault>) -> SiteResponse {
        match answer {
            Ok(value) => json_answer(200, &value),
            Err(fault) => json_answer(fault.status, &json!({"message": fault.message, "code": fault.code})),
        }
    }
}

impl Site for Console {
    fn claims(&self, _host: &str, path: &str) -> bool {
        path == "/" || path == "/_lambent/console" || path.starts_with("/_lambent/console/")
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        Box::pin(self.answer(request))
    }
}

/// An answer nobody keeps and nobody reads as anything else than it is.
fn answer(status: u16, content_type: &'static str, body: Body) -> SiteResponse {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    SiteResponse { status, headers, body }
}

fn json_answer(status: u16, value: &Value) -> SiteResponse {
    answer(status, "application/json", Body::Bytes(value.to_string().into()))
}
