//! restJson1 and restXml: members travel in labels, query, headers, status and body. Source: Smithy, "HTTP bindings".
//!
//! The two differ in the body alone, and in how they speak of what does not fit.

mod lists;
mod read;
mod refused;
pub(crate) mod template;
mod write;

pub(crate) use read::decode;
pub(crate) use refused::MALFORMED_XML;
pub(crate) use write::{encode, encode_fault};
