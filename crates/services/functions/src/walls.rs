//! The tags by which a function says how it is walled in and how `$LATEST` begins. AWS has no setting for it, and tags come
//! through every tool.

use std::collections::BTreeMap;

use base::{Egress, Fault};
use invoker::Isolation;

use crate::faults;

const EGRESS: &str = "LAMBENT_EGRESS";
const ISOLATION: &str = "LAMBENT_ISOLATION";
const SNAPSTART: &str = "LAMBENT_SNAPSTART";
/// Tags that begin so are settings, so a misspelt one is refused.
const SETTING: &str = "LAMBENT_";

/// How the environments of a function are walled in, and how those of `$LATEST` begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) egress: Egress,
    pub(crate) isolation: Isolation,
    /// Whether SnapStart holds for `$LATEST`, too.
    pub(crate) latest: bool,
}

impl Asked {
    /// What a function's tags ask for, within the platform's own rule.
    pub(crate) fn of(tags: &BTreeMap<String, String>, platform: Option<Egress>) -> Self {
        let platform = platform.unwrap_or(Egress::All);
        // What was stored was valid; were it not, the narrowest is safe.
        let egress = tags.get(EGRESS).map_or(platform, |value| egress(value).unwrap_or(Egress::None));
        let isolation =
            tags.get(ISOLATION).map_or(Isolation::Process, |value| isolation(value).unwrap_or(Isolation::MicroVm));
        let latest = tags.get(SNAPSTART).is_some_and(|value| snapstart(value) == Some(true));
        Self { egress: egress.min(platform), isolation, latest }
    }

    /// A word for it, which differs where environments do.
    pub(crate) fn word(self) -> String {
        format!("{:?}-{:?}", self.egress, self.isolation)
    }
}

fn egress(value: &str) -> Option<Egress> {
    match value {
        "none" => Some(Egress::None),
        "public" => Some(Egress::Public),
        "all" => Some(Egress::All),
        _ => None,
    }
}

/// Whether `$LATEST` is among what SnapStart holds for.
fn snapstart(value: &str) -> Option<bool> {
    match value {
        "published" => Some(false),
        "latest" => Some(true),
        _ => None,
    }
}

fn isolation(value: &str) -> Option<Isolation> {
    match value {
        "process" => Some(Isolation::Process),
        "microvm" => Some(Isolation::MicroVm),
        _ => None,
    }
}

/// Whether tags that a caller gives are settings that this platform can keep.
///
/// # Errors
/// Which tag, what it may be, and for a wider egress than the platform's what to do.
pub(crate) fn check(tags: &BTreeMap<String, String>, platform: Option<Egress>) -> Result<(), Fault> {
    for (key, value) in tags.iter().filter(|(key, _)| key.to_ascii_uppercase().starts_with(SETTING)) {
        match key.as_str() {
            EGRESS => {
                let wanted = egress(value).ok_or_else(|| may_be(key, value, "all, public or none"))?;
                let Some(platform) = platform else {
                    if wanted < Egress::All {
                        return Err(faults::invalid(not_kept(value)));
                    }
                    continue;
                };
                if wanted > platform {
                    let rule = format!("{platform:?}").to_ascii_lowercase();
                    return Err(faults::invalid(format!(
                        "The tag {EGRESS}={value} asks for more than this platform allows its functions: it runs with \
                         --egress={rule}. A function may only narrow that."
                    )));
                }
            }
            ISOLATION => drop(isolation(value).ok_or_else(|| may_be(key, value, "process or microvm"))?),
            SNAPSTART => drop(snapstart(value).ok_or_else(|| may_be(key, value, "published or latest"))?),
            _ => {
                return Err(faults::invalid(format!(
                    "The tag {key} is no setting of Lambent. Tags that begin with {SETTING} may be {EGRESS} (all, public or \
                     none), {ISOLATION} (process or microvm) and {SNAPSTART} (published or latest)."
                )));
            }
        }
    }
    Ok(())
}

/// Why a rule is not kept where functions have no walls.
pub(crate) fn not_kept(value: &str) -> String {
    format!(
        "The tag {EGRESS}={value} cannot be kept: this platform runs with --walls=weak, where functions use the host's network."
    )
}

impl Asked {
    /// What stands in the way of running a function on a platform without walls.
    pub(crate) fn obstacle(self, platform: Option<Egress>) -> Option<String> {
        let narrowed = platform.is_none() && self.egress < Egress::All;
        narrowed.then(|| not_kept(&format!("{:?}", self.egress).to_ascii_lowercase()))
    }
}

fn may_be(key: &str, value: &str, values: &str) -> Fault {
    faults::invalid(format!("The tag {key} may be {values}, not '{value}'."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_narrower_of_function_and_platform_holds() {
        use Egress::{All, None, Public};
        for (tag, platform, holds) in [
            ("all", All, All),
            ("all", Public, Public),
            ("public", All, Public),
            ("public", None, None),
            ("none", All, None),
            ("damaged", All, None),
        ] {
            assert_eq!(Asked::of(&tags(&[(EGRESS, tag)]), Some(platform)).egress, holds, "{tag} {platform:?}");
        }
        assert_eq!(
            Asked::of(&tags(&[("team", "red")]), Some(Public)),
            Asked { egress: Public, isolation: Isolation::Process, latest: false }
        );
        assert_eq!(Asked::of(&tags(&[(ISOLATION, "microvm")]), Some(All)).isolation, Isolation::MicroVm);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_in_words() {
        let refused = |key: &str, value: &str, platform| check(&tags(&[(key, value)]), Some(platform)).unwrap_err();
        let fault = refused(EGRESS, "some", Egress::All);
        assert_eq!(fault.code, "InvalidParameterValueException");
        assert_eq!(fault.message, "The tag LAMBENT_EGRESS may be all, public or none, not 'some'.");
        assert!(refused(EGRESS, "all", Egress::Public).message.contains("--egress=public"));
        assert!(refused(ISOLATION, "Process", Egress::All).message.contains("process or microvm, not 'Process'"));
        assert!(refused("LAMBENT_EGRES", "none", Egress::All).message.contains("no setting"));
        assert!(refused("lambent_egress", "none", Egress::All).message.contains("no setting"));
        let fine = tags(&[(EGRESS, "public"), (ISOLATION, "process"), ("team", "red")]);
        assert_eq!(check(&fine, Some(Egress::Public)), Ok(()));
    }

    #[test]
    fn without_walls_a_narrower_rule_is_refused_and_not_ignored() {
        let narrow = tags(&[(EGRESS, "public")]);
        assert!(check(&narrow, None).unwrap_err().message.contains("--walls=weak"));
        assert!(Asked::of(&narrow, None).obstacle(None).is_some());
        assert_eq!(check(&tags(&[(EGRESS, "all")]), None), Ok(()));
        assert_eq!(Asked::of(&tags(&[]), None).obstacle(None), None);
        assert_eq!(Asked::of(&narrow, Some(Egress::All)).obstacle(Some(Egress::All)), None);
    }
}
