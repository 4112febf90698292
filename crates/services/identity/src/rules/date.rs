//! Moments in `Date…` conditions: W3C's profile of ISO 8601, or seconds since the epoch.

use base::Timestamp;

/// Milliseconds since the epoch; none if the text is no moment.
pub(super) fn read_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some((seconds * 1000.0) as i64);
    }
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    // Month and day may be left out.
    let month = parts.next().map_or(Some(1), |part| digits(part, 2)).filter(|month| (1..=12).contains(month))?;
    let day = parts.next().map_or(Some(1), |part| digits(part, 2)).filter(|day| (1..=31).contains(day))?;
    let (of_day_ms, offset_ms) = time.map_or(Some((0, 0)), of_day)?;
    let start = Timestamp::from_civil(i64::from(year), month, day, 0, 0, 0, 0);
    Some(start.0 + of_day_ms - offset_ms)
}

/// `13:45`, `13:45:30.5`, each with `Z` or `+01:00`: milliseconds of the day, and the zone's offset.
fn of_day(text: &str) -> Option<(i64, i64)> {
    let (clock, offset_ms) = match text.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0),
        None => {
            let at = text.rfind(['+', '-'])?;
            let (clock, zone) = text.split_at(at);
            let (hours, minutes) = zone[1..].split_once(':')?;
            let minutes = i64::from(digits(hours, 2)?) * 60 + i64::from(digits(minutes, 2)?);
            (clock, minutes * 60_000 * if zone.starts_with('-') { -1 } else { 1 })
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = digits(parts.next()?, 2).filter(|minute| *minute < 60)?;
    let second = parts.next().map_or(Some(0), |part| digits(part, 2)).filter(|second| *second < 61)?;
    let fraction = format!("{fraction:0<3}");
    let ms = fraction.get(..3).filter(|_| fraction.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<i64>().ok()?;
    Some((i64::from(hour * 3600 + minute * 60 + second) * 1000 + ms, offset_ms))
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("0", Some(0)),
            ("1577836800", Some(1_577_836_800_000)),
            ("2020-01-01T00:00:00Z", Some(1_577_836_800_000)),
            ("2020-01-01", Some(1_577_836_800_000)),
            ("2020-01", Some(1_577_836_800_000)),
            ("2020", Some(2_020_000)),
            ("2020-01-01T01:00+01:00", Some(1_577_836_800_000)),
            ("2019-12-31T23:30:00.250-00:30", Some(1_577_836_800_250)),
            ("2020-13-01", None),
            ("2020-01-01T25:00Z", None),
            ("2020-01-01T00:00:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(read_ms(text), ms, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}", near in "[0-9TZ:+.-]{0,30}") {
            let _ = (read_ms(&text), read_ms(&near));
        }
    }
}
