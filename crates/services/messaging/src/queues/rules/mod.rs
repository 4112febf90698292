//! The rules of SQS that need nothing but their input.

pub(crate) mod attributes;
pub(crate) mod batch;
pub(crate) mod handle;
pub(crate) mod message;
pub(crate) mod name;
pub(crate) mod policy;
pub(crate) mod redrive;
pub(crate) mod stored;
