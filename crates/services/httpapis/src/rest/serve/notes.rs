//! What a test of a method tells of its way: lines, each with its moment.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Clocks, Timestamp};

/// The lines so far.
pub(super) struct Notes {
    clocks: Arc<dyn Clocks>,
    text: Mutex<String>,
}

impl Notes {
    pub(super) fn new(clocks: &Arc<dyn Clocks>, id: &str) -> Self {
        Self { clocks: Arc::clone(clocks), text: Mutex::new(format!("Execution log for request {id}\n")) }
    }

    pub(super) fn add(&self, line: impl AsRef<str>) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let (moment, line) = (moment(self.clocks.product()), line.as_ref());
        // Writing to a text does not fail.
        let _ = writeln!(text, "{moment} : {line}");
    }

    pub(super) fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `Thu Apr 20 15:51:32 UTC 2023`
fn moment(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // The epoch began on a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (year, month, day, hour, minute, second, _) = at.civil();
    let weekday = DAYS[at.0.div_euclid(86_400_000).rem_euclid(7) as usize];
    let month = MONTHS[(month as usize - 1) % 12];
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year:04}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn moments_are_as_java_writes_them() {
        assert_eq!(super::moment(base::Timestamp(1_682_005_892_000)), "Thu Apr 20 15:51:32 UTC 2023");
        assert_eq!(super::moment(base::Timestamp(0)), "Thu Jan 01 00:00:00 UTC 1970");
    }
}
