//! `lambent clock`: holds and moves the product clock of a platform that was started for tests.

use anyhow::{Context, bail};
use base::Timestamp;
use bytes::Bytes;
use serde_json::{Value, json};

use super::ClockCommand;
use crate::client::Client;

const PATH: &str = "/_lambent/test/clock";
const DAY_MS: u64 = 86_400_000;
/// The units of a duration, longest first: they come in this order.
const UNITS: [(&str, u64); 5] = [("d", DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The longest jump, days, as the platform takes it.
const MOST_DAYS: u64 = 3_660;

/// Asks for one thing and says where the clock then stands.
pub(crate) async fn run(client: &Client, asked: ClockCommand) -> anyhow::Result<()> {
    let body = match asked {
        ClockCommand::Show => None,
        ClockCommand::Pause => Some(json!({"pause": true})),
        ClockCommand::Resume => Some(json!({"resume": true})),
        ClockCommand::Step => Some(json!({"step": true})),
        ClockCommand::Advance { duration } => Some(json!({"advanceMs": duration})),
    };
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let answer = client.signed("events", method, PATH, &[("content-type", "application/json")], body).await?;
    let status = answer.status;
    let text = String::from_utf8_lossy(&answer.body);
    let answer: Value = serde_json::from_str(&text).with_context(|| format!("expected JSON, got {text:?}"))?;
    if status != 200 {
        bail!("{}", answer["message"].as_str().unwrap_or(&text));
    }
    if answer["moved"] == false {
        println!("nothing is due: the clock was not moved");
    }
    println!("{}", stands(&answer)?);
    Ok(())
}

fn stands(answer: &Value) -> anyhow::Result<String> {
    let now = Timestamp(answer["nowMs"].as_i64().context("the platform does not say where its clock stands")?);
    let how = if answer["paused"] == true { "paused" } else { "running" };
    let next = match answer["nextDueMs"].as_i64() {
        None => "nothing is due".to_owned(),
        Some(due) => {
            format!(
                "next due {} (in {})",
                moment(Timestamp(due)),
                spoken(due.saturating_sub(now.0).max(0).unsigned_abs())
            )
        }
    };
    Ok(format!("{}, {how}; {next}", moment(now)))
}

/// A moment as ISO 8601 in UTC.
fn moment(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, ms) = at.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// A length of time as [`duration_ms`] reads it.
fn spoken(mut ms: u64) -> String {
    let mut text = String::new();
    for (unit, length) in UNITS {
        if ms >= length {
            text += &format!("{}{unit}", ms / length);
            ms %= length;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// Milliseconds of a duration: whole numbers with the units d, h, m, s and ms, longest first, each at most once.
pub(super) fn duration_ms(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no duration: write 14d, 36h, 90m, 30s, 1500ms, or several as in 1d12h");
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit = &after[..after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len())];
        let (_, length) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*length));
        let most = MOST_DAYS * DAY_MS;
        let sum = ms.and_then(|ms| total.checked_add(ms)).filter(|sum| *sum <= most);
        total = sum.ok_or_else(|| format!("the clock moves at most {MOST_DAYS} days at once"))?;
        rest = &after[unit.len()..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("14d", 14 * DAY_MS),
            ("36h", 36 * 3_600_000),
            ("90m", 90 * 60_000),
            ("30s", 30_000),
            ("1500ms", 1_500),
            ("1d12h", DAY_MS + 12 * 3_600_000),
            ("1h1m1s1ms", 3_661_001),
            ("0s", 0),
            ("3660d", MOST_DAYS * DAY_MS),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for wrong in ["", "14", "d", "-1d", "1.5h", "1w", "12h1d", "1d1d", "1d 2h", "1D", "1dd", "mm", "1m\u{e9}"] {
            assert!(duration_ms(wrong).is_err_and(|why| why.contains("is no duration")), "{wrong}");
        }
        for wrong in ["3661d", "3660d1ms", "99999999999999999999d", "18446744073709551615ms"] {
            assert!(duration_ms(wrong).is_err_and(|why| why.contains("at most")), "{wrong}");
        }
    }

    #[test]
    fn it_says_where_the_clock_stands() {
        let answer = json!({"nowMs": 1_763_683_200_123_i64, "paused": true, "nextDueMs": 1_763_686_800_000_i64});
        assert_eq!(
            stands(&answer).unwrap(),
            "2025-11-21T00:00:00.123Z, paused; next due 2025-11-21T01:00:00.000Z (in 59m59s877ms)"
        );
        let answer = json!({"nowMs": 0, "paused": false, "nextDueMs": null});
        assert_eq!(stands(&answer).unwrap(), "1970-01-01T00:00:00.000Z, running; nothing is due");
        assert_eq!(spoken(0), "0s");
    }
}
