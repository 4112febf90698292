//! Limits of REST APIs. Source: API Gateway Developer Guide, "Quotas for configuring and running a REST API", unless told.

/// Resources of one API. AWS begins with 300 and gives more on request.
pub(crate) const RESOURCES: usize = 2000;
/// Shortest and longest wait for an integration, milliseconds.
pub(crate) const TIMEOUT_MS: std::ops::RangeInclusive<i64> = 50..=29_000;
/// Longest mapping template, bytes.
pub(crate) const TEMPLATE_BYTES: usize = 300 * 1024;
/// Models of one API. AWS begins with 60 and gives more on request.
pub(crate) const MODELS: usize = 500;
/// Longest schema of a model, bytes. AWS has 400 KB.
pub(crate) const SCHEMA_BYTES: usize = 400 * 1024;
