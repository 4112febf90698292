//! Rules that need no state.

pub(crate) mod integration;
pub(crate) mod mapping;
pub(crate) mod media;
pub(crate) mod models;
pub(crate) mod openapi;
pub(crate) mod patch;
pub(crate) mod resources;
pub(crate) mod responses;
pub(crate) mod schema;
pub(crate) mod template;
