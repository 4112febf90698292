//! The platform's own small answers: health, the paths local-cloud users already ask, test controls.

use std::fmt::Write as _;

use http::Method;
use serde_json::{Value, json};

use crate::Gateway;
use crate::arrival::Arrival;
use crate::respond::{self, Response};

/// How the walls stand on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walls {
    /// How many walls hold.
    pub holds: u32,
    /// Of how many.
    pub of: u32,
    /// Whether the platform was told to run without walls.
    pub weak: bool,
}

/// Which answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// Whether the platform runs, and with which walls.
    Health,
    /// Health in the form scripts for local clouds read.
    LocalHealth,
    /// All stages of start, in the form scripts for local clouds read.
    LocalInit,
    /// One stage of start.
    LocalStage,
    /// The product clock.
    Clock,
    /// Counters.
    Metrics,
    /// The certificate of the local authority.
    Authority,
}

impl Page {
    /// The page at a path, if there is one.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/_lambent/health" => Some(Self::Health),
            "/_localstack/health" | "/health" => Some(Self::LocalHealth),
            "/_localstack/init" => Some(Self::LocalInit),
            "/_localstack/init/boot" | "/_localstack/init/start" | "/_localstack/init/ready" => Some(Self::LocalStage),
            "/_lambent/test/clock" => Some(Self::Clock),
            "/_lambent/metrics" => Some(Self::Metrics),
            "/_lambent/ca.pem" => Some(Self::Authority),
            _ => None,
        }
    }

    /// Whether it tells what callers do: nothing that a function may read.
    pub(crate) fn is_private(self) -> bool {
        self == Self::Metrics
    }

    /// Whether it changes the platform for a test.
    pub(crate) fn is_control(self) -> bool {
        self == Self::Clock
    }
}

impl Gateway {
    pub(crate) async fn platform(&self, page: Page, arrival: &Arrival<'_>) -> Response {
        if page.is_control() {
            return self.clock(arrival).await;
        }
        if !matches!(arrival.request.method, Method::GET | Method::HEAD) {
            return respond::plain(405, "this path answers GET and HEAD");
        }
        match page {
            Page::Health => respond::json(200, &self.health()),
            Page::LocalHealth => respond::json_text(200, self.local_health()),
            Page::LocalInit => {
                let stages = json!({"BOOT": true, "START": true, "READY": true, "SHUTDOWN": false});
                respond::json(200, &json!({"completed": stages, "scripts": []}))
            }
            Page::Metrics => self.metrics(arrival),
            Page::Authority => self.authority().await,
            Page::LocalStage | Page::Clock => respond::json(200, &json!({"completed": true, "scripts": []})),
        }
    }

    fn health(&self) -> Value {
        let Walls { holds, of, weak } = (self.options.walls)();
        let services: serde_json::Map<_, _> =
            self.options.services.iter().map(|service| (service.name.to_owned(), json!("running"))).collect();
        json!({
            "status": "running",
            "version": env!("CARGO_PKG_VERSION"),
            "services": services,
            "walls": {"holds": holds, "of": of, "weak": weak},
        })
    }

    async fn authority(&self) -> Response {
        let Some(tls) = &self.options.tls else { return respond::plain(404, "there is no TLS here") };
        match tls.authority().await {
            Ok(Some(certificate)) => respond::certificate(certificate),
            Ok(None) => respond::plain(404, "the certificate shown here is the operator's own"),
            Err(error) => respond::plain(500, &error.to_string()),
        }
    }

    /// Counters of all accounts together, for a root whom the APIs would believe.
    fn metrics(&self, arrival: &Arrival<'_>) -> Response {
        match self.authenticate(arrival) {
            Ok(caller) if matches!(caller.principal, base::Principal::Root { .. }) => {
                respond::text((self.options.metrics)())
            }
            Ok(_) => respond::plain(403, "the counters are for the account's root"),
            Err(fault) => respond::plain(fault.status, &fault.message),
        }
    }

    /// Scripts search this text for `"lambda": "available"`, blank included, so it is printed by hand.
    fn local_health(&self) -> String {
        let mut text = String::from("{\"services\": {");
        for (index, service) in self.options.services.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            // Writing to a String cannot fail; service names hold no character that JSON escapes.
            let _ = write!(text, "{comma}\"{}\": \"available\"", service.name);
        }
        let _ = write!(text, "}}, \"edition\": \"community\", \"version\": \"{}\"}}", env!("CARGO_PKG_VERSION"));
        text
    }
}
