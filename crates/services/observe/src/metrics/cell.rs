//! What was seen within one period of one series: count, sum, extremes, and the distribution in bounded room.
//!
//! Up to [`EXACT`] distinct values are kept as they are. More go into buckets whose bounds grow by 2 %, so that a
//! percentile is off by at most 1 % of its value.
//! Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", 2019.

use base::Fault;

/// Distinct values that are kept exactly.
const EXACT: usize = 48;
/// Buckets at most. Beyond, the lowest are merged: high percentiles stay exact to 1 %.
const BUCKETS: usize = 1024;
/// The ratio of a bucket's bounds.
const GROWTH: f64 = 1.02;
/// The bucket of zero, below all others.
const ZERO: i32 = i32::MIN;
/// The form of the encoded bytes.
const FORM: u8 = 1;

/// One period's values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    values: Values,
}

/// The distribution, ascending: how often each value was seen.
#[derive(Debug, Clone, PartialEq)]
enum Values {
    Exact(Vec<(f64, f64)>),
    Buckets(Vec<(i32, f64)>),
    /// A statistic set or a negative value was among them: there are no percentiles then, as on CloudWatch.
    Unknown,
}

impl Cell {
    /// A value that was seen `count` times.
    pub(crate) fn of(value: f64, count: f64) -> Self {
        let values = if value < 0.0 { Values::Unknown } else { Values::Exact(vec![(value, count)]) };
        Self { count, sum: value * count, min: value, max: value, values }
    }

    /// A statistic set. Its values are known only if all are the same.
    pub(crate) fn of_set(count: f64, sum: f64, min: f64, max: f64) -> Self {
        let same = min == max && min >= 0.0;
        let values = if same { Values::Exact(vec![(min, count)]) } else { Values::Unknown };
        Self { count, sum, min, max, values }
    }

    /// Adds one value in place: cheap, for what comes often.
    pub(crate) fn push(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        match &mut self.values {
            _ if value < 0.0 => self.values = Values::Unknown,
            Values::Exact(values) => {
                count(values, value, f64::total_cmp);
                if values.len() > EXACT {
                    self.values = Values::Buckets(buckets(values));
                }
            }
            Values::Buckets(buckets) => {
                count(buckets, bucket(value), i32::cmp);
                trim(buckets);
            }
            Values::Unknown => {}
        }
    }

    /// Adds what another cell has seen.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.values = match (std::mem::replace(&mut self.values, Values::Unknown), &other.values) {
            (Values::Exact(mine), Values::Exact(theirs)) => {
                let merged = merge(mine, theirs, f64::total_cmp);
                if merged.len() > EXACT { Values::Buckets(buckets(&merged)) } else { Values::Exact(merged) }
            }
            (Values::Buckets(mine), Values::Buckets(theirs)) => Values::Buckets(add(mine, theirs)),
            (Values::Buckets(mine), Values::Exact(theirs)) => Values::Buckets(add(mine, &buckets(theirs))),
            (Values::Exact(mine), Values::Buckets(theirs)) => Values::Buckets(add(buckets(&mine), theirs)),
            (Values::Unknown, _) | (_, Values::Unknown) => Values::Unknown,
        };
    }

    /// The distribution, ascending; none if it is not known.
    pub(crate) fn distribution(&self) -> Option<Vec<(f64, f64)>> {
        match &self.values {
            Values::Exact(values) => Some(values.clone()),
            Values::Buckets(buckets) => {
                let value = |bucket: i32| match bucket {
                    ZERO => 0.0,
                    bucket => (2.0 * GROWTH.powi(bucket) / (GROWTH + 1.0)).clamp(self.min, self.max),
                };
                Some(buckets.iter().map(|(bucket, count)| (value(*bucket), *count)).collect())
            }
            Values::Unknown => None,
        }
    }

    /// How many bytes [`Cell::encode`] makes; about what it takes in memory, too.
    pub(crate) fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Unknown => 0,
            Values::Exact(values) => values.len() * 16,
            Values::Buckets(buckets) => buckets.len() * 12,
        };
        34 + values
    }

    /// The bytes of a row.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORM];
        for number in [self.count, self.sum, self.min, self.max] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        match &self.values {
            Values::Unknown => out.push(b'u'),
            Values::Exact(values) => {
                out.push(b'e');
                for (value, count) in values {
                    out.extend_from_slice(&value.to_le_bytes());
                    out.extend_from_slice(&count.to_le_bytes());
                }
            }
            Values::Buckets(buckets) => {
                out.push(b'b');
                for (bucket, count) in buckets {
                    out.extend_from_slice(&bucket.to_le_bytes());
                    out.extend_from_slice(&count.to_le_bytes());
                }
            }
        }
        out
    }

    /// The cell of a row.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        Self::read(bytes).ok_or_else(|| Fault::internal("a row of metrics does not read; the data folder is damaged"))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (head, rest) = rest.split_at_checked(32)?;
        let (kind, rest) = rest.split_first()?;
        let number = |bytes: &[u8]| bytes.try_into().ok().map(f64::from_le_bytes);
        let at = |index: usize| number(head.get(index * 8..index * 8 + 8)?);
        if *form != FORM {
            return None;
        }
        let values = match kind {
            b'u' => Values::Unknown,
            b'e' => {
                let pairs = rest.chunks(16).map(|pair| Some((number(pair.get(..8)?)?, number(pair.get(8..)?)?)));
                Values::Exact(pairs.collect::<Option<_>>()?)
            }
            b'b' => {
                let bucket = |bytes: &[u8]| bytes.try_into().ok().map(i32::from_le_bytes);
                let pairs = rest.chunks(12).map(|pair| Some((bucket(pair.get(..4)?)?, number(pair.get(4..)?)?)));
                Values::Buckets(pairs.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Some(Self { count: at(0)?, sum: at(1)?, min: at(2)?, max: at(3)?, values })
    }
}

/// The bucket of a value that is not negative.
fn bucket(value: f64) -> i32 {
    if value < f64::MIN_POSITIVE {
        return ZERO;
    }
    // Values lie within 2^±1074: the index within ±38,000.
    (value.ln() / GROWTH.ln()).ceil() as i32
}

fn buckets(values: &[(f64, f64)]) -> Vec<(i32, f64)> {
    let mut out: Vec<(i32, f64)> = Vec::new();
    for (value, count) in values {
        let bucket = bucket(*value);
        match out.last_mut() {
            Some((last, sum)) if *last == bucket => *sum += count,
            _ => out.push((bucket, *count)),
        }
    }
    out
}

fn add(mine: Vec<(i32, f64)>, theirs: &[(i32, f64)]) -> Vec<(i32, f64)> {
    let mut merged = merge(mine, theirs, i32::cmp);
    trim(&mut merged);
    merged
}

/// Merges the lowest buckets until there are few enough.
fn trim(buckets: &mut Vec<(i32, f64)>) {
    let over = buckets.len().saturating_sub(BUCKETS);
    let lowest: f64 = buckets.drain(..over).map(|(_, count)| count).sum();
    if let Some((_, count)) = buckets.first_mut() {
        *count += lowest;
    }
}

/// Counts one more of a key in an ascending list.
fn count<K>(list: &mut Vec<(K, f64)>, key: K, order: impl Fn(&K, &K) -> std::cmp::Ordering) {
    match list.binary_search_by(|(there, _)| order(there, &key)) {
        Ok(at) => list.iter_mut().skip(at).take(1).for_each(|(_, count)| *count += 1.0),
        Err(at) => list.insert(at, (key, 1.0)),
    }
}

/// Two ascending lists as one; counts of the same key are added.
fn merge<K: Copy>(
    mine: Vec<(K, f64)>,
    theirs: &[(K, f64)],
    order: impl Fn(&K, &K) -> std::cmp::Ordering,
) -> Vec<(K, f64)> {
    let mut out: Vec<(K, f64)> = Vec::with_capacity(mine.len() + theirs.len());
    let (mut left, mut right) = (mine.into_iter().peekable(), theirs.iter().copied().peekable());
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some(one), Some(two)) if order(&one.0, &two.0).is_le() => left.next(),
            (_, Some(_)) => right.next(),
            (_, None) => left.next(),
        };
        let Some((key, count)) = next else { return out };
        match out.last_mut() {
            Some((last, sum)) if order(last, &key).is_eq() => *sum += count,
            _ => out.push((key, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::statistic::Statistic;
    use proptest::prelude::*;

    fn all(values: &[f64]) -> Cell {
        let mut cell = Cell::of(values[0], 1.0);
        values[1..].iter().for_each(|value| cell.push(*value));
        cell
    }

    proptest! {
        #[test]
        fn a_percentile_is_off_by_one_in_a_hundred_at_most(
            mut values in proptest::collection::vec(0.0..1e9f64, 1..400),
            p in 0.0..=100.0f64,
        ) {
            let cell = all(&values);
            values.sort_by(f64::total_cmp);
            let rank = ((p / 100.0 * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            let told = Statistic::Percentile(p).of(&cell).unwrap();
            prop_assert!((told - exact).abs() <= exact * 0.010_1 + 1e-9, "{told} for {exact}");
            prop_assert_eq!(cell.bytes(), cell.encode().len());
            prop_assert_eq!(Cell::decode(&cell.encode()).unwrap(), cell);
        }

        #[test]
        fn the_order_of_merging_changes_nothing(values in proptest::collection::vec(0.0..1e6f64, 2..200), at in 1usize..199) {
            let at = at.min(values.len() - 1);
            let mut halves = all(&values[..at]);
            halves.merge(&all(&values[at..]));
            let whole = all(&values);
            prop_assert_eq!(halves.distribution().unwrap().len(), whole.distribution().unwrap().len());
            prop_assert!((halves.sum - whole.sum).abs() < 1e-3);
        }
    }

    #[test]
    fn room_is_bounded_whatever_comes() {
        let mut cell = Cell::of(1e-300, 1.0);
        for step in 0..20_000 {
            cell.merge(&Cell::of(1e-300 * 1.05_f64.powi(step), 1.0));
        }
        assert!(cell.encode().len() < 64 + BUCKETS * 12);
        assert_eq!(cell.count, 20_001.0);
    }

    #[test]
    fn sets_and_negative_values_have_no_percentiles() {
        let mut cell = Cell::of(1.0, 2.0);
        assert!(cell.distribution().is_some());
        assert!(Cell::of_set(5.0, 10.0, 2.0, 2.0).distribution().is_some());
        assert!(Cell::of_set(5.0, 10.0, 1.0, 3.0).distribution().is_none());
        cell.merge(&Cell::of(-1.0, 1.0));
        assert_eq!((cell.distribution(), cell.min, cell.sum), (None, -1.0, 1.0));
        assert_eq!(Cell::decode(&cell.encode()).unwrap(), cell);
        assert!(Cell::decode(b"rubbish").is_err());
    }
}
