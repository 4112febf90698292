//! The control of the product clock, for tests.

use base::{Clocks, VirtualClocks};
use http::Method;
use serde_json::{Value, json};

use crate::Gateway;
use crate::arrival::Arrival;
use crate::respond::{self, Response};

/// The longest jump, ms: ten years. Each moment on the way is visited.
const LONGEST_JUMP_MS: u64 = 3_660 * 86_400_000;

/// What a caller without controls reads.
pub(crate) const NONE: &str = "the clock can be moved only when the platform is started with --test-controls (on a data folder made so) or --ephemeral";

/// What a control may be.
const EXPECTED: &str = "expected one of {\"pause\": true}, {\"resume\": true}, {\"step\": true}, {\"advanceMs\": n} with n from 0 \
     to 316224000000 (3660 days)";

/// What a test asks of the product clock.
#[derive(Debug, PartialEq, Eq)]
enum Control {
    Pause,
    Resume,
    Step,
    Advance { ms: u64 },
}

impl Control {
    fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return None };
        let mut members = members.iter();
        let control = match members.next()? {
            (name, Value::Bool(true)) if name == "pause" => Self::Pause,
            (name, Value::Bool(true)) if name == "resume" => Self::Resume,
            (name, Value::Bool(true)) if name == "step" => Self::Step,
            (name, value) if name == "advanceMs" => {
                Self::Advance { ms: value.as_u64().filter(|ms| *ms <= LONGEST_JUMP_MS)? }
            }
            _ => return None,
        };
        members.next().is_none().then_some(control)
    }
}

impl Gateway {
    /// `POST` one of [`Control`], or `GET`. Answers where the product clock then stands, whether it is paused, and the next
    /// moment at which something is due: `{"nowMs": n, "paused": b, "nextDueMs": n or null}`; a step also whether it moved.
    pub(crate) async fn clock(&self, arrival: &Arrival<'_>) -> Response {
        let Some(clocks) = &self.options.test_controls else { return respond::plain(404, NONE) };
        if let Err(fault) = self.authenticate(arrival) {
            return respond::plain(fault.status, &fault.message);
        }
        let control = match arrival.request.method {
            Method::GET | Method::HEAD => return respond::json(200, &stands(clocks)),
            Method::POST => Control::read(&arrival.request.body),
            _ => return respond::plain(405, "this path answers GET and POST"),
        };
        let Some(control) = control else { return respond::plain(400, EXPECTED) };
        let moved = match control {
            Control::Pause => {
                clocks.pause();
                Ok(None)
            }
            Control::Resume => {
                clocks.resume();
                Ok(None)
            }
            Control::Step => clocks.step().await.map(|due| Some(due.is_some())),
            Control::Advance { ms } => clocks.advance(ms).await.map(|_| None),
        };
        match moved {
            Err(stuck) => respond::plain(504, &stuck.to_string()),
            Ok(moved) => {
                let mut answer = stands(clocks);
                if let Some(moved) = moved {
                    answer["moved"] = moved.into();
                }
                respond::json(200, &answer)
            }
        }
    }
}

fn stands(clocks: &VirtualClocks) -> Value {
    json!({
        "nowMs": clocks.product().0,
        "paused": clocks.is_paused(),
        "nextDueMs": clocks.next_due().map(|due| due.0),
    })
}

#[cfg(test)]
mod tests {
    use super::Control;

    #[test]
    fn a_clock_control_is_one_known_member() {
        assert_eq!(Control::read(br#"{"pause": true}"#), Some(Control::Pause));
        assert_eq!(Control::read(br#"{"step": true}"#), Some(Control::Step));
        assert_eq!(Control::read(br#"{"advanceMs": 60000}"#), Some(Control::Advance { ms: 60_000 }));
        assert_eq!(
            Control::read(br#"{"advanceMs": 316224000000}"#),
            Some(Control::Advance { ms: super::LONGEST_JUMP_MS })
        );
        for wrong in [
            r#"{"pause": false}"#,
            r#"{"advanceMs": -1}"#,
            r#"{"advanceMs": 316224000001}"#,
            r#"{"advanceMs": "1"}"#,
            r#"{"pause": true, "resume": true}"#,
            "[]",
            "",
            "{}",
        ] {
            assert_eq!(Control::read(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
