//! The metrics of functions: Lambda's own in `AWS/Lambda`, and what Lambda does not tell in `Lambent`.
//!
//! Source: AWS Lambda Developer Guide, "Types of metrics for Lambda functions" and "Monitoring concurrency"; dimensions as there: the function, the
//! function and the alias or version it was called by, for an alias also the version that ran, and none for all functions.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Account, EventNews, Invoked, Region, StartKind, Timestamp};

use super::cell::Cell;
use super::{Metric, Point, Series, Unit};

/// The namespace of Lambda's own metrics.
pub(crate) const AWS_LAMBDA: &str = "AWS/Lambda";
/// The namespace of ours.
pub(crate) const LAMBENT: &str = "Lambent";

/// One metric of an invocation.
struct Kind {
    namespace: &'static str,
    name: &'static str,
    unit: Unit,
    /// Its value for one invocation, if it has one.
    value: Value,
    /// The same for all functions together, where it differs.
    all: Option<Value>,
    /// Whether it is told of the alias or version alone that was called.
    of_resource: bool,
}

type Value = fn(&Invoked) -> Option<f64>;

const fn kind(namespace: &'static str, name: &'static str, unit: Unit, value: Value) -> Kind {
    Kind { namespace, name, unit, value, all: None, of_resource: false }
}

/// A metric of provisioned concurrency.
const fn ready(name: &'static str, value: Value) -> Kind {
    Kind { of_resource: true, ..kind(AWS_LAMBDA, name, Unit::COUNT, value) }
}

fn ms(us: u64) -> Option<f64> {
    Some(us as f64 / 1000.0)
}

fn one_if(yes: bool) -> Option<f64> {
    Some(f64::from(u8::from(yes)))
}

fn when_cold(row: &Invoked, us: u64) -> Option<f64> {
    if row.start == StartKind::Cold { ms(us) } else { None }
}

fn restored(row: &Invoked) -> bool {
    row.phases.restore_us > 0
}

/// Every metric of an invocation.
const KINDS: [Kind; 20] = [
    kind(AWS_LAMBDA, "Invocations", Unit::COUNT, |_| Some(1.0)),
    kind(AWS_LAMBDA, "Errors", Unit::COUNT, |row| one_if(row.failed)),
    kind(AWS_LAMBDA, "Throttles", Unit::COUNT, |_| Some(0.0)),
    kind(AWS_LAMBDA, "Duration", Unit::MILLISECONDS, |row| ms(row.phases.handler_us)),
    Kind {
        all: Some(|row| Some(f64::from(row.concurrency.account))),
        ..kind(AWS_LAMBDA, "ConcurrentExecutions", Unit::COUNT, |row| Some(f64::from(row.concurrency.function)))
    },
    Kind {
        all: Some(|row| row.concurrency.unreserved.map(f64::from)),
        ..kind(AWS_LAMBDA, "UnreservedConcurrentExecutions", Unit::COUNT, |_| None)
    },
    Kind {
        all: Some(|row| Some(f64::from(row.concurrency.claimed))),
        ..kind(AWS_LAMBDA, "ClaimedAccountConcurrency", Unit::COUNT, |_| None)
    },
    ready("ProvisionedConcurrentExecutions", |row| row.ready.map(|ready| f64::from(ready.in_use))),
    ready("ProvisionedConcurrencyUtilization", |row| {
        row.ready.map(|ready| f64::from(ready.in_use) / f64::from(ready.wanted))
    }),
    ready("ProvisionedConcurrencyInvocations", |row| row.ready.and_then(|_| one_if(row.provisioned))),
    ready("ProvisionedConcurrencySpilloverInvocations", |row| row.ready.and_then(|_| one_if(!row.provisioned))),
    kind(LAMBENT, "ColdStarts", Unit::COUNT, |row| one_if(row.start == StartKind::Cold)),
    kind(LAMBENT, "QueueDuration", Unit::MILLISECONDS, |row| ms(row.phases.queue_us)),
    kind(LAMBENT, "SandboxDuration", Unit::MILLISECONDS, |row| when_cold(row, row.phases.sandbox_us)),
    kind(LAMBENT, "InitDuration", Unit::MILLISECONDS, |row| {
        when_cold(row, row.phases.init_us).filter(|_| !restored(row))
    }),
    kind(LAMBENT, "RestoreDuration", Unit::MILLISECONDS, |row| ms(row.phases.restore_us).filter(|_| restored(row))),
    kind(LAMBENT, "HandlerDuration", Unit::MILLISECONDS, |row| ms(row.phases.handler_us)),
    kind(LAMBENT, "CpuUser", Unit::MILLISECONDS, |row| ms(row.cpu_user_us)),
    kind(LAMBENT, "CpuSystem", Unit::MILLISECONDS, |row| ms(row.cpu_system_us)),
    kind(LAMBENT, "PeakMemory", Unit::BYTES, |row| Some(row.peak_memory_bytes as f64)),
];

/// Whose metrics, at which minute: rows that are alike in it are merged before they are spread over dimensions.
#[derive(PartialEq, Eq, Hash)]
struct Group {
    account: Account,
    region: Region,
    function_arn: Arc<str>,
    invoked_arn: Arc<str>,
    minute_ms: i64,
}

/// The cells of a group: of its function, and for all functions together where that differs.
#[derive(Default)]
struct Cells([[Option<Cell>; 2]; KINDS.len()]);

fn push(slot: &mut Option<Cell>, value: Option<f64>) {
    match (slot.as_mut(), value) {
        (Some(there), Some(value)) => there.push(value),
        (None, Some(value)) => *slot = Some(Cell::of(value, 1.0)),
        (_, None) => {}
    }
}

/// What invocations say, as few points as can be.
pub(crate) fn of_invocations(rows: &[Invoked], mut take: impl FnMut(Point)) {
    let mut groups: HashMap<Group, Cells> = HashMap::new();
    for row in rows {
        let group = Group {
            account: row.account,
            region: row.region.clone(),
            function_arn: Arc::clone(&row.function_arn),
            invoked_arn: Arc::clone(&row.invoked_arn),
            minute_ms: row.at.0 - row.at.0.rem_euclid(60_000),
        };
        let cells = groups.entry(group).or_default();
        for (kind, [one, all]) in KINDS.iter().zip(&mut cells.0) {
            push(one, (kind.value)(row));
            push(all, kind.all.and_then(|value| value(row)));
        }
    }
    for (group, cells) in groups {
        let Group { account, region, function_arn, invoked_arn, minute_ms } = group;
        let sets = dimensions(&invoked_arn, Some(&function_arn));
        for (kind, slots) in KINDS.iter().zip(cells.0) {
            let [one, all] = slots;
            for dimensions in &sets {
                if kind.of_resource && !is_resource(dimensions) {
                    continue;
                }
                let apart = dimensions.is_empty() && kind.all.is_some();
                let Some(cell) = (if apart { &all } else { &one }) else { continue };
                let metric =
                    Metric { namespace: kind.namespace.into(), name: kind.name.into(), dimensions: dimensions.clone() };
                let series = Series { account, region: region.clone(), metric };
                take(Point { series, unit: kind.unit, at_ms: minute_ms, high: false, cell: cell.clone() });
            }
        }
    }
}

/// What an event's news says.
pub(crate) fn of_event(account: Account, invoked_arn: &str, news: EventNews, at: Timestamp, take: impl FnMut(Point)) {
    let (name, unit, value) = match news {
        EventNews::Received => ("AsyncEventsReceived", Unit::COUNT, 1.0),
        EventNews::Begins(age_ms) => ("AsyncEventAge", Unit::MILLISECONDS, age_ms as f64),
        EventNews::Dropped => ("AsyncEventsDropped", Unit::COUNT, 1.0),
        EventNews::Recursive => ("RecursiveInvocationsDropped", Unit::COUNT, 1.0),
        EventNews::DeadLetterFailed => ("DeadLetterErrors", Unit::COUNT, 1.0),
        EventNews::DestinationFailed => ("DestinationDeliveryFailures", Unit::COUNT, 1.0),
    };
    spread(account, invoked_arn, (name, unit, value), at, take);
}

/// What a refusal for want of concurrency says.
pub(crate) fn of_throttle(account: Account, arn: &str, at: Timestamp, take: impl FnMut(Point)) {
    spread(account, arn, ("Throttles", Unit::COUNT, 1.0), at, take);
}

/// What the deployment of code or a layer says that no allowed publisher has signed.
pub(crate) fn of_unsigned(account: Account, arn: &str, at: Timestamp, take: impl FnMut(Point)) {
    spread(account, arn, ("SignatureValidationErrors", Unit::COUNT, 1.0), at, take);
}

fn spread(account: Account, arn: &str, (name, unit, value): (&str, Unit, f64), at: Timestamp, take: impl FnMut(Point)) {
    let Some(region) = arn.split(':').nth(3).and_then(|region| region.parse::<Region>().ok()) else { return };
    let points = dimensions(arn, None).into_iter().map(|dimensions| {
        let metric = Metric { namespace: AWS_LAMBDA.into(), name: name.into(), dimensions };
        let series = Series { account, region: region.clone(), metric };
        Point { series, unit, at_ms: at.0, high: false, cell: Cell::of(value, 1.0) }
    });
    points.for_each(take);
}

/// Whether these dimensions are those of an alias or a version, however that was called.
fn is_resource(dimensions: &[(String, String)]) -> bool {
    matches!(dimensions, [_, (by, resource)] if by == "Resource" && resource.contains(':'))
}

/// The sets of dimensions under which a call of a function is counted.
fn dimensions(invoked_arn: &str, function_arn: Option<&str>) -> Vec<Vec<(String, String)>> {
    let resource = invoked_arn.splitn(7, ':').nth(6).unwrap_or(invoked_arn);
    let (name, qualifier) = resource.split_once(':').map_or((resource, None), |(name, rest)| (name, Some(rest)));
    let function = ("FunctionName".to_owned(), name.to_owned());
    let by = ("Resource".to_owned(), resource.to_owned());
    let mut sets = vec![Vec::new(), vec![function.clone()], vec![function.clone(), by.clone()]];
    let is_alias = |text: &&str| *text != "$LATEST" && !text.bytes().all(|byte| byte.is_ascii_digit());
    if let (Some(_), Some(version)) = (qualifier.filter(is_alias), function_arn.and_then(|arn| arn.rsplit(':').next()))
    {
        sets.push(vec![("ExecutedVersion".to_owned(), version.to_owned()), function, by]);
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sets: &[Vec<(String, String)>]) -> Vec<String> {
        let one = |set: &Vec<(String, String)>| set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        sets.iter().map(one).map(|all: Vec<String>| all.join(",")).collect()
    }

    #[test]
    fn a_call_counts_for_its_function_its_alias_and_its_version() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        assert_eq!(names(&dimensions(arn, Some(arn))), ["", "FunctionName=f", "FunctionName=f,Resource=f"]);
        let sets = dimensions(&format!("{arn}:7"), Some(&format!("{arn}:7")));
        assert_eq!(names(&sets), ["", "FunctionName=f", "FunctionName=f,Resource=f:7"]);
        let sets = dimensions(&format!("{arn}:live"), Some(&format!("{arn}:7")));
        assert_eq!(
            names(&sets)[2..],
            ["FunctionName=f,Resource=f:live", "ExecutedVersion=7,FunctionName=f,Resource=f:live"]
        );
    }
}
