//! What every operation was asked and answered: counters for the metrics page.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::Fault;
use wire::Operation;

/// The counters of one operation. They only grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    // Answers of 4xx, denials and throttles not included.
    client_faults: AtomicU64,
    server_faults: AtomicU64,
    denied: AtomicU64,
    throttled: AtomicU64,
    // From the door to the answer.
    busy_us: AtomicU64,
}

impl Counters {
    pub(crate) fn answered(&self, took: Duration, fault: Option<&Fault>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.busy_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        match fault {
            None => {}
            Some(fault) if fault.status >= 500 => add(&self.server_faults),
            Some(fault) if fault.code.starts_with("AccessDenied") => add(&self.denied),
            Some(fault) if is_throttle(fault) => add(&self.throttled),
            Some(_) => add(&self.client_faults),
        }
    }

    fn print(&self, out: &mut String, operation: &Operation) {
        let (service, name) = (operation.service.name, operation.name);
        let rows = [
            ("lambent_calls_total", &self.calls),
            ("lambent_client_faults_total", &self.client_faults),
            ("lambent_server_faults_total", &self.server_faults),
            ("lambent_denied_total", &self.denied),
            ("lambent_throttled_total", &self.throttled),
            ("lambent_busy_microseconds_total", &self.busy_us),
        ];
        for (metric, counter) in rows {
            let value = counter.load(Ordering::Relaxed);
            writeln!(out, "{metric}{{service=\"{service}\",operation=\"{name}\"}} {value}")
                .expect("writing to memory does not fail");
        }
    }
}

/// Every operation that was ever called, in Prometheus's text format, by service and name.
pub(crate) fn print<'a>(all: impl Iterator<Item = (&'a Operation, &'a Counters)>) -> String {
    let mut called: Vec<_> = all.filter(|(_, counters)| counters.calls.load(Ordering::Relaxed) > 0).collect();
    called.sort_by_key(|(operation, _)| (operation.service.name, operation.name));
    let mut out = String::new();
    for (operation, counters) in called {
        counters.print(&mut out, operation);
    }
    out
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn is_throttle(fault: &Fault) -> bool {
    fault.status == 429 || fault.code.starts_with("Throttling") || fault.code == "RequestLimitExceeded"
}
