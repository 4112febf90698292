//! Limits of HTTP APIs. Source: API Gateway Developer Guide, "Quotas for configuring and running an HTTP API", unless told.

/// Routes of one API. AWS begins with 300 and gives more on request.
pub const ROUTES: usize = 2000;
/// Integrations of one API. AWS has 300.
pub const INTEGRATIONS: usize = 2000;
/// Stages of one API. AWS begins with 10 and gives more on request.
pub const STAGES: usize = 100;
/// Deployments of one API that are kept. This platform's own.
pub const DEPLOYMENTS: usize = 1000;
/// APIs of one account in one region. AWS begins with 600 and gives more on request.
pub const APIS: usize = 5000;
/// Variables of one stage.
pub const STAGE_VARIABLES: usize = 100;
/// Longest name of a stage variable, characters.
pub const VARIABLE_NAME_CHARACTERS: usize = 64;
/// Longest value of a stage variable, characters.
pub const VARIABLE_CHARACTERS: usize = 512;
/// Tags of one API or stage.
pub const TAGS: usize = 50;
/// Scopes of one route.
pub const SCOPES: usize = 10;
/// Request line and header values together, bytes.
pub const HEAD_BYTES: usize = 10_240;
/// Longest body of a request, bytes; a function takes no event of more than 6 MiB.
pub(crate) const BODY_BYTES: usize = 10 * 1024 * 1024;
/// Shortest and longest wait for an integration, milliseconds.
pub const TIMEOUT_MS: std::ops::RangeInclusive<i64> = 50..=30_000;
/// An API with all that belongs to it, as it is kept, bytes. This platform's own: it is one row.
pub const API_BYTES: usize = 7 * 1024 * 1024;
/// Authorizers of one API.
pub const AUTHORIZERS: usize = 10;
/// Audiences of one authorizer.
pub const AUDIENCES: usize = 50;
/// How long an authorizer's answer may be kept, seconds.
pub const TTL_S: std::ops::RangeInclusive<i64> = 0..=3600;
/// Longest wait for a function that authorizes, milliseconds.
pub(crate) const AUTHORIZER_MS: u64 = 10_000;
/// Longest wait for an issuer's configuration, and for its keys, milliseconds.
pub(crate) const ISSUER_MS: u64 = 1500;
/// Longest configuration or key set of an issuer, bytes.
pub(crate) const KEYS_BYTES: usize = 150_000;
/// How long an issuer's keys are kept, seconds. Source: Developer Guide, "Control access to HTTP APIs with JWT authorizers".
pub(crate) const KEYS_S: u64 = 2 * 60 * 60;
/// How often an issuer is asked for a key it did not have, seconds. This platform's own.
pub(crate) const ASK_AGAIN_S: u64 = 10;
/// Issuers whose keys are kept; beyond it all are forgotten. This platform's own.
pub(crate) const ISSUERS: usize = 1000;
/// Answers of authorizers that are kept for one API; beyond it all are forgotten. This platform's own.
pub(crate) const VERDICTS: usize = 1000;
/// Longest answer of an authorizer that is kept, bytes. This platform's own.
pub(crate) const VERDICT_BYTES: usize = 16 * 1024;
/// Longest answer of an integration elsewhere, bytes.
pub(crate) const ANSWER_BYTES: usize = 10 * 1024 * 1024;
/// APIs that are held ready in memory; beyond it all are forgotten and read again.
pub(crate) const REMEMBERED: usize = 1000;
