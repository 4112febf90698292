//! GetMetricData.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use base::{Fault, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use door::{Answer, Body, Context, Handle};
use model::cloudwatch::{self, MetricDataQuery, MetricDataResult, ops};

use super::names::{KEPT, Queries, Query, What};
use super::{is_period, refuse, series, unit, wrong};
use crate::Observe;
use crate::metrics::read::Stretch;
use crate::metrics::statistic::Statistic;
use crate::rules::math::{self, Error, Line, Names, Value};

/// Queries of one request at most.
const QUERIES: usize = 500;
/// Data points of one answer at most.
const POINTS: i64 = 100_800;

impl Handle<ops::GetMetricData> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: cloudwatch::GetMetricDataInput,
        _: Body,
    ) -> Result<Answer<cloudwatch::GetMetricDataOutput>, Fault> {
        let (start, end) = (input.start_time.unwrap_or_default(), input.end_time.unwrap_or_default());
        if start > end {
            return Err(wrong("The parameter EndTime must be greater than StartTime."));
        }
        if start == end {
            return Err(wrong("The parameter StartTime must not equal parameter EndTime."));
        }
        let most = input.max_datapoints.unwrap_or(POINTS);
        if !(1..=POINTS).contains(&most) {
            return Err(wrong(format!("The parameter MaxDatapoints must be between 1 and {POINTS}.")));
        }
        if let Some(zone) = input.label_options.and_then(|options| options.timezone)
            && !is_zone(&zone)
        {
            return Err(wrong(format!("The value {zone} for parameter LabelOptions.Timezone is invalid.")));
        }
        let skip = input.next_token.as_deref().map(read_token).transpose()?.unwrap_or(0);
        let given = input.metric_data_queries.unwrap_or_default();
        let queries = read(&context, given, start, end, self.clocks.product().0)?;
        let ascending = input.scan_by.as_deref() == Some("TimestampAscending");
        let page = Page { skip, most: usize::try_from(most).unwrap_or(1), ascending };
        let answer = self.read(move |room| answer(&queries, &*room.kv, &page)).await?;
        Ok(answer.into())
    }
}

/// Which part of each series is shown.
struct Page {
    skip: usize,
    most: usize,
    ascending: bool,
}

/// `+0130`
fn is_zone(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or_default();
    digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_token(text: &str) -> Result<usize, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = bytes.and_then(|text| text.strip_prefix("p/")?.parse().ok());
    // No series is longer than what a request may keep: such a place was never given.
    place.filter(|place| *place <= KEPT).ok_or_else(|| cloudwatch::invalid_next_token("The NextToken is invalid."))
}

fn read(
    context: &Context,
    given: Vec<MetricDataQuery>,
    start: Timestamp,
    end: Timestamp,
    now_ms: i64,
) -> Result<Vec<Query>, Fault> {
    if given.is_empty() {
        return Err(wrong("The parameter MetricDataQueries is required."));
    }
    if given.len() > QUERIES {
        return Err(wrong(format!("The collection MetricDataQueries must not have a size greater than {QUERIES}.")));
    }
    let mut ids = HashSet::new();
    let mut queries = Vec::with_capacity(given.len());
    for (index, query) in given.into_iter().enumerate() {
        let at = format!("MetricDataQueries.member.{}", index + 1);
        let query = read_one(context, query, &at, (start, end), now_ms)?;
        if !ids.insert(query.id.clone()) {
            return Err(wrong(format!(
                "The values for parameter id in MetricDataQueries are not unique: {}",
                query.id
            )));
        }
        queries.push(query);
    }
    Ok(queries)
}

fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn read_one(
    context: &Context,
    query: MetricDataQuery,
    at: &str,
    (start, end): (Timestamp, Timestamp),
    now_ms: i64,
) -> Result<Query, Fault> {
    let id = query.id.unwrap_or_default();
    if !is_id(&id) {
        return Err(wrong(format!(
            "The value {id} for parameter {at}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )));
    }
    let elsewhere = query.account_id.as_deref().is_some_and(|account| account != context.account.as_str());
    refuse("GetMetricData", "another account's AccountId", elsewhere)?;
    let dynamic = query.label.as_deref().is_some_and(|label| label.contains("${"));
    refuse("GetMetricData", "a dynamic Label", dynamic)?;
    let what = match (query.metric_stat, query.expression) {
        (Some(_), Some(_)) => {
            return Err(wrong(format!(
                "The parameters {at}.Expression and {at}.MetricStat are mutually exclusive and you have specified both."
            )));
        }
        (None, None) => return Err(wrong(format!("The parameter {at}.MetricStat is required."))),
        (None, Some(text)) => {
            refuse("GetMetricData", "the Period of an Expression", query.period.is_some())?;
            let insights = text.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("select "));
            refuse("GetMetricData", "a Metrics Insights query as Expression", insights)?;
            What::Math(math::parse(&text).map_err(|error| expression_fault(&id, error))?)
        }
        (Some(stat), None) => {
            refuse("GetMetricData", "Period beside MetricStat", query.period.is_some())?;
            let name = stat.stat.unwrap_or_default();
            let statistic = Statistic::of_name(&name).ok_or_else(|| {
                wrong(format!("The value for parameter {at}.MetricStat.Stat is not a valid statistic."))
            })?;
            let period_s = stat.period.unwrap_or_default();
            if !is_period(period_s) {
                let words = "must be 1, 5, 10, 20, 30 or a multiple of 60.";
                return Err(wrong(format!("The parameter {at}.MetricStat.Period {words}")));
            }
            let metric = stat.metric.unwrap_or_default();
            let series = series(context, metric.namespace, metric.metric_name, metric.dimensions)?;
            let stretch = Stretch::rounded(start.0, end.0, period_s, unit(stat.unit.as_deref()), now_ms);
            What::Stat { series, stretch, statistic, name }
        }
    };
    Ok(Query { id, label: query.label, shown: query.return_data.unwrap_or(true), what })
}

fn expression_fault(id: &str, error: Error) -> Fault {
    match error {
        Error::Wrong(why) => wrong(format!("Error in expression '{id}': {why}")),
        Error::NotHere(what) => Fault::not_implemented(what),
    }
}

fn answer(queries: &[Query], kv: &dyn store::Kv, page: &Page) -> Result<cloudwatch::GetMetricDataOutput, Fault> {
    let all = Queries::new(queries, kv);
    let mut lines: Vec<(&Query, Rc<Line>, bool)> = Vec::new();
    for query in queries.iter().filter(|query| query.shown) {
        let value = all.find(&query.id);
        if let Some(fault) = all.fault() {
            return Err(fault);
        }
        match value.map_err(|error| expression_fault(&query.id, error))? {
            Value::Line(line) => lines.push((query, line, false)),
            Value::Lines(many) => lines.extend(many.into_iter().map(|line| (query, line, true))),
            Value::Number(_) => {
                let why = Error::Wrong("The expression must give a time series, and gives one number".into());
                return Err(expression_fault(&query.id, why));
            }
        }
    }
    let labels = Labels::of(queries);
    // Each series has its share of the page, at least one value.
    let share = (page.most / lines.len().max(1)).max(1);
    let mut more = false;
    let results = lines.into_iter().map(|(query, line, several)| {
        let label = labels.label(query, several.then_some(line.name.as_str()));
        let left = line.values.len() > page.skip + share;
        more |= left;
        let point = |(second, value): (&i64, &f64)| (Timestamp(second * 1000), *value);
        let (timestamps, values) = if page.ascending {
            line.values.iter().skip(page.skip).take(share).map(point).unzip()
        } else {
            line.values.iter().rev().skip(page.skip).take(share).map(point).unzip()
        };
        MetricDataResult {
            id: Some(query.id.clone()),
            label: Some(label),
            timestamps: Some(timestamps),
            values: Some(values),
            status_code: Some(if left { "PartialData" } else { "Complete" }.to_owned()),
            messages: None,
        }
    });
    let results: Vec<MetricDataResult> = results.collect();
    let next_token = more.then(|| URL_SAFE_NO_PAD.encode(format!("p/{}", page.skip + share)));
    Ok(cloudwatch::GetMetricDataOutput { metric_data_results: Some(results), next_token, messages: Some(Vec::new()) })
}

/// What a label must tell besides the metric's name: what differs between the queries.
struct Labels {
    statistic: bool,
    period: bool,
}

impl Labels {
    fn of(queries: &[Query]) -> Self {
        let stats = || {
            queries.iter().filter_map(|query| match &query.what {
                What::Stat { stretch, name, .. } => Some((stretch.period_s, name)),
                What::Math(_) => None,
            })
        };
        let names: HashSet<&String> = stats().map(|(_, name)| name).collect();
        let periods: HashSet<i64> = stats().map(|(period_s, _)| period_s).collect();
        Self { statistic: names.len() > 1, period: periods.len() > 1 }
    }

    /// `line` names one of several series that an expression gives.
    fn label(&self, query: &Query, line: Option<&str>) -> String {
        if let Some(label) = &query.label {
            return label.clone();
        }
        match &query.what {
            What::Math(_) => line.map_or_else(|| query.id.clone(), |line| format!("{} {line}", query.id)),
            What::Stat { series, stretch, name, .. } => {
                let mut label = series.metric.name.clone();
                if self.statistic {
                    label += &format!(" {name}");
                }
                if self.period {
                    label += &format!(" {}", stretch.period_s);
                }
                label
            }
        }
    }
}
