//! PutMetricData.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::cloudwatch::{self, ops};
use wire::Unit;

use super::refuse;
use crate::Observe;
use crate::metrics::pending::Pending;
use crate::metrics::{Point, Series};
use crate::rules::metric;

/// Data of one request at most.
const DATA: usize = 1000;
/// Bytes of one request at most. Source: Amazon CloudWatch API reference, `PutMetricData`.
const REQUEST_BYTES: usize = 1024 * 1024;

/// How long a request was at least, however it was spelt: its texts, and a byte for each number.
fn request_bytes(input: &cloudwatch::PutMetricDataInput) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let numbers = |list: &Option<Vec<f64>>| list.as_ref().map_or(0, Vec::len);
    let datum = |datum: &cloudwatch::MetricDatum| {
        let dimensions = datum.dimensions.iter().flatten().map(|one| text(&one.name) + text(&one.value));
        let texts = text(&datum.metric_name) + text(&datum.unit) + dimensions.sum::<usize>();
        texts + numbers(&datum.values) + numbers(&datum.counts)
    };
    text(&input.namespace) + input.metric_data.iter().flatten().map(datum).sum::<usize>()
}

impl Handle<ops::PutMetricData> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: cloudwatch::PutMetricDataInput,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let size = request_bytes(&input);
        if size > REQUEST_BYTES {
            let words = format!("Request size {size} exceeded {REQUEST_BYTES} bytes");
            return Err(Fault::new("RequestEntityTooLarge", 413, words));
        }
        refuse("PutMetricData", "EntityMetricData", input.entity_metric_data.is_some())?;
        refuse("PutMetricData", "StrictEntityValidation", input.strict_entity_validation.is_some())?;
        let namespace = input.namespace.unwrap_or_default();
        if !metric::free(&namespace) {
            return Err(metric::invalid(format!("The value {namespace} for parameter Namespace is invalid.")));
        }
        let data = input.metric_data.unwrap_or_default();
        if data.is_empty() {
            return Err(metric::missing("The parameter MetricData is required."));
        }
        if data.len() > DATA {
            return Err(metric::invalid(format!(
                "The collection MetricData must not have a size greater than {DATA}."
            )));
        }
        let now_ms = self.clocks.product().0;
        let mut points = Pending::default();
        for (index, given) in data.into_iter().enumerate() {
            let metric::Datum { metric, unit, at_ms, high, cell } =
                metric::datum(&namespace, given, index + 1, now_ms)?;
            let series = Series { account: context.account, region: context.region.clone(), metric };
            points.add(Point { series, unit, at_ms, high, cell });
        }
        self.queue.put_metrics(points)?;
        Ok(Unit.into())
    }
}
