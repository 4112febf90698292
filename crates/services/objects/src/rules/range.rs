//! The `Range` header. Source: RFC 9110, 14; Amazon S3 API Reference, GetObject.

use base::Fault;

use crate::content::Span;

/// The stretch of an object of `size_bytes` that a range names; none for the whole, also when the header is not understood.
///
/// # Errors
/// InvalidRange, 416, if it begins behind the end.
pub(crate) fn of(range: &str, size_bytes: u64) -> Result<Option<Span>, Fault> {
    let Some(set) = range.trim().strip_prefix("bytes=") else { return Ok(None) };
    // S3 answers several ranges with the whole object.
    let Some((first, last)) = set.split_once('-').filter(|_| !set.contains(',')) else { return Ok(None) };
    let (first, last) = (first.trim(), last.trim());
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    let unsatisfiable = || {
        Fault::new("InvalidRange", 416, "The requested range is not satisfiable")
            .with("RangeRequested", range)
            .with("ActualObjectSize", size_bytes.to_string())
            .header("content-range", format!("bytes */{size_bytes}"))
    };
    let span = match (first, last) {
        ("", "") => return Ok(None),
        ("", suffix) => {
            let Some(suffix) = number(suffix) else { return Ok(None) };
            let bytes = suffix.min(size_bytes);
            if bytes == 0 {
                return Err(unsatisfiable());
            }
            Span { from: size_bytes - bytes, bytes }
        }
        (first, last) => {
            let Some(first) = number(first) else { return Ok(None) };
            let last = if last.is_empty() { u64::MAX } else { number(last).unwrap_or(0) };
            if last < first {
                return Ok(None);
            }
            if first >= size_bytes {
                return Err(unsatisfiable());
            }
            Span { from: first, bytes: last.min(size_bytes - 1) - first + 1 }
        }
    };
    Ok(Some(span))
}

/// `bytes 0-9/100`.
pub(crate) fn shown(span: Span, size_bytes: u64) -> String {
    format!("bytes {}-{}/{size_bytes}", span.from, span.from + span.bytes - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_browsers_mean_them() {
        let span = |from, bytes| Ok(Some(Span { from, bytes }));
        for (text, expected) in [
            ("bytes=0-9", span(0, 10)),
            ("bytes=90-", span(90, 10)),
            ("bytes=-5", span(95, 5)),
            ("bytes=-500", span(0, 100)),
            ("bytes=99-1000", span(99, 1)),
            ("bytes=0-99999999999999999999999", span(0, 100)),
            ("bytes=5-4", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=a-b", Ok(None)),
            ("bytes=", Ok(None)),
            ("lines=0-1", Ok(None)),
            ("bytes=-", Ok(None)),
        ] {
            assert_eq!(of(text, 100), expected, "{text}");
        }
        for text in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(of(text, 100).unwrap_err().status, 416, "{text}");
        }
        assert_eq!(of("bytes=0-0", 0).unwrap_err().status, 416);
        assert_eq!(shown(Span { from: 0, bytes: 10 }, 100), "bytes 0-9/100");
    }
}
