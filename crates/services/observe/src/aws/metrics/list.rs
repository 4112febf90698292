//! ListMetrics.

use std::sync::Arc;

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use door::{Answer, Body, Context, Handle};
use model::cloudwatch::{self, Dimension, Metric, ops};
use store::{Range, Space};

use crate::Observe;
use crate::metrics::rows::{DIRECTORY, Entry};
use crate::rules::metric::invalid;
use crate::state;

/// Metrics of one page.
const PAGE: usize = 500;
/// Metrics without values for longer are not listed: two weeks.
const LISTED_MS: i64 = 14 * 86_400_000;
/// What PT3H asks for, besides what the directory may lag behind.
const RECENT_MS: i64 = 3 * 3_600_000 + crate::metrics::pending::SEEN_MS;

impl Handle<ops::ListMetrics> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: cloudwatch::ListMetricsInput,
        _: Body,
    ) -> Result<Answer<cloudwatch::ListMetricsOutput>, Fault> {
        let answer = self.read(move |room| room.list_metrics(&context, &input)).await?;
        Ok(answer.into())
    }
}

impl Observe {
    fn list_metrics(
        &self,
        context: &Context,
        input: &cloudwatch::ListMetricsInput,
    ) -> Result<cloudwatch::ListMetricsOutput, Fault> {
        let own = format!("{DIRECTORY}{}/{}/", context.account, context.region);
        let prefix = match (&input.namespace, &input.metric_name) {
            (Some(namespace), Some(name)) => format!("{own}{namespace}\0{name}\0"),
            (Some(namespace), None) => format!("{own}{namespace}\0"),
            (None, _) => own,
        };
        let mut range = Range::prefix(prefix.clone());
        if let Some(token) = &input.next_token {
            let place = URL_SAFE_NO_PAD.decode(token).ok().filter(|place| place.starts_with(prefix.as_bytes()));
            range = range.after(place.ok_or_else(|| invalid("Request parameter NextToken is invalid"))?);
        }
        let kept_ms = if input.recently_active.is_some() { RECENT_MS } else { LISTED_MS };
        let since_ms = self.clocks.product().0 - kept_ms;
        let linked = input.include_linked_accounts.unwrap_or(false);
        // No account is linked to another: each sees its own.
        let elsewhere = input.owning_account.as_deref().is_some_and(|account| account != context.account.as_str());
        let found = if elsewhere { Vec::new() } else { self.find_metrics(range, since_ms, input)? };
        // One more than is shown says that there is a next page.
        let more = found.len() > PAGE;
        let shown = found.get(..PAGE).unwrap_or(&found);
        let next_token = shown.last().filter(|_| more).map(|(row, _)| URL_SAFE_NO_PAD.encode(row));
        let metrics: Vec<Metric> = shown.iter().map(|(_, entry)| show(entry.clone())).collect();
        let owners = linked.then(|| vec![context.account.to_string(); metrics.len()]);
        Ok(cloudwatch::ListMetricsOutput { metrics: Some(metrics), next_token, owning_accounts: owners })
    }

    /// The series that fit, of one page and at least one more where there are.
    fn find_metrics(
        &self,
        mut range: Range,
        since_ms: i64,
        input: &cloudwatch::ListMetricsInput,
    ) -> Result<Vec<(Bytes, Entry)>, Fault> {
        let mut found = Vec::new();
        while found.len() <= PAGE {
            let rows = self.kv.range(Space::Usage, range.clone(), PAGE, false)?;
            let Some((last, _)) = rows.last() else { break };
            range = range.after(last.clone());
            for (row, value) in &rows {
                let entry: Entry = state::parse(row, value)?;
                if entry.seen_ms >= since_ms && fits(&entry, input) {
                    found.push((row.clone(), entry));
                }
            }
        }
        Ok(found)
    }
}

fn fits(entry: &Entry, input: &cloudwatch::ListMetricsInput) -> bool {
    let has = |name: &Option<String>, value: &Option<String>| {
        let mut pairs = entry.metric.dimensions.iter();
        pairs.any(|(key, there)| Some(key) == name.as_ref() && value.as_ref().is_none_or(|value| value == there))
    };
    let filters = input.dimensions.iter().flatten();
    input.metric_name.as_ref().is_none_or(|name| *name == entry.metric.name)
        && filters.into_iter().all(|filter| has(&filter.name, &filter.value))
}

fn show(entry: Entry) -> Metric {
    let crate::metrics::Metric { namespace, name, dimensions } = entry.metric;
    let dimensions = dimensions.into_iter().map(|(name, value)| Dimension { name: Some(name), value: Some(value) });
    Metric { namespace: Some(namespace), metric_name: Some(name), dimensions: Some(dimensions.collect()) }
}
