//! What is said of an object in headers: kept as it came, and given back.

use std::collections::BTreeMap;

use base::Fault;

use crate::limits::METADATA_BYTES;

/// The user's metadata, its names in lower case.
///
/// # Errors
/// MetadataTooLarge.
pub(crate) fn metadata(given: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, Fault> {
    let given = given.unwrap_or_default();
    let size: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > METADATA_BYTES {
        return Err(Fault::new(
            "MetadataTooLarge",
            400,
            "Your metadata headers exceed the maximum allowed metadata size",
        )
        .with("Size", size.to_string())
        .with("MaxSizeAllowed", METADATA_BYTES.to_string()));
    }
    Ok(given.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
}

/// The storage class that is kept; none for STANDARD. All classes are served alike: at once.
///
/// # Errors
/// InvalidStorageClass; NotImplemented for those whose objects must be restored before they are read.
pub(crate) fn storage_class(given: Option<String>) -> Result<Option<String>, Fault> {
    match given.as_deref() {
        None | Some("STANDARD") => Ok(None),
        Some("REDUCED_REDUNDANCY" | "STANDARD_IA" | "ONEZONE_IA" | "INTELLIGENT_TIERING" | "GLACIER_IR") => Ok(given),
        Some(
            class
            @ ("GLACIER" | "DEEP_ARCHIVE" | "OUTPOSTS" | "SNOW" | "EXPRESS_ONEZONE" | "FSX_OPENZFS" | "FSX_ONTAP"),
        ) => Err(Fault::not_implemented(format_args!("the storage class {class}"))),
        Some(_) => Err(Fault::new("InvalidStorageClass", 400, "The storage class you specified is not valid")),
    }
}

/// The headers that an input gives.
macro_rules! described {
    ($input:expr) => {
        $crate::types::Described {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            expires: $input.expires.take(),
            redirect: $input.website_redirect_location.take(),
        }
    };
}

pub(crate) use described;
