//! PutMetricData.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::cloudwatch::{self, ops};
use wire::Unit;

use super::refuse;
use crate::Observe;
use crate::metrics::{Point, Series};
use crate::rules::metric;

/// Data of one request at most.
const DATA: usize = 1000;

impl Handle<ops::PutMetricData> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: cloudwatch::PutMetricDataInput,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
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
        let mut points = Vec::with_capacity(data.len());
        for (index, given) in data.into_iter().enumerate() {
            let metric::Datum { metric, unit, at_ms, high, cell } =
                metric::datum(&namespace, given, index + 1, now_ms)?;
            let series = Series { account: context.account, region: context.region.clone(), metric };
            points.push(Point { series, unit, at_ms, high, cell });
        }
        self.queue.put_metrics(points)?;
        Ok(Unit.into())
    }
}
