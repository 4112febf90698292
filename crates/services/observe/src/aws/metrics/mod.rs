//! The operations of CloudWatch's metrics.

mod data;
mod list;
mod names;
mod put;
mod statistics;

use base::Fault;
use door::Context;
use model::cloudwatch::Dimension;

use crate::metrics::{Metric, Series, Unit};
use crate::rules::metric;

/// `ValidationError`: what CloudWatch answers where no shape of its model fits.
fn wrong(message: impl Into<String>) -> Fault {
    Fault::new("ValidationError", 400, message)
}

/// Refuses a member by name.
fn refuse(operation: &str, member: &str, given: bool) -> Result<(), Fault> {
    if given { Err(Fault::not_implemented(format!("{member} of {operation}"))) } else { Ok(()) }
}

/// The series a caller names.
fn series(
    context: &Context,
    namespace: Option<String>,
    name: Option<String>,
    dimensions: Option<Vec<Dimension>>,
) -> Result<Series, Fault> {
    let dimensions = metric::dimensions(dimensions, "")?;
    let metric = Metric { namespace: namespace.unwrap_or_default(), name: name.unwrap_or_default(), dimensions };
    Ok(Series { account: context.account, region: context.region.clone(), metric })
}

/// Whether a period is one that CloudWatch knows.
fn is_period(period_s: i64) -> bool {
    matches!(period_s, 1 | 5 | 10 | 20 | 30) || (period_s > 0 && period_s % 60 == 0)
}

/// The unit a caller names.
fn unit(given: Option<&str>) -> Option<Unit> {
    // The model has let known units through only.
    given.and_then(Unit::of)
}
