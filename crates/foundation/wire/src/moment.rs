//! Timestamps as text in the three formats of AWS.

use std::fmt::Write;

use base::Timestamp;

use crate::TimestampFormat;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Prints `moment`; the fraction is left out when it is zero.
pub(crate) fn print(moment: Timestamp, format: TimestampFormat) -> String {
    let mut out = String::with_capacity(32);
    let written = match format {
        TimestampFormat::Unix => unix_to(&mut out, moment),
        TimestampFormat::Iso8601 => {
            let (year, month, day, hour, minute, second, ms) = moment.civil();
            write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
                .and_then(|()| fraction(&mut out, ms))
                .and_then(|()| out.write_char('Z'))
        }
        TimestampFormat::Rfc822 => {
            let (year, month, day, hour, minute, second, _) = moment.civil();
            let weekday = DAYS[(moment.0.div_euclid(86_400_000) + 4).rem_euclid(7) as usize];
            let name = MONTHS[month as usize - 1];
            write!(out, "{weekday}, {day:02} {name} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
        }
    };
    written.expect("writing to memory does not fail");
    out
}

/// Seconds since the epoch.
fn unix_to(out: &mut String, moment: Timestamp) -> std::fmt::Result {
    let sign = if moment.0 < 0 { "-" } else { "" };
    let size = moment.0.unsigned_abs();
    write!(out, "{sign}{}", size / 1000)?;
    fraction(out, (size % 1000) as u32)
}

fn fraction(out: &mut String, ms: u32) -> std::fmt::Result {
    if ms == 0 {
        return Ok(());
    }
    let digits = [ms / 100, ms / 10 % 10, ms % 10].map(|digit| char::from(b'0' + digit as u8));
    let shown = if ms.is_multiple_of(100) {
        1
    } else if ms.is_multiple_of(10) {
        2
    } else {
        3
    };
    out.push('.');
    out.extend(&digits[..shown]);
    Ok(())
}

/// A date as HTTP's headers have it: `Wed, 21 Oct 2015 07:28:00 GMT`.
pub fn http_date(moment: Timestamp) -> String {
    print(moment, TimestampFormat::Rfc822)
}

/// The moment that ISO 8601 writes so; none if it writes none.
pub fn date_of_iso(text: &str) -> Option<Timestamp> {
    parse(text, TimestampFormat::Iso8601)
}

/// Reads a moment. Digits beyond the millisecond are cut.
pub(crate) fn parse(text: &str, format: TimestampFormat) -> Option<Timestamp> {
    match format {
        TimestampFormat::Unix => unix(text),
        TimestampFormat::Iso8601 => iso8601(text),
        TimestampFormat::Rfc822 => rfc822(text),
    }
}

fn unix(text: &str) -> Option<Timestamp> {
    // Whole seconds are the common case and need no rounding.
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000).map(Timestamp).filter(sensible);
    }
    of_seconds(text.parse().ok()?)
}

/// The moment so many seconds after the epoch.
pub(crate) fn of_seconds(seconds: f64) -> Option<Timestamp> {
    let ms = (seconds * 1000.0).round();
    (ms.is_finite() && ms.abs() < 1e17).then_some(Timestamp(ms as i64)).filter(sensible)
}

/// Years 1 to 9999, which every format can print.
fn sensible(moment: &Timestamp) -> bool {
    (-62_135_596_800_000..=253_402_300_799_999).contains(&moment.0)
}

/// A cursor over ASCII digits and separators.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    }

    fn skip(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text.as_bytes())?;
        Some(())
    }

    /// `.` and digits, as milliseconds.
    fn fraction(&mut self) -> Option<u32> {
        if self.skip(".").is_none() {
            return Some(0);
        }
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        let digit = |index: usize| digits.get(index).map_or(0, |digit| u32::from(digit - b'0'));
        (length > 0).then(|| digit(0) * 100 + digit(1) * 10 + digit(2))
    }

    fn word<'w>(&mut self, words: &'w [&'w str]) -> Option<usize> {
        let index = words.iter().position(|word| self.0.starts_with(word.as_bytes()))?;
        self.0 = &self.0[words[index].len()..];
        Some(index)
    }

    fn clock(&mut self) -> Option<(u32, u32, u32)> {
        let hour = self.digits(2)?;
        self.skip(":")?;
        let minute = self.digits(2)?;
        self.skip(":")?;
        Some((hour, minute, self.digits(2)?))
    }
}

pub(crate) fn civil(
    year: u32,
    month: u32,
    day: u32,
    (hour, minute, second): (u32, u32, u32),
    ms: u32,
) -> Option<Timestamp> {
    let moment = Timestamp::from_civil(i64::from(year), month, day, hour, minute, second.min(59), ms);
    // A date that does not exist comes back as another one.
    let valid = (1..=12).contains(&month) && hour < 24 && minute < 60 && second <= 60;
    (valid && { moment.civil().2 } == day && moment.civil().1 == month).then_some(moment).filter(sensible)
}

fn iso8601(text: &str) -> Option<Timestamp> {
    let mut scan = Scan(text.as_bytes());
    let year = scan.digits(4)?;
    scan.skip("-")?;
    let month = scan.digits(2)?;
    scan.skip("-")?;
    let day = scan.digits(2)?;
    scan.skip("T").or_else(|| scan.skip("t")).or_else(|| scan.skip(" "))?;
    let clock = scan.clock()?;
    let ms = scan.fraction()?;
    let offset = if scan.skip("Z").or_else(|| scan.skip("z")).is_some() {
        0
    } else {
        let sign = if scan.skip("+").is_some() { 1 } else { scan.skip("-").map(|()| -1)? };
        let hours = scan.digits(2)?;
        // `+0100` is as common as `+01:00`.
        let _ = scan.skip(":");
        sign * i64::from(hours * 60 + scan.digits(2)?)
    };
    let moment = civil(year, month, day, clock, ms)?;
    scan.0.is_empty().then(|| moment.plus_ms(-offset * 60_000)).filter(sensible)
}

fn rfc822(text: &str) -> Option<Timestamp> {
    let mut scan = Scan(text.as_bytes());
    scan.word(&DAYS)?;
    scan.skip(", ")?;
    let day = scan.digits(2)?;
    scan.skip(" ")?;
    let month = scan.word(&MONTHS)? as u32 + 1;
    scan.skip(" ")?;
    let year = scan.digits(4)?;
    scan.skip(" ")?;
    let clock = scan.clock()?;
    let ms = scan.fraction()?;
    scan.skip(" GMT").or_else(|| scan.skip(" UTC")).or_else(|| scan.skip(" +0000"))?;
    scan.0.is_empty().then(|| civil(year, month, day, clock, ms)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_formats_name_the_same_moment() {
        let moment = Timestamp(1_795_257_600_000);
        assert_eq!(print(moment, TimestampFormat::Iso8601), "2026-11-21T10:40:00Z");
        assert_eq!(print(moment, TimestampFormat::Rfc822), "Sat, 21 Nov 2026 10:40:00 GMT");
        assert_eq!(print(Timestamp(1500), TimestampFormat::Unix), "1.5");
        assert_eq!(parse("1985-04-12T23:20:50.52Z", TimestampFormat::Iso8601), Some(Timestamp(482_196_050_520)));
        assert_eq!(parse("2019-12-16T22:48:18+01:00", TimestampFormat::Iso8601), Some(Timestamp(1_576_532_898_000)));
        assert_eq!(parse("2026-02-30T00:00:00Z", TimestampFormat::Iso8601), None);
    }

    proptest! {
        #[test]
        fn printed_moments_read_back(ms in -62_135_596_800_000i64..253_402_300_799_999) {
            for format in [TimestampFormat::Iso8601, TimestampFormat::Unix] {
                prop_assert_eq!(parse(&print(Timestamp(ms), format), format), Some(Timestamp(ms)));
            }
            let whole = Timestamp(ms - ms.rem_euclid(1000));
            prop_assert_eq!(parse(&print(whole, TimestampFormat::Rfc822), TimestampFormat::Rfc822), Some(whole));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            for format in [TimestampFormat::Iso8601, TimestampFormat::Unix, TimestampFormat::Rfc822] {
                let _ = parse(&text, format);
            }
        }
    }
}
