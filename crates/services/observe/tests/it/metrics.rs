//! Metrics: put, listed, read, kept.

use base::{Account, EventNews, Meter, Timestamp};
use model::cloudwatch::{self as aws, ops};

use crate::usage::invoked;
use crate::world::{World, assert_fault};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

async fn ahead(world: &World, ms: i64) {
    world.clocks.advance(u64::try_from(ms).unwrap()).await.unwrap();
}

fn dimension(name: &str, value: &str) -> aws::Dimension {
    aws::Dimension { name: Some(name.into()), value: Some(value.into()) }
}

fn datum(name: &str, value: f64) -> aws::MetricDatum {
    aws::MetricDatum { metric_name: Some(name.into()), value: Some(value), ..Default::default() }
}

impl World {
    async fn put_metrics(&self, data: Vec<aws::MetricDatum>) -> Result<(), base::Fault> {
        let input =
            aws::PutMetricDataInput { namespace: Some("Shop".into()), metric_data: Some(data), ..Default::default() };
        self.call::<ops::PutMetricData>(input).await.map(drop)
    }

    /// Asks for one statistic of `took` over the last hour.
    fn asks(&self, statistics: &[&str]) -> aws::GetMetricStatisticsInput {
        let is_plain = |name: &&&str| name.starts_with(char::is_uppercase) && **name != "IQM";
        let plain: Vec<String> = statistics.iter().filter(is_plain).map(|name| (*name).into()).collect();
        let other: Vec<String> = statistics.iter().filter(|name| !is_plain(name)).map(|name| (*name).into()).collect();
        aws::GetMetricStatisticsInput {
            namespace: Some("Shop".into()),
            metric_name: Some("took".into()),
            start_time: Some(Timestamp(self.now() - HOUR_MS)),
            end_time: Some(Timestamp(self.now() + MINUTE_MS)),
            period: Some(7200),
            statistics: (!plain.is_empty()).then_some(plain),
            extended_statistics: (!other.is_empty()).then_some(other),
            ..Default::default()
        }
    }

    async fn points(&self, input: aws::GetMetricStatisticsInput) -> Vec<aws::Datapoint> {
        self.call::<ops::GetMetricStatistics>(input).await.unwrap().datapoints.unwrap()
    }

    async fn names(&self, input: aws::ListMetricsInput) -> Vec<String> {
        let metrics = self.call::<ops::ListMetrics>(input).await.unwrap().metrics.unwrap();
        let show = |metric: aws::Metric| {
            let dimensions = metric.dimensions.unwrap().into_iter();
            let pairs: Vec<String> =
                dimensions.map(|one| format!(" {}={}", one.name.unwrap(), one.value.unwrap())).collect();
            format!("{} {}{}", metric.namespace.unwrap(), metric.metric_name.unwrap(), pairs.concat())
        };
        metrics.into_iter().map(show).collect()
    }

    async fn data(&self, queries: Vec<aws::MetricDataQuery>) -> Result<aws::GetMetricDataOutput, base::Fault> {
        self.call::<ops::GetMetricData>(self.asks_data(queries)).await
    }

    fn asks_data(&self, queries: Vec<aws::MetricDataQuery>) -> aws::GetMetricDataInput {
        aws::GetMetricDataInput {
            metric_data_queries: Some(queries),
            start_time: Some(Timestamp(self.now() - 10 * MINUTE_MS)),
            end_time: Some(Timestamp(self.now() + MINUTE_MS)),
            ..Default::default()
        }
    }
}

fn stat(id: &str, name: &str, stat: &str) -> aws::MetricDataQuery {
    let metric = aws::Metric { namespace: Some("Shop".into()), metric_name: Some(name.into()), dimensions: None };
    let (metric, stat) = (Some(metric), Some(stat.to_owned()));
    let metric_stat = Some(aws::MetricStat { metric, period: Some(60), stat, unit: None });
    aws::MetricDataQuery { id: Some(id.into()), metric_stat, ..Default::default() }
}

fn expression(id: &str, text: &str) -> aws::MetricDataQuery {
    aws::MetricDataQuery { id: Some(id.into()), expression: Some(text.into()), ..Default::default() }
}

#[tokio::test]
async fn what_is_put_is_read_at_once_and_after_a_restart() {
    let mut world = World::new();
    let data = (1..=20).map(|value| datum("took", f64::from(value))).collect();
    world.put_metrics(data).await.unwrap();
    for restart in [false, true] {
        if restart {
            world.observe.drain().await;
            world = World::over(world.kv.clone());
        }
        let points = world.points(world.asks(&["Sum", "Average", "Minimum", "Maximum", "SampleCount"])).await;
        assert_eq!(points.len(), 1);
        let point = &points[0];
        assert_eq!((point.sum, point.average, point.sample_count), (Some(210.0), Some(10.5), Some(20.0)));
        assert_eq!((point.minimum, point.maximum, point.unit.as_deref()), (Some(1.0), Some(20.0), Some("None")));
        let points = world.points(world.asks(&["p50", "p99", "tm(10%:90%)"])).await;
        let values = points[0].extended_statistics.clone().unwrap();
        assert_eq!((values["p50"], values["p99"], values["tm(10%:90%)"]), (10.0, 20.0, 10.5));
        assert_eq!(world.names(Default::default()).await, ["Shop took"]);
    }
}

#[tokio::test]
async fn values_with_counts_sets_and_units_are_kept_apart_by_unit() {
    let world = World::new();
    let counted = aws::MetricDatum {
        metric_name: Some("took".into()),
        values: Some(vec![1.0, 5.0]),
        counts: Some(vec![3.0, 1.0]),
        unit: Some("Seconds".into()),
        ..Default::default()
    };
    let set = aws::StatisticSet { sample_count: Some(2.0), sum: Some(9.0), minimum: Some(4.0), maximum: Some(5.0) };
    let set = aws::MetricDatum { metric_name: Some("took".into()), statistic_values: Some(set), ..Default::default() };
    world.put_metrics(vec![counted, set]).await.unwrap();
    let points = world.points(world.asks(&["Sum", "SampleCount"])).await;
    let shown: Vec<_> =
        points.iter().map(|point| (point.unit.as_deref().unwrap(), point.sum, point.sample_count)).collect();
    assert_eq!(shown, [("Seconds", Some(8.0), Some(4.0)), ("None", Some(9.0), Some(2.0))]);
    let only = aws::GetMetricStatisticsInput { unit: Some("Seconds".into()), ..world.asks(&["p75", "p99"]) };
    let points = world.points(only).await;
    let values = points[0].extended_statistics.clone().unwrap();
    assert_eq!((values["p75"], values["p99"]), (1.0, 5.0));
    let none = aws::GetMetricStatisticsInput { unit: Some("Bits".into()), ..world.asks(&["Sum"]) };
    assert!(world.points(none).await.is_empty(), "no unit is converted");
    let all = world.points(world.asks(&["p50"])).await;
    assert!(all[1].extended_statistics.clone().unwrap().is_empty(), "a set has no percentiles");
}

#[tokio::test]
async fn wrong_data_is_refused_in_cloudwatchs_words() {
    let world = World::new();
    let refused = |data: Vec<aws::MetricDatum>| world.put_metrics(data);
    let value = "InvalidParameterValue";
    let is = |name: &str| format!("The value {name} for parameter MetricData.member.1.Value is invalid.");
    assert_fault(refused(vec![datum("m", f64::NAN)]).await, value, &is("NaN"));
    assert_fault(refused(vec![datum("m", f64::INFINITY)]).await, value, &is("inf"));
    assert!(refused(vec![datum("m", 2f64.powi(361))]).await.is_err());
    assert!(refused(vec![datum("m", 2f64.powi(360))]).await.is_ok());
    let late = aws::MetricDatum { timestamp: Some(Timestamp(world.now() - 15 * DAY_MS)), ..datum("m", 1.0) };
    let words = "The parameter MetricData.member.1.Timestamp must specify a time within the past two weeks.";
    assert_fault(refused(vec![late]).await, value, words);
    let early = aws::MetricDatum { timestamp: Some(Timestamp(world.now() + 3 * HOUR_MS)), ..datum("m", 1.0) };
    assert!(refused(vec![early]).await.is_err());
    let fine = aws::MetricDatum { storage_resolution: Some(300), ..datum("m", 1.0) };
    let words = "The parameter MetricData.member.1.StorageResolution must be a value in the set [ 1, 60 ].";
    assert_fault(refused(vec![fine]).await, value, words);
    let both = aws::MetricDatum { values: Some(vec![1.0]), ..datum("m", 1.0) };
    let words = "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you \
                 have specified both.";
    assert_fault(refused(vec![both]).await, "InvalidParameterCombination", words);
    let uneven =
        aws::MetricDatum { value: None, values: Some(vec![1.0]), counts: Some(vec![1.0, 2.0]), ..datum("m", 1.0) };
    let words = "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.";
    assert_fault(refused(vec![uneven]).await, value, words);
    assert!(refused(vec![datum("m", 1.0); 1001]).await.is_err());
    let twice = Some(vec![dimension("a", "1"), dimension("a", "2")]);
    assert!(refused(vec![aws::MetricDatum { dimensions: twice, ..datum("m", 1.0) }]).await.is_err());
    let input = aws::PutMetricDataInput {
        namespace: Some("AWS/Lambda".into()),
        metric_data: Some(vec![datum("m", 1.0)]),
        ..Default::default()
    };
    let words = "The value AWS/Lambda for parameter Namespace is invalid.";
    assert_fault(world.call::<ops::PutMetricData>(input).await, value, words);
}

#[tokio::test]
async fn statistics_are_asked_for_within_limits() {
    let world = World::new();
    let ask = |input| world.call::<ops::GetMetricStatistics>(input);
    let many = aws::GetMetricStatisticsInput {
        start_time: Some(Timestamp(world.now() - DAY_MS)),
        end_time: Some(Timestamp(world.now() + 10 * MINUTE_MS)),
        period: Some(60),
        ..world.asks(&["Sum"])
    };
    let words = "You have requested up to 1450 datapoints, which exceeds the limit of 1440. You may reduce the \
                 datapoints requested by increasing Period, or decreasing the time range.";
    assert_fault(ask(many).await, "InvalidParameterCombination", words);
    let backwards = aws::GetMetricStatisticsInput { end_time: Some(Timestamp(0)), ..world.asks(&["Sum"]) };
    let words = "The parameter StartTime must be less than the parameter EndTime.";
    assert_fault(ask(backwards).await, "InvalidParameterValue", words);
    assert_fault(
        ask(world.asks(&[])).await,
        "MissingParameter",
        "Must specify either Statistics or ExtendedStatistics",
    );
    assert!(ask(aws::GetMetricStatisticsInput { period: Some(61), ..world.asks(&["Sum"]) }).await.is_err());
    assert!(ask(world.asks(&["p101"])).await.is_err());
    let fault = ask(world.asks(&["Sun"])).await.unwrap_err();
    assert_eq!(fault.code, "ValidationError", "what the model forbids has the code of the query protocol: {fault}");
}

#[tokio::test]
async fn a_page_of_metrics_follows_the_other_and_filters_hold() {
    let world = World::new();
    for part in 0..3 {
        let of = |index: usize| aws::MetricDatum {
            dimensions: Some(vec![dimension("n", &format!("{part}{index:03}")), dimension("part", &part.to_string())]),
            ..datum("took", 1.0)
        };
        world.put_metrics((0..300).map(of).collect()).await.unwrap();
    }
    let mut input = aws::ListMetricsInput { namespace: Some("Shop".into()), ..Default::default() };
    let mut sizes = Vec::new();
    loop {
        let page = world.call::<ops::ListMetrics>(input.clone()).await.unwrap();
        sizes.push(page.metrics.unwrap().len());
        input.next_token = page.next_token;
        if input.next_token.is_none() || sizes.len() > 2 {
            break;
        }
    }
    assert_eq!(sizes, [500, 400]);
    let elsewhere = aws::ListMetricsInput { namespace: Some("Else".into()), ..Default::default() };
    assert!(world.names(elsewhere).await.is_empty());
    let linked = aws::ListMetricsInput { include_linked_accounts: Some(true), ..Default::default() };
    let owners = world.call::<ops::ListMetrics>(linked.clone()).await.unwrap().owning_accounts.unwrap();
    assert_eq!((owners.len(), owners[0].as_str()), (500, "000000000000"));
    let other = aws::ListMetricsInput { owning_account: Some("111111111111".into()), ..linked };
    assert!(world.names(other).await.is_empty(), "no account sees another's");
    let filter = |name: &str, value: Option<&str>| aws::ListMetricsInput {
        dimensions: Some(vec![aws::DimensionFilter { name: Some(name.into()), value: value.map(str::to_owned) }]),
        ..Default::default()
    };
    assert_eq!(world.names(filter("part", Some("1"))).await.len(), 300);
    assert_eq!(world.names(filter("n", Some("1007"))).await, ["Shop took n=1007 part=1"]);
    assert!(world.names(filter("other", None)).await.is_empty());
    let none = aws::ListMetricsInput { metric_name: Some("else".into()), ..Default::default() };
    assert!(world.names(none).await.is_empty());
    let wrong = aws::ListMetricsInput { next_token: Some("eA".into()), ..Default::default() };
    let words = "Request parameter NextToken is invalid";
    assert_fault(world.call::<ops::ListMetrics>(wrong).await, "InvalidParameterValue", words);
    ahead(&world, 4 * HOUR_MS).await;
    let recent = aws::ListMetricsInput { recently_active: Some("PT3H".into()), ..Default::default() };
    assert!(world.names(recent.clone()).await.is_empty());
    assert_eq!(world.names(filter("part", Some("1"))).await.len(), 300);
    world.put_metrics(vec![datum("new", 1.0)]).await.unwrap();
    assert_eq!(world.names(recent).await, ["Shop new"]);
    ahead(&world, 15 * DAY_MS).await;
    assert!(world.names(filter("part", Some("1"))).await.is_empty(), "two weeks without values");
}

#[tokio::test]
async fn data_come_newest_first_by_pages_with_math() {
    let world = World::new();
    for (back, value) in [(3, 2.0), (2, 4.0), (1, 8.0)] {
        let timestamp = Some(Timestamp(world.now() - back * MINUTE_MS));
        world
            .put_metrics(vec![
                aws::MetricDatum { timestamp, ..datum("took", value) },
                aws::MetricDatum { timestamp, ..datum("hits", 2.0) },
            ])
            .await
            .unwrap();
    }
    let both = vec![stat("m1", "took", "Sum"), stat("m2", "hits", "Sum"), expression("e1", "m1/m2*10")];
    let results = world.data(both.clone()).await.unwrap().metric_data_results.unwrap();
    let values: Vec<_> = results.iter().map(|one| (one.id.clone().unwrap(), one.values.clone().unwrap())).collect();
    assert_eq!(values[0], ("m1".into(), vec![8.0, 4.0, 2.0]));
    assert_eq!(values[2], ("e1".into(), vec![40.0, 20.0, 10.0]));
    assert!(results.iter().all(|one| one.status_code.as_deref() == Some("Complete")));
    assert_eq!(results[0].label.as_deref(), Some("took"));
    let hidden = aws::MetricDataQuery { return_data: Some(false), ..both[0].clone() };
    let results = world.data(vec![hidden, expression("e", "FILL(m1, 0)")]).await.unwrap().metric_data_results.unwrap();
    let filled = results[0].values.clone().unwrap();
    // Eleven minutes, of which the first and the last may be cut.
    assert!(results.len() == 1 && (11..=12).contains(&filled.len()), "{filled:?}");
    assert_eq!(filled.iter().sum::<f64>(), 14.0);
    let mut input = world.asks_data(vec![both[0].clone()]);
    input.label_options = Some(aws::LabelOptions { timezone: Some("Mars".into()) });
    assert!(world.call::<ops::GetMetricData>(input.clone()).await.is_err());
    input.label_options = Some(aws::LabelOptions { timezone: Some("+0130".into()) });
    input.scan_by = Some("TimestampAscending".into());
    input.max_datapoints = Some(2);
    let first = world.call::<ops::GetMetricData>(input.clone()).await.unwrap();
    let page = &first.metric_data_results.unwrap()[0];
    assert_eq!((page.values.clone().unwrap(), page.status_code.as_deref()), (vec![2.0, 4.0], Some("PartialData")));
    input.next_token = first.next_token;
    let second = world.call::<ops::GetMetricData>(input).await.unwrap();
    assert_eq!(second.metric_data_results.unwrap()[0].values, Some(vec![8.0]));
    assert_eq!(second.next_token, None);
}

#[tokio::test]
async fn wrong_queries_say_what_is_wrong() {
    let world = World::new();
    let fault = async |queries| world.data(queries).await.unwrap_err();
    let wrong = fault(vec![stat("m1", "took", "p101")]).await;
    let words = "The value for parameter MetricDataQueries.member.1.MetricStat.Stat is not a valid statistic.";
    assert_eq!((wrong.code.as_ref(), wrong.message.as_str()), ("ValidationError", words));
    for queries in [
        vec![],
        vec![stat("M1", "took", "Sum")],
        vec![stat("m1", "took", "Sum"), stat("m1", "took", "Sum")],
        vec![aws::MetricDataQuery { id: Some("m".into()), ..Default::default() }],
        vec![aws::MetricDataQuery { expression: Some("m1".into()), ..stat("m1", "took", "Sum") }],
        vec![expression("e1", "m7 + 1")],
        vec![expression("e1", "e2"), expression("e2", "e1")],
        vec![stat("m1", "took", "Sum"), expression("e1", "SUM(m1)")],
    ] {
        let fault = fault(queries).await;
        assert_eq!((fault.code.as_ref(), fault.status), ("ValidationError", 400), "{fault}");
    }
    for text in ["SEARCH('{Shop} took', 'Sum', 300)", "SELECT AVG(took) FROM Shop", "m1 > 3"] {
        let fault = fault(vec![stat("m1", "took", "Sum"), expression("e1", text)]).await;
        assert_eq!(fault.status, 501, "{text}: {fault}");
    }
}

#[tokio::test]
async fn long_chains_and_long_sums_are_refused() {
    let world = World::new();
    let chain = |length: usize, rest: &str| {
        let link = |at: usize| expression(&format!("a{at}"), &format!("a{}{rest}", at + 1));
        let mut queries: Vec<_> = (0..length).map(link).collect();
        queries.push(stat(&format!("a{length}"), "took", "Sum"));
        queries
    };
    let words = |why: &str| format!("Error in expression 'a0': {why}");
    let refused = async |queries, why: &str| {
        assert_fault(world.data(queries).await, "ValidationError", &words(why));
    };
    refused(chain(499, &"+1".repeat(1000)), "It has more than 200 operators").await;
    refused(chain(499, &"+1".repeat(200)), "More than 10 expressions build on one another").await;
    let results = world.data(chain(10, &"+1".repeat(200))).await.unwrap().metric_data_results.unwrap();
    assert_eq!(results.len(), 11);
    // As deep as one expression can be.
    let deep = format!("{}m1{}{}", "1+1*-ABS(".repeat(49), ")".repeat(49), "+1".repeat(102));
    let deep = vec![stat("m1", "took", "Sum"), expression("a0", &deep)];
    assert!(world.data(deep).await.is_ok());
}

#[tokio::test]
async fn a_request_that_multiplies_its_series_is_refused() {
    let world = World::new();
    world.put_metrics(vec![datum("took", 1.0)]).await.unwrap();
    let list = |of: &str, count: usize| format!("[{}]", vec![of; count].join(","));
    let refused = async |queries, words: &str| {
        assert_fault(world.data(queries).await, "ValidationError", words);
    };
    let words = |id: &str| format!("Error in expression '{id}': A list holds at most 500 time series");
    let product = |count: usize| {
        let q1 = expression("q1", &list("m1", count));
        vec![stat("m1", "took", "Sum"), q1, expression("q2", &list("q1", count)), expression("q3", &list("q2", count))]
    };
    refused(product(680), &words("q1")).await;
    refused(product(100), &words("q2")).await;
    assert!(world.data(product(7)).await.is_ok());
    // A day by the second, which is nearly what one FILL may give.
    let filled = |count: usize| {
        let mut queries = vec![stat("m1", "took", "Sum")];
        queries[0].metric_stat.as_mut().unwrap().period = Some(1);
        queries.extend((0..count).map(|at| expression(&format!("f{at}"), "FILL(m1, 0)")));
        let start_time = Some(Timestamp(world.now() - DAY_MS));
        aws::GetMetricDataInput { start_time, ..world.asks_data(queries) }
    };
    let high = aws::MetricDatum { storage_resolution: Some(1), ..datum("took", 1.0) };
    world.put_metrics(vec![high]).await.unwrap();
    assert!(world.call::<ops::GetMetricData>(filled(3)).await.is_ok());
    let mut input = filled(1);
    let sums = expression("s", &format!("m1{}", "+SUM(f0)".repeat(60)));
    input.metric_data_queries.as_mut().unwrap().push(sums);
    let fault = world.call::<ops::GetMetricData>(input).await.unwrap_err();
    assert!(fault.message.contains("expression 's': The request reads more values"), "{fault}");
    let words = "Error in expression 'f11': The request reads more values than one request may: ask for a shorter time, a \
                 longer period or fewer metrics";
    assert_fault(world.call::<ops::GetMetricData>(filled(499)).await, "ValidationError", words);
}

#[tokio::test]
async fn a_long_stretch_is_read_slice_by_slice() {
    let world = World::new();
    // Periods of five minutes that begin at odd minutes, some next to each other and some days apart.
    let minutes = [1, 2, 3, 900, 1001, 1002, 9000, 9999];
    for minute in minutes {
        let timestamp = Some(Timestamp(world.now() - minute * MINUTE_MS));
        world.put_metrics(vec![aws::MetricDatum { timestamp, ..datum("took", 1.0) }]).await.unwrap();
    }
    for period in [60, 300] {
        let mut query = stat("m1", "took", "Sum");
        query.metric_stat.as_mut().unwrap().period = Some(period);
        let start = world.now() - 10_003 * MINUTE_MS;
        let input = aws::GetMetricDataInput { start_time: Some(Timestamp(start)), ..world.asks_data(vec![query]) };
        let result = world.call::<ops::GetMetricData>(input).await.unwrap().metric_data_results.unwrap().remove(0);
        let begin = start.div_euclid(MINUTE_MS) * MINUTE_MS;
        let mut sums = std::collections::BTreeMap::new();
        for minute in minutes {
            let at = world.now() - minute * MINUTE_MS;
            *sums.entry(at - (at - begin).rem_euclid(period * 1000)).or_insert(0.0) += 1.0;
        }
        let points = result.timestamps.unwrap().into_iter().map(|at| at.0).zip(result.values.unwrap());
        assert_eq!(points.collect::<Vec<_>>(), sums.into_iter().rev().collect::<Vec<_>>(), "{period}");
    }
}

#[tokio::test]
async fn a_token_that_was_never_given_is_refused() {
    let world = World::new();
    // "p/18446744073709551615" and "p/1000001"
    for token in ["cC8xODQ0Njc0NDA3MzcwOTU1MTYxNQ", "cC8xMDAwMDAx", "cC8tMQ", "!"] {
        let mut input = world.asks_data(vec![stat("m1", "took", "Sum")]);
        input.next_token = Some(token.into());
        let result = world.call::<ops::GetMetricData>(input).await;
        assert_fault(result, "InvalidNextToken", "The NextToken is invalid.");
    }
}

#[tokio::test]
async fn seconds_are_kept_for_three_hours_and_minutes_become_longer() {
    let world = World::new();
    let begin = world.now();
    for second in [0, 1, 1] {
        let timestamp = Some(Timestamp(begin - MINUTE_MS + second * 1000));
        let high = aws::MetricDatum { timestamp, storage_resolution: Some(1), ..datum("took", 1.0) };
        world.put_metrics(vec![high]).await.unwrap();
    }
    let asks = |period: i64| aws::GetMetricStatisticsInput {
        start_time: Some(Timestamp(begin - 5 * MINUTE_MS)),
        end_time: Some(Timestamp(begin + MINUTE_MS)),
        period: Some(period),
        ..world.asks(&["SampleCount"])
    };
    let counts = async |period: i64| -> Vec<f64> {
        world.points(asks(period)).await.into_iter().map(|point| point.sample_count.unwrap()).collect()
    };
    assert_eq!(counts(1).await, [1.0, 2.0]);
    assert_eq!(counts(60).await.iter().sum::<f64>(), 3.0);
    let settle = async || {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    };
    for (days, seen) in [(0, [3.0, 3.0, 3.0]), (16, [0.0, 3.0, 3.0]), (64, [0.0, 0.0, 3.0]), (456, [0.0, 0.0, 0.0])] {
        ahead(&world, begin + days * DAY_MS + 4 * HOUR_MS - world.now()).await;
        for swept in [false, true] {
            if swept {
                settle().await;
            }
            assert!(counts(1).await.is_empty(), "seconds are gone after three hours");
            for (period, sum) in [60, 300, 3600].into_iter().zip(seen) {
                assert_eq!(counts(period).await.iter().sum::<f64>(), sum, "{days} days, {period} s, swept {swept}");
            }
        }
    }
    let left = || world.kv.range(store::Space::Usage, store::Range::prefix("cell/"), 9, false).unwrap().len();
    ahead(&world, 2 * DAY_MS).await;
    for _ in 0..50 {
        settle().await;
    }
    assert_eq!(left(), 0, "what nobody may see any more is gone");
    assert!(world.names(Default::default()).await.is_empty());
}

#[tokio::test]
async fn provisioned_concurrency_is_told_of_the_alias_or_version() {
    let world = World::new();
    let at = Timestamp(world.now());
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:hello";
    for (in_use, provisioned) in [(1, true), (2, true), (3, true), (3, false), (3, false)] {
        let mut row = invoked(at, base::StartKind::Warm, false);
        (row.function_arn, row.invoked_arn) = (format!("{arn}:7").into(), format!("{arn}:live").into());
        row.concurrency.claimed = 4 + in_use;
        (row.provisioned, row.ready) = (provisioned, Some(base::ProvisionedUse { in_use, wanted: 4 }));
        world.observe.invoked(&row);
    }
    world.observe.invoked(&invoked(at, base::StartKind::Warm, false));
    let read = async |name: &str, of: &[(&str, &str)], stat: &str| -> Option<f64> {
        let dimensions = of.iter().map(|(name, value)| dimension(name, value)).collect();
        let input = aws::GetMetricStatisticsInput {
            namespace: Some("AWS/Lambda".into()),
            metric_name: Some(name.into()),
            dimensions: Some(dimensions),
            ..world.asks(&[stat])
        };
        let point = world.points(input).await.into_iter().next()?;
        point.sum.or(point.maximum)
    };
    let live = [("FunctionName", "hello"), ("Resource", "hello:live")];
    assert_eq!(read("ProvisionedConcurrentExecutions", &live, "Maximum").await, Some(3.0));
    assert_eq!(read("ProvisionedConcurrencyUtilization", &live, "Maximum").await, Some(0.75));
    assert_eq!(read("ProvisionedConcurrencyInvocations", &live, "Sum").await, Some(3.0));
    assert_eq!(read("ProvisionedConcurrencySpilloverInvocations", &live, "Sum").await, Some(2.0));
    assert_eq!(read("ClaimedAccountConcurrency", &[], "Maximum").await, Some(7.0));
    for others in [&[][..], &live[..1], &[("FunctionName", "hello"), ("Resource", "hello")]] {
        assert_eq!(read("ProvisionedConcurrencyInvocations", others, "Sum").await, None, "{others:?}");
    }
    assert_eq!(read("ClaimedAccountConcurrency", &live, "Maximum").await, None);
}

#[tokio::test]
async fn an_invocation_gives_lambdas_metrics_and_ours() {
    let world = World::new();
    let at = Timestamp(world.now());
    for step in 1..=20_u64 {
        let mut row = invoked(at, base::StartKind::Warm, step == 20);
        row.phases.handler_us = step * 1000;
        row.concurrency = base::Concurrency { function: 2, account: 5, unreserved: Some(4), claimed: 9 };
        world.observe.invoked(&row);
    }
    world.observe.invoked(&invoked(at, base::StartKind::Cold, false));
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:hello";
    world.observe.throttled(Account::DEFAULT, arn, arn);
    world.observe.unsigned(Account::DEFAULT, arn);
    for news in [
        EventNews::Received,
        EventNews::Begins(40),
        EventNews::Dropped,
        EventNews::Recursive,
        EventNews::DeadLetterFailed,
        EventNews::DestinationFailed,
    ] {
        world.observe.event(Account::DEFAULT, arn, news);
    }
    let read = async |namespace: &str, name: &str, of: Option<&str>, stat: &str| -> Option<f64> {
        let input = aws::GetMetricStatisticsInput {
            namespace: Some(namespace.into()),
            metric_name: Some(name.into()),
            dimensions: of.map(|name| vec![dimension("FunctionName", name)]),
            ..world.asks(&[stat])
        };
        let point = world.points(input).await.into_iter().next()?;
        let extended = point.extended_statistics.and_then(|values| values.get(stat).copied());
        point.sum.or(point.average).or(point.maximum).or(point.sample_count).or(extended)
    };
    let lambda = async |name: &str, stat: &str| read("AWS/Lambda", name, Some("hello"), stat).await;
    assert_eq!((lambda("Invocations", "Sum").await, lambda("Errors", "Sum").await), (Some(21.0), Some(1.0)));
    assert_eq!((lambda("Throttles", "Sum").await, lambda("Duration", "p99").await), (Some(1.0), Some(20.0)));
    assert_eq!(lambda("SignatureValidationErrors", "Sum").await, Some(1.0));
    assert_eq!(lambda("ConcurrentExecutions", "Maximum").await, Some(2.0));
    assert_eq!(read("AWS/Lambda", "ConcurrentExecutions", None, "Maximum").await, Some(5.0));
    assert_eq!(read("AWS/Lambda", "UnreservedConcurrentExecutions", None, "Maximum").await, Some(4.0));
    assert_eq!(read("AWS/Lambda", "Invocations", None, "Sum").await, Some(21.0));
    assert_eq!(
        (lambda("AsyncEventsReceived", "Sum").await, lambda("AsyncEventAge", "Average").await),
        (Some(1.0), Some(40.0))
    );
    assert_eq!(
        (lambda("AsyncEventsDropped", "Sum").await, lambda("DeadLetterErrors", "Sum").await),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(lambda("RecursiveInvocationsDropped", "Sum").await, Some(1.0));
    assert_eq!(lambda("DestinationDeliveryFailures", "Sum").await, Some(1.0));
    let ours = async |name: &str, stat: &str| read("Lambent", name, Some("hello"), stat).await;
    assert_eq!((ours("ColdStarts", "Sum").await, ours("InitDuration", "SampleCount").await), (Some(1.0), Some(1.0)));
    assert_eq!(
        (ours("CpuUser", "Maximum").await, ours("PeakMemory", "Maximum").await),
        (Some(0.01), Some(1_048_576.0))
    );
    let versions = aws::ListMetricsInput { metric_name: Some("Invocations".into()), ..Default::default() };
    let resource = "AWS/Lambda Invocations FunctionName=hello Resource=hello:$LATEST";
    assert!(world.names(versions).await.iter().any(|name| name == resource));
}

#[tokio::test]
async fn metrics_in_log_lines_are_metrics_whichever_way_they_come() {
    let world = World::new();
    let line = |value: u32| {
        format!(
            r#"{{"_aws":{{"Timestamp":{},"CloudWatchMetrics":[{{"Namespace":"Shop","Dimensions":[[]],"Metrics":[{{"Name":"took"}}]}}]}},"took":{value}}}"#,
            world.now()
        )
    };
    world.write("s", &[(world.now(), &line(1)), (world.now(), "{\"_aws\":{\"CloudWatchMetrics\":7}}")]);
    assert_eq!(world.filter(Default::default()).await.len(), 2, "the lines are lines all the same");
    let sum = async || world.points(world.asks(&["Sum"])).await.into_iter().next().and_then(|point| point.sum);
    assert_eq!(sum().await, Some(1.0));
    world.put("s", &[(world.now(), &line(4))]).await.unwrap();
    assert_eq!(sum().await, Some(5.0));
}

#[tokio::test]
async fn a_request_over_a_megabyte_is_refused() {
    let world = World::new();
    let long = |n: usize| {
        let dimensions = (0..30).map(|at| dimension(&format!("d{at}"), &"x".repeat(1024))).collect();
        aws::MetricDatum { dimensions: Some(dimensions), ..datum(&format!("m{n}"), 1.0) }
    };
    world.put_metrics((0..33).map(long).collect()).await.unwrap();
    let fault = world.put_metrics((0..35).map(long).collect()).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("RequestEntityTooLarge", 413));
    assert_eq!(fault.message, "Request size 1078099 exceeded 1048576 bytes");
}

#[tokio::test]
async fn metrics_outlast_a_disk_that_is_full_for_a_while() {
    let slow = std::sync::Arc::new(crate::gather::Slow::new());
    let world = World::over(slow.clone());
    let sum = async || world.points(world.asks(&["Sum"])).await.into_iter().next().and_then(|point| point.sum);
    slow.full.store(true, std::sync::atomic::Ordering::Relaxed);
    world.put_metrics(vec![datum("took", 1.0)]).await.unwrap();
    assert_eq!(sum().await, None);
    slow.full.store(false, std::sync::atomic::Ordering::Relaxed);
    world.put_metrics(vec![datum("took", 2.0)]).await.unwrap();
    assert_eq!(sum().await, Some(3.0));
    assert_eq!(world.names(Default::default()).await, ["Shop took"]);
}
