//! Times as people write them.

use base::Timestamp;

const FORMS: &str =
    "a time is a while ago, as 90s, 10m, 2h or 3d, or a moment in UTC, as 2026-11-26 or 2026-11-26T10:00";

/// Reads a time: so long before `now`, or a moment in UTC.
pub(crate) fn read(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    ago(text).map(|ms| now.plus_ms(-ms)).or_else(|| moment(text)).ok_or_else(|| format!("{text}: {FORMS}"))
}

/// A while, ms; a number alone is minutes.
fn ago(text: &str) -> Option<i64> {
    let (number, ms) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1_000),
        (at, 'm') => (&text[..at], 60_000),
        (at, 'h') => (&text[..at], 3_600_000),
        (at, 'd') => (&text[..at], 86_400_000),
        _ => (text, 60_000),
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.parse::<i64>().ok()).flatten()?.checked_mul(ms)
}

/// `2026-11-26`, `2026-11-26T10:00`, `2026-11-26T10:00:30`, with or without `Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let numbers = |text: &str, sign: char, widths: &[usize]| -> Option<Vec<u32>> {
        let parts: Vec<&str> = text.split(sign).collect();
        let fits = parts
            .iter()
            .zip(widths)
            .all(|(part, width)| part.len() == *width && part.bytes().all(|byte| byte.is_ascii_digit()));
        (fits && parts.len() <= widths.len()).then(|| parts.iter().filter_map(|part| part.parse().ok()).collect())
    };
    let date = numbers(date, '-', &[4, 2, 2])?;
    let time = numbers(time, ':', &[2, 2, 2])?;
    let (&[year, month, day], &[hour, minute, ref second @ ..]) = (date.as_slice(), time.as_slice()) else {
        return None;
    };
    let second = second.first().copied().unwrap_or(0);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let at = Timestamp::from_civil(i64::from(year), month, day, hour, minute, second, 0);
    // The 31st of a month of thirty days would be the first of the next.
    let (_, _, real_day, ..) = at.civil();
    (real_day == day).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whiles_and_moments_are_read() {
        let now = Timestamp::from_civil(2026, 11, 27, 12, 0, 0, 0);
        for (text, expected) in [
            ("90s", (2026, 11, 27, 11, 58, 30, 0)),
            ("10m", (2026, 11, 27, 11, 50, 0, 0)),
            ("10", (2026, 11, 27, 11, 50, 0, 0)),
            ("2h", (2026, 11, 27, 10, 0, 0, 0)),
            ("3d", (2026, 11, 24, 12, 0, 0, 0)),
            ("2026-11-26", (2026, 11, 26, 0, 0, 0, 0)),
            ("2026-11-26T10:00", (2026, 11, 26, 10, 0, 0, 0)),
            ("2026-11-26T10:00:30Z", (2026, 11, 26, 10, 0, 30, 0)),
            ("2024-02-29", (2024, 2, 29, 0, 0, 0, 0)),
        ] {
            assert_eq!(read(text, now).map(Timestamp::civil), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "m",
            "-5m",
            "1.5h",
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "2026-1-1",
            "2026-11-26T25:00",
            "2026-11-26T10",
            "99999999999999999d",
            "ä",
        ] {
            let words = read(wrong, now).unwrap_err();
            assert!(words.contains("2026-11-26T10:00"), "{wrong}: {words}");
        }
    }
}
