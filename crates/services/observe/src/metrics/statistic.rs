//! Which number is asked of a cell.
//!
//! Source: Amazon CloudWatch User Guide, "CloudWatch statistics definitions".

use super::cell::Cell;

/// A statistic by its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    /// `p99`: 0 to 100.
    Percentile(f64),
    /// Over the values between two percentiles.
    Between(Over, f64, f64),
}

/// What is made of the values between two percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// `tm`: their mean.
    TrimmedMean,
    /// `tc`: how many.
    TrimmedCount,
    /// `ts`: their sum.
    TrimmedSum,
    /// `wm`: the mean of all, those outside counted as the nearest inside.
    WinsorizedMean,
}

impl Statistic {
    /// Reads a name: `Sum`, `p99.9`, `tm90`, `tm(10%:90%)`, `IQM`; none if there is no such statistic here.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name {
            "SampleCount" => return Some(Self::SampleCount),
            "Average" => return Some(Self::Average),
            "Sum" => return Some(Self::Sum),
            "Minimum" => return Some(Self::Minimum),
            "Maximum" => return Some(Self::Maximum),
            "IQM" => return Some(Self::Between(Over::TrimmedMean, 25.0, 75.0)),
            _ => {}
        }
        if let Some(rest) = name.strip_prefix('p') {
            return percent(rest).map(Self::Percentile);
        }
        let (kind, rest) = name.split_at_checked(2)?;
        let over = match kind.to_ascii_lowercase().as_str() {
            "tm" => Over::TrimmedMean,
            "tc" => Over::TrimmedCount,
            "ts" => Over::TrimmedSum,
            "wm" => Over::WinsorizedMean,
            _ => return None,
        };
        if let Some(high) = percent(rest) {
            return Some(Self::Between(over, 0.0, high));
        }
        let (low, high) = rest.strip_prefix('(')?.strip_suffix(')')?.split_once(':')?;
        let bound = |text: &str, open: f64| match text {
            "" => Some(open),
            text => percent(text.strip_suffix('%')?),
        };
        let (low, high) = (bound(low, 0.0)?, bound(high, 100.0)?);
        (low < high).then_some(Self::Between(over, low, high))
    }

    /// Its value; none if the cell's values are not known one by one.
    pub(crate) fn of(self, cell: &Cell) -> Option<f64> {
        Some(match self {
            Self::SampleCount => cell.count,
            Self::Average => cell.sum / cell.count,
            Self::Sum => cell.sum,
            Self::Minimum => cell.min,
            Self::Maximum => cell.max,
            Self::Percentile(p) => {
                let rank = p / 100.0 * cell.count;
                let mut seen = 0.0;
                let mut values = cell.distribution()?.into_iter();
                // A hair of leave for the sum of fractions.
                let found = values.find(|(_, count)| {
                    seen += count;
                    seen >= rank - 1e-9
                });
                found.map_or(cell.max, |(value, _)| value)
            }
            Self::Between(over, low, high) => between(cell, over, low, high)?,
        })
        .filter(|value: &f64| value.is_finite())
    }
}

fn percent(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.len() <= 14 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = plain.then(|| text.parse().ok())??;
    (0.0..=100.0).contains(&value).then_some(value)
}

fn between(cell: &Cell, over: Over, low: f64, high: f64) -> Option<f64> {
    let (from, to) = (low / 100.0 * cell.count, high / 100.0 * cell.count);
    let (mut seen, mut sum, mut inside) = (0.0, 0.0, 0.0);
    let (mut first, mut last) = (None, 0.0);
    for (value, count) in cell.distribution()? {
        let part = ((seen + count).min(to) - f64::max(seen, from)).max(0.0);
        seen += count;
        if part > 0.0 {
            sum += value * part;
            inside += part;
            first = first.or(Some(value));
            last = value;
        }
    }
    Some(match over {
        Over::TrimmedMean => sum / inside,
        Over::TrimmedCount => inside,
        Over::TrimmedSum => sum,
        Over::WinsorizedMean => (sum + first? * from + last * (cell.count - to)) / cell.count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_wrong_ones_are_not() {
        assert_eq!(Statistic::of_name("p99.9"), Some(Statistic::Percentile(99.9)));
        assert_eq!(Statistic::of_name("tm90"), Some(Statistic::Between(Over::TrimmedMean, 0.0, 90.0)));
        assert_eq!(Statistic::of_name("tc(10%:)"), Some(Statistic::Between(Over::TrimmedCount, 10.0, 100.0)));
        for wrong in ["", "p", "p101", "p-1", "pnan", "p1e1", "sum", "tm", "tm(9:10)", "tm(90%:10%)", "PR(:300)", "é"]
        {
            assert_eq!(Statistic::of_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_lies_between_two_percentiles() {
        let mut cell = Cell::of(1.0, 1.0);
        (2..=10).for_each(|value| cell.merge(&Cell::of(f64::from(value), 1.0)));
        let of = |name: &str| Statistic::of_name(name).unwrap().of(&cell).unwrap();
        assert_eq!((of("p50"), of("p90"), of("p99"), of("p100"), of("p0")), (5.0, 9.0, 10.0, 10.0, 1.0));
        assert_eq!((of("tm90"), of("tc90"), of("ts90")), (5.0, 9.0, 45.0));
        assert_eq!(of("wm90"), 5.4);
        assert_eq!(of("tm(10%:90%)"), 5.5);
        assert_eq!(of("IQM"), 5.5);
    }
}
