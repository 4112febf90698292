//! `Marker` and `MaxItems`: IAM's pages.

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::faults;

/// Items of a page unless told otherwise.
const DEFAULT_ITEMS: i64 = 100;

/// One page of a listing.
pub(super) struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// Where the next one begins; none when this is the last.
    pub marker: Option<String>,
}

/// Cuts the page after `marker` out of `all`, which is sorted by what `key` gives.
///
/// # Errors
/// `ValidationError` if the marker is none of ours.
pub(super) fn page<T>(
    all: Vec<T>,
    marker: Option<&str>,
    max_items: Option<i64>,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, Fault> {
    let after = marker.map(read).transpose()?;
    let wanted = usize::try_from(max_items.unwrap_or(DEFAULT_ITEMS)).unwrap_or(1);
    let mut items: Vec<T> =
        all.into_iter().filter(|item| after.as_ref().is_none_or(|after| key(item) > *after)).collect();
    let more = items.len() > wanted;
    items.truncate(wanted);
    let marker = items.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(key(last)));
    Ok(Page { items, marker })
}

fn read(marker: &str) -> Result<String, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(marker).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| faults::invalid(format!("Invalid Marker: {marker}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_pages_together_are_the_whole(count in 0usize..40, size in 1i64..10) {
            let all: Vec<String> = (0..count).map(|at| format!("{at:03}")).collect();
            let mut seen = Vec::new();
            let mut marker: Option<String> = None;
            loop {
                let next = page(all.clone(), marker.as_deref(), Some(size), Clone::clone).unwrap();
                prop_assert!(next.items.len() <= size as usize);
                seen.extend(next.items);
                marker = next.marker;
                if marker.is_none() {
                    break;
                }
            }
            prop_assert_eq!(seen, all);
        }
    }

    #[test]
    fn a_marker_of_somebody_else_is_refused() {
        assert_eq!(page(vec!["a".to_owned()], Some("!"), None, Clone::clone).err().unwrap().code, "ValidationError");
    }
}
