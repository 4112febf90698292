//! Rules that need no state.

pub(crate) mod check;
pub(crate) mod cors;
pub(crate) mod document;
pub(crate) mod format;
pub(crate) mod function;
pub(crate) mod ids;
pub(crate) mod jwt;
pub(crate) mod mapping;
pub(crate) mod openapi;
pub(crate) mod pages;
pub(crate) mod path;
pub(crate) mod role;
pub(crate) mod route_key;
pub(crate) mod selection;
pub(crate) mod table;
pub(crate) mod tagged;
pub(crate) mod target;
pub(crate) mod variables;

/// The only way an HTTP API chooses routes.
pub(crate) const ROUTE_SELECTION: &str = "$request.method $request.path";
/// Where an API key would stand; it is shown, and HTTP APIs have no keys.
pub(crate) const API_KEY_SELECTION: &str = "$request.header.x-api-key";
