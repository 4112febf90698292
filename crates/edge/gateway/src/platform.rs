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
    pub(crate) fn platform(&self, page: Page, arrival: &Arrival<'_>) -> Response {
        if page.is_control() {
            return self.clock(arrival);
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

    /// `POST {"pause": true}`, `{"resume": true}` or `{"advanceMs": n}`; `GET` tells the time. Answers the product clock.
    fn clock(&self, arrival: &Arrival<'_>) -> Response {
        let Some(clocks) = &self.options.test_controls else {
            return respond::plain(404, "test controls exist only when the platform is started with --test-controls");
        };
        if let Err(fault) = self.authenticate(arrival) {
            return respond::plain(fault.status, &fault.message);
        }
        match arrival.request.method {
            Method::GET | Method::HEAD => {}
            Method::POST => match Control::read(&arrival.request.body) {
                Some(Control::Pause) => clocks.pause(),
                Some(Control::Resume) => clocks.resume(),
                Some(Control::Advance { ms }) => clocks.advance(ms),
                None => {
                    return respond::plain(
                        400,
                        "expected one of {\"pause\": true}, {\"resume\": true}, {\"advanceMs\": n}",
                    );
                }
            },
            _ => return respond::plain(405, "this path answers GET and POST"),
        }
        respond::json(200, &json!({"nowMs": base::Clocks::product(&**clocks).0}))
    }
}

/// What a test asks of the product clock.
#[derive(Debug, PartialEq, Eq)]
enum Control {
    Pause,
    Resume,
    Advance { ms: u64 },
}

impl Control {
    fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return None };
        let mut members = members.iter();
        let control = match members.next()? {
            (name, Value::Bool(true)) if name == "pause" => Self::Pause,
            (name, Value::Bool(true)) if name == "resume" => Self::Resume,
            (name, value) if name == "advanceMs" => Self::Advance { ms: value.as_u64()? },
            _ => return None,
        };
        members.next().is_none().then_some(control)
    }
}

#[cfg(test)]
mod tests {
    use super::Control;

    #[test]
    fn a_clock_control_is_one_known_member() {
        assert_eq!(Control::read(br#"{"pause": true}"#), Some(Control::Pause));
        assert_eq!(Control::read(br#"{"advanceMs": 60000}"#), Some(Control::Advance { ms: 60_000 }));
        for wrong in
            [r#"{"pause": false}"#, r#"{"advanceMs": -1}"#, r#"{"pause": true, "resume": true}"#, "[]", "", "{}"]
        {
            assert_eq!(Control::read(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
