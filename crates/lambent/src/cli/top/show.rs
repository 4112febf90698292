//! A snapshot as a table for people and as JSON for programs.

use serde_json::{Value, json};

use super::Sort;
use super::reading::{Counted, Phases, Rates, Row, Snapshot};

const PHASES: [&str; 5] = ["queue", "sandbox", "init", "restore", "handler"];

/// Puts what is to be seen first.
pub(super) fn sort(rows: &mut [Row], by: Sort) {
    let environments = |row: &Row| (row.of.starting + row.of.idle + row.of.busy) as f64;
    let key = |row: &Row| match by {
        Sort::Name => (0.0, 0),
        Sort::Invocations => (row.rates.invocations, row.of.counted.invocations),
        Sort::Errors => (row.rates.errors, row.of.counted.errors),
        Sort::Throttles => (row.rates.throttles, row.of.counted.throttles),
        Sort::Environments => (environments(row), 0),
        Sort::Handler => (0.0, row.phases[4].map_or(0, |handler| handler.p99_us)),
        Sort::Memory => (0.0, row.of.peak_memory_bytes),
        Sort::Cpu => {
            (row.rates.cpu_user + row.rates.cpu_system, row.of.counted.cpu_user_us + row.of.counted.cpu_system_us)
        }
    };
    rows.sort_by(|a, b| {
        let ((rate, total), (other_rate, other_total)) = (key(a), key(b));
        let more = other_rate.total_cmp(&rate).then(other_total.cmp(&total));
        let name = |row: &Row| (row.of.function.clone(), row.of.version.clone(), row.of.region.clone());
        more.then_with(|| name(a).cmp(&name(b)))
    });
}

/// Whether a function's name is meant: it contains the text, or matches the whole pattern where that has `*` or `?`.
pub(super) fn is_meant(pattern: &str, name: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return name.contains(pattern);
    }
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // The last star, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[seen] => (at, seen) = (at + 1, seen + 1),
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    (at, seen) = (*place + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// One object, for programs.
pub(super) fn as_json(snapshot: &Snapshot) -> Value {
    let rates = |rates: &Rates| {
        snapshot.interval_us.map(|_| {
            json!({
                "invocations": rounded(rates.invocations),
                "errors": rounded(rates.errors),
                "throttles": rounded(rates.throttles),
                "refusals": rounded(rates.refusals),
                "cpuUserMs": rounded(rates.cpu_user * 1e3),
                "cpuSystemMs": rounded(rates.cpu_system * 1e3),
            })
        })
    };
    let functions = snapshot.rows.iter().map(|row| {
        let of = &row.of;
        json!({
            "function": of.function,
            "version": of.version,
            "region": of.region,
            "environments": {
                "starting": of.starting,
                "idle": of.idle,
                "frozen": of.frozen,
                "busy": of.busy,
                "provisioned": of.provisioned,
            },
            "total": counted(&of.counted),
            "perSecond": rates(&row.rates),
            "phases": phases(&row.phases),
            "memory": {"limitMb": of.memory_mb, "peakBytes": of.peak_memory_bytes, "privateBytes": of.private_memory_bytes},
        })
    });
    json!({
        "uptimeMs": snapshot.uptime_us / 1000,
        "intervalMs": snapshot.interval_us.map(|us| us / 1000),
        "environments": snapshot.environments,
        "running": snapshot.running,
        "waiting": snapshot.waiting,
        "total": counted(&snapshot.total),
        "perSecond": rates(&snapshot.rates),
        "functions": functions.collect::<Vec<_>>(),
    })
}

fn counted(counted: &Counted) -> Value {
    json!({
        "invocations": counted.invocations,
        "errors": counted.errors,
        "throttles": counted.throttles,
        "refusals": counted.refusals,
        "coldStarts": counted.cold_starts,
        "cpuUserMs": counted.cpu_user_us / 1000,
        "cpuSystemMs": counted.cpu_system_us / 1000,
    })
}

fn phases(phases: &Phases) -> Value {
    let named = PHASES.iter().zip(phases).map(|(name, found)| {
        let value = found.map(|found| {
            let ms = |us: u64| us as f64 / 1e3;
            json!({"count": found.count, "p50Ms": ms(found.p50_us), "p99Ms": ms(found.p99_us), "recent": found.recent})
        });
        ((*name).to_owned(), json!(value))
    });
    Value::Object(named.collect())
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// What it is of, in a line or two.
pub(super) fn head(endpoint: &str, snapshot: &Snapshot) -> Vec<String> {
    let Snapshot { uptime_us, environments, running, waiting, total, rates, .. } = snapshot;
    let rate = |value: f64| match snapshot.interval_us {
        Some(_) => format!("{value:.1}"),
        None => "-".into(),
    };
    vec![
        format!(
            "Lambent at {endpoint}, up {} · {environments} environments · {running} invocations under way, {waiting} waiting",
            spoken(uptime_us / 1_000_000)
        ),
        format!(
            "{} invocations/s · {} errors, {} throttles, {} refusals, {} cold starts in {} · CPUs {} user, {} system",
            rate(rates.invocations),
            total.errors,
            total.throttles,
            total.refusals,
            total.cold_starts,
            total.invocations,
            snapshot.interval_us.map_or("-".into(), |_| format!("{:.2}", rates.cpu_user)),
            snapshot.interval_us.map_or("-".into(), |_| format!("{:.2}", rates.cpu_system)),
        ),
        String::new(),
    ]
}

/// The first `most` rows. A region is named where it is not `region`.
pub(super) fn table(snapshot: &Snapshot, region: &str, most: usize) -> Vec<String> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let counts = ["FUNCTION", "START", "IDLE", "FROZEN", "BUSY", "PROV", "INV/S", "INVOKED", "ERRORS", "THROTTLES"];
    let times = PHASES.map(|phase| format!("{} MS", phase.to_uppercase()));
    let resources = ["NOW MB", "PEAK MB", "CPU%"];
    table.set_header(counts.map(str::to_owned).into_iter().chain(times).chain(resources.map(str::to_owned)));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    for row in snapshot.rows.iter().take(most) {
        let Row { of, rates, phases } = row;
        let has_rates = snapshot.interval_us.is_some();
        let mut cells = vec![
            name(row, region),
            of.starting.to_string(),
            of.idle.to_string(),
            of.frozen.to_string(),
            of.busy.to_string(),
            of.provisioned.to_string(),
            if has_rates { format!("{:.1}", rates.invocations) } else { "-".into() },
            of.counted.invocations.to_string(),
            of.counted.errors.to_string(),
            of.counted.throttles.to_string(),
        ];
        cells.extend(phases.iter().map(|found| match found {
            // What is not of late stands in brackets; nothing is, where everything is asked for.
            Some(found) => {
                let text = format!("{}/{}", ms(found.p50_us), ms(found.p99_us));
                if found.recent || snapshot.of_everything { text } else { format!("({text})") }
            }
            None => "-".into(),
        }));
        cells.push(of.private_memory_bytes.div_ceil(1 << 20).to_string());
        cells.push(format!("{}/{}", of.peak_memory_bytes.div_ceil(1 << 20), of.memory_mb));
        let cpu = |share: f64| format!("{:.0}", share * 100.0);
        cells.push(if has_rates { format!("{}/{}", cpu(rates.cpu_user), cpu(rates.cpu_system)) } else { "-".into() });
        table.add_row(cells);
    }
    table.to_string().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// `name`, `name:3`, `eu-west-1/name`.
fn name(row: &Row, region: &str) -> String {
    let of = &row.of;
    let mut name = if of.region == region { String::new() } else { format!("{}/", of.region) };
    name += &of.function;
    if of.version != "$LATEST" {
        name += &format!(":{}", of.version);
    }
    // A terminal must not be told what to do by what it shows.
    name.replace(char::is_control, "?")
}

fn ms(us: u64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        0..10_000 => format!("{ms:.2}"),
        10_000..100_000 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

fn spoken(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::reading::{History, tests::reading};
    use super::*;

    fn snapshot() -> Snapshot {
        let mut history = History::default();
        let mut first = reading(60, "slow", 100, &[(2_000_000, 1)]);
        first.versions.extend(reading(60, "quick", 5, &[(50, 1)]).versions);
        history.take(first.clone());
        let mut then = first;
        then.uptime_us += 2_000_000;
        then.versions[1].counted.invocations += 10;
        then.versions[1].spread.handler = vec![(50, 11)];
        then.versions[1].version = "3".into();
        then.versions[1].region = "eu-west-1".into();
        history.take(then)
    }

    #[test]
    fn a_pattern_is_a_part_of_the_name_or_with_stars_all_of_it() {
        for (pattern, name) in
            [("", "a"), ("ell", "hello"), ("h*o", "hello"), ("*", "x"), ("h?llo", "hello"), ("*l*l*", "hello")]
        {
            assert!(is_meant(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("hey", "hello"), ("h*x", "hello"), ("?", "ab"), ("ello*", "hello"), ("h?llo?", "hello")]
        {
            assert!(!is_meant(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn every_order_puts_the_most_first_and_names_in_order() {
        let mut rows = snapshot().rows;
        let names = |rows: &[Row]| rows.iter().map(|row| row.of.function.clone()).collect::<Vec<_>>();
        sort(&mut rows, Sort::Handler);
        assert_eq!(names(&rows), ["slow", "quick"]);
        for by in [Sort::Invocations, Sort::Name, Sort::Errors] {
            sort(&mut rows, by);
            assert_eq!(names(&rows), ["quick", "slow"], "{by:?}");
        }
        rows[0].of.busy = 0;
        rows[1].of.idle = 1;
        sort(&mut rows, Sort::Environments);
        assert_eq!(names(&rows), ["slow", "quick"]);
    }

    #[test]
    fn a_table_names_each_version_and_marks_what_is_old() {
        let lines = table(&snapshot(), "us-east-1", 10);
        assert!(lines[0].contains("FUNCTION") && lines.len() == 3, "{lines:#?}");
        // A head for each cell: what stands below the last one is the CPU's.
        let (heads, cells) = (columns(&lines[0]), columns(&lines[2]));
        assert_eq!(heads.len(), cells.len(), "{lines:#?}");
        assert!(lines[1].contains("slow") && lines[1].contains("(2000/2000)"), "{lines:#?}");
        assert!(lines[2].contains("eu-west-1/quick:3"), "{lines:#?}");
        assert_eq!(table(&snapshot(), "us-east-1", 1).len(), 2);
        let head = head("http://x", &snapshot());
        assert!(head[0].contains("up 1m2s"), "{head:#?}");
    }

    /// Columns stand apart by two spaces or more.
    fn columns(line: &str) -> Vec<&str> {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
    }

    #[test]
    fn json_says_which_percentiles_are_of_late() {
        let value = as_json(&snapshot());
        assert_eq!(value["intervalMs"], 2000);
        let slow = &value["functions"][0];
        assert_eq!(
            (&slow["phases"]["handler"]["p99Ms"], &slow["phases"]["handler"]["recent"]),
            (&json!(2000.0), &json!(false))
        );
        assert_eq!((&slow["phases"]["init"], &slow["perSecond"]["invocations"]), (&Value::Null, &json!(0.0)));
        let mut first = History::default();
        assert_eq!(as_json(&first.take(reading(1, "f", 1, &[])))["perSecond"], Value::Null);
    }
}
