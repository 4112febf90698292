//! GetMetricStatistics.

use std::sync::Arc;

use base::{Fault, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::cloudwatch::{self, Datapoint, ops};

use super::{is_period, series, unit};
use crate::Observe;
use crate::metrics::Unit;
use crate::metrics::cell::Cell;
use crate::metrics::read::Stretch;
use crate::metrics::statistic::Statistic;
use crate::rules::metric::{combination, invalid, missing};

/// Data points of one answer at most.
const POINTS: i64 = 1440;

impl Handle<ops::GetMetricStatistics> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: cloudwatch::GetMetricStatisticsInput,
        _: Body,
    ) -> Result<Answer<cloudwatch::GetMetricStatisticsOutput>, Fault> {
        let (start, end) = (input.start_time.unwrap_or_default(), input.end_time.unwrap_or_default());
        let period_s = input.period.unwrap_or_default();
        check(start, end, period_s)?;
        if input.statistics.is_none() && input.extended_statistics.is_none() {
            return Err(missing("Must specify either Statistics or ExtendedStatistics"));
        }
        if input.statistics.is_some() && input.extended_statistics.is_some() {
            return Err(combination("Must specify either Statistics or ExtendedStatistics, not both"));
        }
        let plain = named(&input.statistics.unwrap_or_default(), "Statistics")?;
        let extended = named(&input.extended_statistics.unwrap_or_default(), "ExtendedStatistics")?;
        let label = input.metric_name.clone();
        let series = series(&context, input.namespace, input.metric_name, input.dimensions)?;
        let wanted = unit(input.unit.as_deref());
        let stretch = Stretch::rounded(start.0, end.0, period_s, wanted, self.clocks.product().0);
        let seen = self.read(move |room| stretch.read(&*room.kv, &series)).await?;
        let points = seen.into_iter().map(|((second, unit), cell)| point(second, unit, &cell, &plain, &extended));
        Ok(cloudwatch::GetMetricStatisticsOutput { label, datapoints: Some(points.collect()) }.into())
    }
}

fn check(start: Timestamp, end: Timestamp, period_s: i64) -> Result<(), Fault> {
    if start >= end {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    if !is_period(period_s) {
        return Err(invalid("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60."));
    }
    let points = (end.0.saturating_sub(start.0) / 1000).saturating_add(period_s - 1) / period_s;
    if points > POINTS {
        return Err(combination(format!(
            "You have requested up to {points} datapoints, which exceeds the limit of {POINTS}. You may reduce the \
             datapoints requested by increasing Period, or decreasing the time range."
        )));
    }
    Ok(())
}

fn named(names: &[String], member: &str) -> Result<Vec<(String, Statistic)>, Fault> {
    let read = |(index, name): (usize, &String)| {
        let statistic = Statistic::of_name(name).ok_or_else(|| {
            invalid(format!("The value {name} for parameter {member}.member.{} is invalid.", index + 1))
        });
        Ok((name.clone(), statistic?))
    };
    names.iter().enumerate().map(read).collect()
}

fn point(
    second: i64,
    unit: Unit,
    cell: &Cell,
    plain: &[(String, Statistic)],
    extended: &[(String, Statistic)],
) -> Datapoint {
    let of = |wanted: Statistic| plain.iter().any(|(_, one)| *one == wanted).then(|| wanted.of(cell)).flatten();
    let values = extended.iter().filter_map(|(name, statistic)| Some((name.clone(), statistic.of(cell)?)));
    Datapoint {
        timestamp: Some(Timestamp(second * 1000)),
        sample_count: of(Statistic::SampleCount),
        average: of(Statistic::Average),
        sum: of(Statistic::Sum),
        minimum: of(Statistic::Minimum),
        maximum: of(Statistic::Maximum),
        unit: Some(unit.as_str().to_owned()),
        extended_statistics: (!extended.is_empty()).then(|| values.collect()),
    }
}
