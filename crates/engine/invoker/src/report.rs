//! The platform's own lines in a function's log, in Lambda's words, and the error objects we answer when the function
//! can no longer speak. Pure.
//!
//! Source: AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle" (REPORT with Status and
//! Error Type, INIT_REPORT) and "Using CloudWatch Logs with Lambda". What is ours stands after AWS's part, behind a tab.

use base::{Invoked, Phases, RequestId, StartKind, Timestamp};
use bytes::Bytes;
use sandbox::ExitCause;

/// How REPORT says an invocation ended, when it did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Timeout,
    Error(String),
}

pub(crate) fn start(id: &RequestId, version: &str) -> String {
    format!("START RequestId: {id} Version: {version}")
}

pub(crate) fn end(id: &RequestId) -> String {
    format!("END RequestId: {id}")
}

/// What REPORT is made of beside the row.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) row: &'a Invoked,
    /// AWS's Duration: the handler's, and an INIT that ran within the invocation, microseconds.
    pub(crate) duration_us: u64,
    /// Whether INIT succeeded before the invocation: only then there is an Init Duration.
    pub(crate) init_shown: bool,
    pub(crate) status: Option<&'a Status>,
    /// When the first byte of a streamed response came, since the handler began, microseconds.
    pub(crate) first_byte_us: Option<u64>,
    /// What of restoring is billed, microseconds.
    pub(crate) restore_billed_us: u64,
    /// A web function's request: method, path and status.
    pub(crate) http: Option<&'a str>,
    /// Whether the walls are weak.
    pub(crate) weak: bool,
}

pub(crate) fn report(report: &Report<'_>) -> String {
    use std::fmt::Write as _;
    let Report { row, duration_us, .. } = report;
    let used_mb = row.peak_memory_bytes.div_ceil(1 << 20).min(u64::from(row.memory_mb));
    let mut line = String::with_capacity(400);
    // Writing to a String cannot fail.
    let _ = write!(
        line,
        "REPORT RequestId: {}\tDuration: {}\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {used_mb} MB\t",
        row.request,
        Ms(*duration_us),
        row.billed_ms,
        row.memory_mb,
    );
    if report.init_shown && row.start == StartKind::Cold && row.phases.restore_us == 0 {
        let _ = write!(line, "Init Duration: {}\t", Ms(row.phases.init_us));
    }
    if row.phases.restore_us > 0 {
        let billed_ms = report.restore_billed_us.div_ceil(1000);
        let restore = Ms(row.phases.restore_us);
        let _ = write!(line, "Restore Duration: {restore}\tBilled Restore Duration: {billed_ms} ms\t");
    }
    match report.status {
        Some(Status::Timeout) => line.push_str("Status: timeout\t"),
        Some(Status::Error(kind)) => {
            let _ = write!(line, "Status: error\tError Type: {kind}\t");
        }
        None => {}
    }
    let Phases { queue_us, sandbox_us, init_us, restore_us, handler_us } = row.phases;
    let (queue, sandbox, init, handler) = (Ms(queue_us), Ms(sandbox_us), Ms(init_us), Ms(handler_us));
    let (user, system) = (Ms(row.cpu_user_us), Ms(row.cpu_system_us));
    let (phase, began) = if restore_us > 0 { ("restore", Ms(restore_us)) } else { ("init", init) };
    let _ = write!(
        line,
        "Phases: queue {queue}, sandbox {sandbox}, {phase} {began}, handler {handler}\tCPU: user {user}, system {system}"
    );
    if let Some(first_byte_us) = report.first_byte_us {
        let _ = write!(line, "\tFirst byte: {}", Ms(first_byte_us));
    }
    if let Some(http) = report.http {
        let _ = write!(line, "\tHTTP: {http}");
    }
    if report.weak {
        line.push_str("\tWalls: weak");
    }
    line
}

/// `phase` is `init`, or `invoke` for an INIT that runs within the invocation.
pub(crate) fn init_report(init_us: u64, phase: &str, status: &Status) -> String {
    let duration = Ms(init_us);
    match status {
        Status::Timeout => format!("INIT_REPORT Init Duration: {duration}\tPhase: {phase}\tStatus: timeout"),
        Status::Error(kind) => {
            format!("INIT_REPORT Init Duration: {duration}\tPhase: {phase}\tStatus: error\tError Type: {kind}")
        }
    }
}

/// An INIT that ended well before any invocation: that of a snapshot.
pub(crate) fn init_succeeded(init_us: u64) -> String {
    format!("INIT_REPORT Init Duration: {}", Ms(init_us))
}

pub(crate) fn init_start(runtime: &str) -> String {
    format!("INIT_START {runtime}")
}

pub(crate) fn restore_start(runtime: &str) -> String {
    format!("RESTORE_START {runtime}")
}

/// Source: AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle", failures during the
/// Restore phase.
pub(crate) fn restore_report(restore_us: u64, status: Option<&Status>) -> String {
    let duration = Ms(restore_us);
    match status {
        None => format!("RESTORE_REPORT Restore Duration: {duration}"),
        Some(Status::Timeout) => format!("RESTORE_REPORT Restore Duration: {duration}\tStatus: timeout"),
        Some(Status::Error(kind)) => {
            format!("RESTORE_REPORT Restore Duration: {duration}\tStatus: error\tError Type: {kind}")
        }
    }
}

pub(crate) fn timed_out(at: Timestamp, id: &RequestId, timeout_ms: u64) -> String {
    let (year, month, day, hour, minute, second, milli) = at.civil();
    let after = seconds(timeout_ms);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z {id} Task timed out after {after} seconds"
    )
}

/// The two lines of a process that ended without an answer.
pub(crate) fn exited(id: &RequestId, cause: ExitCause) -> [String; 2] {
    [format!("RequestId: {id} Error: {}", exit_words(cause)), exit_type(cause).to_owned()]
}

pub(crate) fn timeout_error(id: &RequestId, timeout_ms: u64) -> Bytes {
    error_object(
        "Sandbox.Timedout",
        &format!("RequestId: {id} Error: Task timed out after {} seconds", seconds(timeout_ms)),
    )
}

pub(crate) fn exit_error(id: &RequestId, cause: ExitCause) -> Bytes {
    error_object(exit_type(cause), &format!("RequestId: {id} Error: {}", exit_words(cause)))
}

/// What Lambda calls a program that cannot be started.
pub(crate) const INVALID_ENTRYPOINT: &str = "Runtime.InvalidEntrypoint";

pub(crate) fn entrypoint_error(id: &RequestId, why: &str) -> Bytes {
    error_object(INVALID_ENTRYPOINT, &format!("RequestId: {id} Error: {why}"))
}

/// What is told of a response that ended before it was whole.
pub(crate) fn stream_error(id: &RequestId, error_type: &str, why: &str) -> Bytes {
    error_object(error_type, &format!("RequestId: {id} Error: {why}"))
}

pub(crate) fn exit_type(cause: ExitCause) -> &'static str {
    if cause == ExitCause::OutOfMemory { "Runtime.OutOfMemory" } else { "Runtime.ExitError" }
}

fn error_object(kind: &str, message: &str) -> Bytes {
    let mut object = format!(r#"{{"errorType":"{kind}","errorMessage":""#);
    for c in message.chars() {
        match c {
            '"' | '\\' => object.extend(['\\', c]),
            // JSON's own way for control characters.
            '\0'..='\u{1f}' => object.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => object.push(c),
        }
    }
    object.push_str("\"}");
    object.into()
}

fn exit_words(cause: ExitCause) -> String {
    match cause {
        ExitCause::Exited(0) => "Runtime exited without providing a reason".into(),
        ExitCause::Exited(status) => format!("Runtime exited with error: exit status {status}"),
        ExitCause::Signaled(signal) => format!("Runtime exited with error: signal: {}", signal_name(signal)),
        ExitCause::OutOfMemory | ExitCause::Killed | ExitCause::HelperLost => {
            "Runtime exited with error: signal: killed".into()
        }
    }
}

/// Linux's signals in the words Lambda uses.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        31 => "bad system call",
        other => return format!("signal {other}"),
    };
    name.into()
}

/// Microseconds, shown as milliseconds.
struct Ms(u64);

impl std::fmt::Display for Ms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whole numbers, so that no rounding of floats shows: hundredths of a millisecond, rounded to the nearest.
        let hundredths = (self.0 + 5) / 10;
        write!(f, "{}.{:02} ms", hundredths / 100, hundredths % 100)
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02}", ms / 1000, ms % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Account, EnvironmentId, Region};

    fn row() -> Invoked {
        Invoked {
            account: Account::DEFAULT,
            region: Region::default_region(),
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
            invoked_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
            request: "527cb862-4f5e-49a9-9ae4-a7edc90f0fda".parse().unwrap(),
            environment: Some(EnvironmentId(7)),
            at: Timestamp(0),
            start: StartKind::Cold,
            provisioned: false,
            ready: None,
            phases: Phases { queue_us: 12, sandbox_us: 1_200, init_us: 120_114, restore_us: 0, handler_us: 1_234 },
            cpu_user_us: 800,
            cpu_system_us: 200,
            peak_memory_bytes: 40 << 20,
            memory_mb: 128,
            tmp_mb: 512,
            arm: false,
            concurrency: base::Concurrency::default(),
            billed_ms: 122,
            failed: false,
            by_receipt: false,
        }
    }

    #[test]
    fn report_has_awss_part_first() {
        let row = row();
        let mut what = Report {
            row: &row,
            duration_us: 1_234,
            init_shown: true,
            status: None,
            first_byte_us: None,
            restore_billed_us: 0,
            http: None,
            weak: false,
        };
        assert_eq!(
            report(&what),
            "REPORT RequestId: 527cb862-4f5e-49a9-9ae4-a7edc90f0fda\tDuration: 1.23 ms\tBilled Duration: 122 ms\t\
             Memory Size: 128 MB\tMax Memory Used: 40 MB\tInit Duration: 120.11 ms\t\
             Phases: queue 0.01 ms, sandbox 1.20 ms, init 120.11 ms, handler 1.23 ms\tCPU: user 0.80 ms, system 0.20 ms"
        );
        what.status = Some(&Status::Timeout);
        what.weak = true;
        assert!(report(&what).contains("Init Duration: 120.11 ms\tStatus: timeout\tPhases:"));
        assert!(report(&what).ends_with("\tWalls: weak"));
        what.first_byte_us = Some(980);
        assert!(report(&what).ends_with("system 0.20 ms\tFirst byte: 0.98 ms\tWalls: weak"));
        what.init_shown = false;
        let status = Status::Error("Runtime.OutOfMemory".into());
        what.status = Some(&status);
        assert!(
            report(&what).contains("Max Memory Used: 40 MB\tStatus: error\tError Type: Runtime.OutOfMemory\tPhases:")
        );
    }

    #[test]
    fn a_restore_is_reported_as_on_lambda() {
        let mut row = row();
        row.phases = Phases { restore_us: 4_567, init_us: 0, ..row.phases };
        let what = Report {
            row: &row,
            duration_us: 1_234,
            init_shown: true,
            status: None,
            first_byte_us: None,
            restore_billed_us: 1_200,
            http: None,
            weak: false,
        };
        let line = report(&what);
        let middle = "Max Memory Used: 40 MB\tRestore Duration: 4.57 ms\tBilled Restore Duration: 2 ms\tPhases:";
        assert!(line.contains(middle) && !line.contains("Init Duration"), "{line}");
        assert!(line.contains("sandbox 1.20 ms, restore 4.57 ms, handler"), "{line}");
        assert_eq!(restore_report(1_236_040, None), "RESTORE_REPORT Restore Duration: 1236.04 ms");
        assert_eq!(
            restore_report(1_236_040, Some(&Status::Timeout)),
            "RESTORE_REPORT Restore Duration: 1236.04 ms\tStatus: timeout"
        );
        assert_eq!(
            restore_report(1_236_040, Some(&Status::Error("Runtime.ExitError".into()))),
            "RESTORE_REPORT Restore Duration: 1236.04 ms\tStatus: error\tError Type: Runtime.ExitError"
        );
    }

    #[test]
    fn the_other_lines_are_lambdas() {
        let id = row().request;
        assert_eq!(start(&id, "$LATEST"), format!("START RequestId: {id} Version: $LATEST"));
        assert_eq!(
            timed_out(Timestamp(1_709_572_958_033), &id, 3_000),
            format!("2024-03-04T17:22:38.033Z {id} Task timed out after 3.00 seconds")
        );
        assert_eq!(
            init_report(10_008_420, "init", &Status::Timeout),
            "INIT_REPORT Init Duration: 10008.42 ms\tPhase: init\tStatus: timeout"
        );
        assert_eq!(
            init_report(206_720, "init", &Status::Error("Runtime.ExitError".into())),
            "INIT_REPORT Init Duration: 206.72 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"
        );
    }

    #[test]
    fn the_error_objects_are_lambdas() {
        let id = row().request;
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text(timeout_error(&id, 3_000)),
            format!(
                r#"{{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: {id} Error: Task timed out after 3.00 seconds"}}"#
            )
        );
        assert_eq!(
            text(entrypoint_error(&id, "fork/exec /é\"\\\n")),
            format!(
                r#"{{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: {id} Error: fork/exec /é\"\\\u000a"}}"#
            )
        );
        for (cause, kind, words) in [
            (ExitCause::Exited(0), "Runtime.ExitError", "Runtime exited without providing a reason"),
            (ExitCause::Exited(1), "Runtime.ExitError", "Runtime exited with error: exit status 1"),
            (ExitCause::Signaled(11), "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault"),
            (ExitCause::OutOfMemory, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
        ] {
            assert_eq!(
                text(exit_error(&id, cause)),
                format!(r#"{{"errorType":"{kind}","errorMessage":"RequestId: {id} Error: {words}"}}"#)
            );
        }
    }
}
