//! Pure decisions: what a function may be configured to be, and what an event may be. No I/O.

use std::collections::BTreeMap;

use base::{Fault, Timestamp, limits};
use serde::de::IgnoredAny;

use crate::faults;
use crate::types::{Code, EventInvoke, Function, Image, ImageConfig, LayerUse, Settings};

/// Seconds and MiB. Source: AWS Lambda quotas.
const TIMEOUT_S: std::ops::RangeInclusive<i64> = 1..=900;
const MEMORY_MB: std::ops::RangeInclusive<i64> = 128..=10_240;
const TMP_MB: std::ops::RangeInclusive<i64> = 512..=10_240;
/// Most tags of a function. Source: AWS Lambda developer guide, "Using tags on Lambda functions".
const TAGS: usize = 50;
/// Attempts after the first when the function fails with an asynchronous event, and how long each waits, ms.
/// Source: AWS Lambda developer guide, "Error handling for asynchronous invocations".
const RETRY_DELAYS_MS: [i64; 2] = [60_000, 120_000];
/// Oldest an asynchronous event may become, ms: six hours.
const MAX_EVENT_AGE_MS: i64 = 6 * 3_600_000;
/// The first and the longest wait of an event that could not begin, ms.
const BACKOFF_MS: (i64, i64) = (1_000, 300_000);

/// What a request changes about a function's settings: only what it names.
#[derive(Clone, Default)]
pub(crate) struct Change {
    pub(crate) runtime: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) handler: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) timeout_s: Option<i64>,
    pub(crate) memory_mb: Option<i64>,
    pub(crate) tmp_mb: Option<i64>,
    pub(crate) environment: Option<BTreeMap<String, String>>,
    pub(crate) architectures: Option<Vec<String>>,
    pub(crate) active_tracing: Option<bool>,
    pub(crate) snap_start: Option<bool>,
    pub(crate) image: Option<Image>,
    pub(crate) image_config: Option<ImageConfig>,
    /// Given: a group of one's own; given and empty: the one of the function's name.
    pub(crate) log_group: Option<String>,
    pub(crate) layers: Option<Vec<LayerUse>>,
    /// Given: a queue for failed events; given and empty: none.
    pub(crate) dead_letter: Option<String>,
}

/// A new function's settings: AWS's defaults and what the request names.
///
/// # Errors
/// As [`change`], and AWS's words when runtime or handler are missing.
pub(crate) fn create(request: Change) -> Result<Settings, Fault> {
    let archive = request.image.is_none();
    if archive && (request.runtime.is_none() || request.handler.as_ref().is_none_or(String::is_empty)) {
        return Err(faults::invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ));
    }
    let fresh = Settings {
        runtime: String::new(),
        role: String::new(),
        handler: String::new(),
        description: String::new(),
        timeout_s: 3,
        memory_mb: 128,
        tmp_mb: 512,
        environment: None,
        architecture: "x86_64".into(),
        image: None,
        active_tracing: false,
        snap_start: false,
        log_group: None,
        dead_letter: None,
        layers: Vec::new(),
    };
    change(&fresh, request)
}

/// The settings after a change.
///
/// # Errors
/// AWS's words for what is out of bounds.
pub(crate) fn change(settings: &Settings, request: Change) -> Result<Settings, Fault> {
    let mut next = settings.clone();
    if let Some(runtime) = request.runtime {
        next.runtime = runtime;
    }
    if let Some(role) = request.role {
        next.role = role;
    }
    if let Some(handler) = request.handler {
        next.handler = handler;
    }
    if let Some(description) = request.description {
        next.description = description;
    }
    if let Some(value) = request.timeout_s {
        next.timeout_s = within(value, TIMEOUT_S, "timeout")?;
    }
    if let Some(value) = request.memory_mb {
        next.memory_mb = within(value, MEMORY_MB, "memorySize")?;
    }
    if let Some(value) = request.tmp_mb {
        next.tmp_mb = within(value, TMP_MB, "ephemeralStorage.size")?;
    }
    if let Some(variables) = request.environment {
        environment(&variables)?;
        next.environment = Some(variables);
    }
    if let Some([architecture]) = request.architectures.as_deref() {
        next.architecture = architecture.clone();
    }
    if let Some(image) = request.image {
        next.image = Some(image);
    }
    if let (Some(image), Some(config)) = (&mut next.image, request.image_config) {
        image.config = config;
    }
    if let Some(active) = request.active_tracing {
        next.active_tracing = active;
    }
    if let Some(group) = request.log_group {
        next.log_group = Some(group).filter(|group| !group.is_empty());
    }
    if let Some(target) = request.dead_letter {
        next.dead_letter = Some(target).filter(|target| !target.is_empty());
    }
    if let Some(layers) = request.layers {
        next.layers = layers;
    }
    if let Some(snap_start) = request.snap_start {
        next.snap_start = snap_start;
    }
    if next.snap_start {
        snap_start(&next)?;
    }
    Ok(next)
}

/// Whether a function can be under SnapStart. Source: AWS Lambda developer guide, "Improving startup performance with Lambda
/// SnapStart", supported features and limitations.
///
/// # Errors
/// AWS's words when it cannot; that this platform cannot, where AWS can.
fn snap_start(settings: &Settings) -> Result<(), Fault> {
    let refused =
        |what: &str| Err(faults::invalid(format!("{what} is not supported for SnapStart enabled functions.")));
    if settings.image.is_some() {
        return refused("ContainerImage");
    }
    if settings.tmp_mb > *TMP_MB.start() as u32 {
        return refused("Ephemeral storage greater than 512 MB");
    }
    let runtime = settings.runtime.as_str();
    let since = |family: &str, first: u32| {
        let version = runtime.strip_prefix(family).map(|rest| rest.split('.').next().unwrap_or_default());
        version.and_then(|version| version.parse::<u32>().ok()).is_some_and(|version| version >= first)
    };
    if since("python3.", 12) {
        return Ok(());
    }
    if since("java", 11) || since("dotnet", 8) {
        return Err(Fault::not_implemented(format_args!("SnapStart.ApplyOn=PublishedVersions of {runtime}")));
    }
    refused(runtime)
}

fn within(value: i64, range: std::ops::RangeInclusive<i64>, member: &str) -> Result<u32, Fault> {
    let must = if value > *range.end() {
        format!("have value less than or equal to {}", range.end())
    } else if value < *range.start() {
        format!("have value greater than or equal to {}", range.start())
    } else {
        return Ok(u32::try_from(value).expect("every range lies within u32"));
    };
    Err(faults::constraint(value, member, &must))
}

/// Environment variables: no reserved name, and all together within 4 KB as JSON.
/// The values are left out of the words, unlike on AWS: an error may end in a log.
fn environment(variables: &BTreeMap<String, String>) -> Result<(), Fault> {
    let reserved: Vec<&str> = variables.keys().map(String::as_str).filter(|name| runtime::reserved(name)).collect();
    if !reserved.is_empty() {
        return Err(faults::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    // No process can be given one, so that it would break every invocation.
    if let Some((name, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
        return Err(faults::invalid(format!(
            "Lambda was unable to configure your environment variables because the value of {name} holds a NUL character."
        )));
    }
    let measured = serde_json::to_vec(variables).map_or(usize::MAX, |json| json.len());
    if measured > limits::ENVIRONMENT_BYTES {
        return Err(faults::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided exceeded the 4KB limit. String measured: {measured} bytes"
        )));
    }
    crate::web::Setup::of(Some(variables)).map_err(faults::invalid)?;
    crate::debug::port(Some(variables)).map_err(faults::invalid)?;
    Ok(())
}

/// Whether a reservation leaves enough for the others.
///
/// # Errors
/// AWS's words when it does not.
pub(crate) fn reservation(others: impl Iterator<Item = u32>, wanted: u32, account: u32) -> Result<(), Fault> {
    let reserved = others.fold(u64::from(wanted), |sum, other| sum + u64::from(other));
    if reserved + u64::from(limits::MIN_UNRESERVED_CONCURRENCY) > u64::from(account) && wanted > 0 {
        return Err(faults::invalid(format!(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution \
             below its minimum value of [{}].",
            limits::MIN_UNRESERVED_CONCURRENCY
        )));
    }
    Ok(())
}

/// Whether what a function claims of the account's concurrency leaves enough for the others.
///
/// # Errors
/// AWS's words when it does not, which differ for reserved and for provisioned concurrency.
pub(crate) fn claim(function: &Function, others: impl Iterator<Item = u32>, account: u32) -> Result<(), Fault> {
    if let Some(reserved) = function.reserved {
        return reservation(others, reserved, account);
    }
    let taken = others.fold(0u64, |sum, other| sum + u64::from(other));
    let left = u64::from(account).saturating_sub(taken);
    let wanted = u64::from(function.provisioned_sum());
    if wanted > left {
        return Err(faults::invalid(format!(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{left}]."
        )));
    }
    if wanted > 0 && left - wanted < u64::from(limits::MIN_UNRESERVED_CONCURRENCY) {
        return Err(faults::invalid(format!(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
             minimum value of [{}].",
            limits::MIN_UNRESERVED_CONCURRENCY
        )));
    }
    Ok(())
}

/// Tells whether code and settings are those published before.
pub(crate) fn fingerprint(settings: &Settings, code: &Code) -> String {
    // A map's keys come in order, so that equal settings are equal texts.
    let text = serde_json::to_vec(&(settings, code)).expect("settings and code have a JSON form");
    store::Digest::of(&text).to_string()
}

/// Tags after more were added.
///
/// # Errors
/// AWS's words for too many, and for names that belong to AWS.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > TAGS {
        return Err(faults::invalid("Number of tags exceeds resource tag limit."));
    }
    if tags.keys().any(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(faults::invalid(
            "Your request contains a tag key that starts with 'aws:', which is reserved for AWS.",
        ));
    }
    Ok(())
}

/// Whether the bytes are one JSON text, without building it: its values are the function's business.
///
/// # Errors
/// `InvalidRequestContentException` with the place of the first mistake.
pub(crate) fn event_json(payload: &[u8]) -> Result<(), Fault> {
    let wrong = |what: String| {
        let message = format!("Could not parse request body into json: Could not parse payload into json: {what}");
        faults::user(model::lambda::invalid_request_content_exception(message))
    };
    let text = std::str::from_utf8(payload).map_err(|error| {
        let byte = payload.get(error.valid_up_to()).copied().unwrap_or_default();
        wrong(format!("Invalid UTF-8 start byte 0x{byte:02x}"))
    })?;
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|error| wrong(mistake(text, &error)))
}

/// The mistake in the words of the parser that Lambda uses, as near as may be.
fn mistake(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let place = format!(
        "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"
    );
    if error.is_eof() {
        return format!("Unexpected end-of-input{place}");
    }
    let on_line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let at = column.saturating_sub(1).min(on_line.len());
    let rest = on_line.get(at..).unwrap_or_default();
    let word_starts = on_line.get(..at).map_or(0, |before| {
        before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |found| found + 1)
    });
    let word: String = on_line
        .get(word_starts..)
        .unwrap_or_default()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let values = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
    match rest.chars().next() {
        _ if word.starts_with(|c: char| c.is_alphabetic()) => {
            format!("Unrecognized token '{word}': was expecting {values}{place}")
        }
        Some(found) => {
            format!("Unexpected character ('{found}' (code {})): expected a valid value {values}{place}", found as u32)
        }
        None => format!("Unexpected end-of-input{place}"),
    }
}

/// How long an event waits after the function failed with it once more than `failures` times, ms; none when that was the
/// last time.
pub(crate) fn retry_delay_ms(config: &EventInvoke, failures: u32) -> Option<i64> {
    let most = config.retries.map_or(RETRY_DELAYS_MS.len(), |retries| usize::try_from(retries).unwrap_or(usize::MAX));
    let failures = usize::try_from(failures).ok()?;
    RETRY_DELAYS_MS.get(failures).copied().filter(|_| failures < most)
}

/// Oldest an event may become, ms.
pub(crate) fn max_event_age_ms(config: &EventInvoke) -> i64 {
    config.max_age_s.map_or(MAX_EVENT_AGE_MS, |age_s| i64::from(age_s) * 1000)
}

/// When an event that could not begin is tried again: the wait doubles up to five minutes.
pub(crate) fn backoff(now: Timestamp, refusals: u32) -> Timestamp {
    let (first, longest) = BACKOFF_MS;
    now.plus_ms(first.saturating_mul(1 << refusals.min(20)).min(longest))
}

/// `2026-11-21T05:20:00.000+0000`, as Lambda writes the time of a change.
pub(crate) fn date(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, ms) = at.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}+0000")
}

/// `2026-11-21T05:20:00.123Z`, as Lambda writes the times of a function URL.
pub(crate) fn date_z(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, ms) = at.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minimal() -> Change {
        Change {
            runtime: Some("python3.12".into()),
            role: Some("arn:aws:iam::000000000000:role/r".into()),
            handler: Some("app.handler".into()),
            ..Change::default()
        }
    }

    #[test]
    fn defaults_are_lambdas() {
        let settings = create(minimal()).unwrap();
        assert_eq!((settings.timeout_s, settings.memory_mb, settings.tmp_mb), (3, 128, 512));
        assert_eq!((settings.architecture.as_str(), settings.environment), ("x86_64", None));
    }

    #[test]
    fn limits_are_lambdas() {
        let refused = |change: Change| create(change).unwrap_err().message;
        assert_eq!(
            refused(Change { memory_mb: Some(10_241), ..minimal() }),
            "1 validation error detected: Value '10241' at 'memorySize' failed to satisfy constraint: Member must have \
             value less than or equal to 10240"
        );
        assert!(refused(Change { timeout_s: Some(901), ..minimal() }).ends_with("less than or equal to 900"));
        assert!(refused(Change { tmp_mb: Some(511), ..minimal() }).ends_with("greater than or equal to 512"));
        assert!(refused(Change { handler: None, ..minimal() }).starts_with("Runtime and Handler are mandatory"));
        let big = BTreeMap::from([("BIG".to_owned(), "x".repeat(4096))]);
        assert!(refused(Change { environment: Some(big), ..minimal() }).contains("exceeded the 4KB limit"));
        let reserved = BTreeMap::from([("AWS_REGION".to_owned(), "x".to_owned())]);
        let message = refused(Change { environment: Some(reserved), ..minimal() });
        assert!(message.ends_with("Reserved keys used in this request: AWS_REGION"), "{message}");
    }

    #[test]
    fn reservations_leave_a_hundred() {
        assert!(reservation([400, 400].into_iter(), 100, 1000).is_ok());
        assert!(reservation([400, 400].into_iter(), 101, 1000).is_err());
        assert!(reservation([400, 500].into_iter(), 0, 1000).is_ok());
    }

    #[test]
    fn mistakes_in_events_are_told_in_words() {
        let told = |text: &str| event_json(text.as_bytes()).unwrap_err().message;
        assert!(told("badbody").contains("Unrecognized token 'badbody': was expecting"), "{}", told("badbody"));
        assert!(told("{'a': 1}").contains("Unexpected character"), "{}", told("{'a': 1}"));
        assert!(told("{\"a\": ").contains("Unexpected end-of-input"), "{}", told("{\"a\": "));
        assert!(event_json(b"\xff").unwrap_err().message.contains("Invalid UTF-8"));
        assert_eq!(event_json(b" {\"a\": [1, null, \"\\u00e9\"]} "), Ok(()));
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(event_json(deep.as_bytes()), Ok(()));
    }

    #[test]
    fn dates_are_written_as_lambda_writes_them() {
        let at = Timestamp::from_civil(2026, 11, 21, 5, 20, 0, 7);
        assert_eq!(date(at), "2026-11-21T05:20:00.007+0000");
        assert_eq!(date_z(at), "2026-11-21T05:20:00.007Z");
    }

    #[test]
    fn an_event_is_tried_again_as_often_as_configured() {
        let delays = |retries: Option<u32>| -> Vec<i64> {
            let config = EventInvoke { retries, ..EventInvoke::default() };
            (0..4).map_while(|failures| retry_delay_ms(&config, failures)).collect()
        };
        assert_eq!(delays(None), [60_000, 120_000]);
        assert_eq!(delays(Some(2)), [60_000, 120_000]);
        assert_eq!((delays(Some(1)), delays(Some(0))), (vec![60_000], vec![]));
    }

    #[test]
    fn waits_double_up_to_five_minutes() {
        let waits: Vec<i64> = [0, 1, 2, 8, 9, 60].map(|refusals| backoff(Timestamp(0), refusals).0).to_vec();
        assert_eq!(waits, [1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_json_or_refused_in_words(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let ours = event_json(&payload).is_ok();
            let parsed = serde_json::from_slice::<serde_json::Value>(&payload).is_ok();
            // Building values has limits of its own (huge exponents), so only one direction holds.
            prop_assert!(ours || !parsed);
        }

        #[test]
        fn any_text_is_json_or_refused_in_words(payload in "[\\[\\]{}\",:a-z0-9 \\n\u{e9}]{0,60}") {
            let ours = event_json(payload.as_bytes()).is_ok();
            prop_assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&payload).is_ok());
        }
    }
}
