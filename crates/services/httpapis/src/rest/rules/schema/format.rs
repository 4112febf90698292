//! Formats of texts that draft 4 names. Others mean nothing.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Why a text is not of a format.
pub(super) fn wrong(named: &str, text: &str) -> Option<&'static str> {
    let (fits, why) = match named {
        "ipv4" => (text.parse::<Ipv4Addr>().is_ok(), "is not a valid IPv4 address"),
        "ipv6" => (text.parse::<Ipv6Addr>().is_ok(), "is not a valid IPv6 address"),
        "email" => (is_email(text), "is not a valid email address"),
        "hostname" => (is_host(text), "is not a valid hostname"),
        "uri" => (is_uri(text), "is not a valid URI"),
        "date-time" => (is_moment(text), "is invalid against requested date format(s) yyyy-MM-dd'T'HH:mm:ssZ"),
        _ => return None,
    };
    (!fits).then_some(why)
}

fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    !local.is_empty() && !local.contains(char::is_whitespace) && is_host(host)
}

/// RFC 1123, 2.1.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// RFC 3986, 4.3: a scheme, and nothing that must be encoded.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme && !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

/// RFC 3339, 5.6.
fn is_moment(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't']) else { return false };
    let number = |text: &str, digits: usize| {
        let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        if right { text.parse::<u32>().ok() } else { None }
    };
    let within = |text: &str, least: u32, most: u32| number(text, 2).is_some_and(|n| (least..=most).contains(&n));
    let date: Vec<&str> = date.split('-').collect();
    let [year, month, day] = date[..] else { return false };
    let leap = number(year, 4).is_some_and(|y| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
    let days = match number(month, 2) {
        Some(2) => 28 + u32::from(leap),
        Some(4 | 6 | 9 | 11) => 30,
        _ => 31,
    };
    if number(year, 4).is_none() || !within(month, 1, 12) || !within(day, 1, days) {
        return false;
    }
    let (time, zone) = match time.strip_suffix(['Z', 'z']) {
        Some(time) => (time, None),
        None => match time.rfind(['+', '-']) {
            Some(at) => (&time[..at], Some(&time[at + 1..])),
            None => return false,
        },
    };
    let zoned = zone.is_none_or(|zone| {
        zone.split_once(':').is_some_and(|(hour, minute)| within(hour, 0, 23) && within(minute, 0, 59))
    });
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let time: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = time[..] else { return false };
    let fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    zoned && fraction && within(hour, 0, 23) && within(minute, 0, 59) && within(second, 0, 60)
}
