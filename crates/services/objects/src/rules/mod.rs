//! Pure decisions: no I/O, no state.

pub(crate) mod acl;
pub(crate) mod bucket_policy;
pub(crate) mod checksums;
pub(crate) mod conditions;
pub(crate) mod cors;
pub(crate) mod described;
pub(crate) mod destinations;
pub(crate) mod events;
pub(crate) mod locks;
pub(crate) mod naming;
pub(crate) mod pages;
pub(crate) mod range;
pub(crate) mod record;
pub(crate) mod tags;
pub(crate) mod version_id;
pub(crate) mod website;
