//! The rows of metrics, in [`store::Space::Usage`].
//!
//! - `metric/<account>/<region>/<namespace>\0<name>\0<id, 32 digits>`: that there is such a series, JSON.
//! - `cell/<id 16><tier 1><second 8><unit 1>`: what was seen in one period of it. The id is made from everything that names
//!   the series, so that a writer need not look it up.
//!
//! Each period of a minute or longer lies in one tier only: it is rolled up into the next when it is old.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Digest;

use super::{Metric, Series, Unit};

/// The prefix of the directory.
pub(crate) const DIRECTORY: &str = "metric/";
/// The prefix of the cells.
const CELLS: &[u8] = b"cell/";

/// A series as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) metric: Metric,
    /// When values last came in, to within [`super::pending::SEEN_MS`], product time.
    pub(crate) seen_ms: i64,
}

/// How finely time is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// By the second, only for series of high resolution, besides the minute.
    Second,
    /// By the minute.
    Minute,
    /// By five minutes.
    Five,
    /// By the hour.
    Hour,
}

/// Seconds in a day.
const DAY_S: i64 = 86_400;

impl Tier {
    pub(crate) const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Five, Self::Hour];

    /// The length of its periods, seconds.
    pub(crate) const fn period_s(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Five => 300,
            Self::Hour => 3600,
        }
    }

    /// How long it is kept, seconds. Source: Amazon CloudWatch User Guide, "Metrics retention".
    pub(crate) const fn kept_s(self) -> i64 {
        match self {
            Self::Second => 3 * 3600,
            Self::Minute => 15 * DAY_S,
            Self::Five => 63 * DAY_S,
            Self::Hour => 455 * DAY_S,
        }
    }

    /// Into which tier it is rolled up when its time is over; none: it goes.
    pub(crate) const fn next(self) -> Option<Self> {
        match self {
            // The minute has it already.
            Self::Second | Self::Hour => None,
            Self::Minute => Some(Self::Five),
            Self::Five => Some(Self::Hour),
        }
    }
}

/// Names the cells of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id([u8; 16]);

impl Series {
    /// The prefix of its account's and region's part of the directory.
    pub(crate) fn directory(&self) -> String {
        format!("{DIRECTORY}{}/{}/", self.account, self.region)
    }

    pub(crate) fn id(&self) -> Id {
        let Metric { namespace, name, dimensions } = &self.metric;
        let mut text = format!("{}/{}/{namespace}\0{name}", self.account, self.region);
        for (name, value) in dimensions {
            // Lengths, so that no two lists of dimensions are spelt alike.
            text += &format!("\0{}:{name}{}:{value}", name.len(), value.len());
        }
        let digest = Digest::of(text.as_bytes());
        Id(std::array::from_fn(|at| digest.as_bytes().get(at).copied().unwrap_or_default()))
    }

    /// Its row in the directory.
    pub(crate) fn row(&self, id: Id) -> Vec<u8> {
        let mut row = format!("{}{}\0{}\0", self.directory(), self.metric.namespace, self.metric.name).into_bytes();
        for byte in id.0 {
            row.extend_from_slice(format!("{byte:02x}").as_bytes());
        }
        row
    }
}

impl Id {
    /// The prefix of a tier's cells.
    pub(crate) fn tier(self, tier: Tier) -> Vec<u8> {
        let mut row = CELLS.to_vec();
        row.extend_from_slice(&self.0);
        row.push(tier as u8);
        row
    }

    /// The first row of a tier at or after a second.
    pub(crate) fn from(self, tier: Tier, second: i64) -> Vec<u8> {
        let mut row = self.tier(tier);
        row.extend_from_slice(&second.max(0).to_be_bytes());
        row
    }

    /// The row of one cell.
    pub(crate) fn cell(self, tier: Tier, second: i64, unit: Unit) -> Bytes {
        let mut row = self.from(tier, second);
        row.push(unit.0);
        row.into()
    }
}

/// The second and the unit of a cell, from its row.
pub(crate) fn place(row: &[u8]) -> Option<(i64, Unit)> {
    let (unit, rest) = row.split_last()?;
    let second = i64::from_be_bytes(rest.get(rest.len().checked_sub(8)?..)?.try_into().ok()?);
    Some((second, Unit(*unit)))
}

/// The series of a directory's row.
pub(crate) fn series(row: &[u8], entry: &Entry) -> Option<Series> {
    let text = std::str::from_utf8(row).ok()?;
    let mut parts = text.strip_prefix(DIRECTORY)?.splitn(3, '/');
    let (account, region) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Series { account, region, metric: entry.metric.clone() })
}
