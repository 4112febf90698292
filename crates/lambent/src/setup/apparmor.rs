//! The AppArmor profile that lets this binary make user namespaces, as distributions ship them for browsers.

use std::path::Path;

use anyhow::{Context, ensure};

use super::place::Place;

/// Where it is kept.
pub(super) const FILE: &str = "/etc/apparmor.d/lambent";

/// Whether AppArmor can restrict user namespaces on this host.
pub(super) fn restricts(place: &Place) -> bool {
    place.exists("/sys/kernel/security/apparmor")
        && place.exists("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
}

/// The profile for a binary.
///
/// # Errors
/// When no profile can name its path.
pub(super) fn profile(binary: &Path) -> anyhow::Result<String> {
    let path = binary.to_str().context("the path of this binary is no UTF-8, which AppArmor cannot name")?;
    ensure!(
        !path.chars().any(|c| c.is_control() || c == '"' || c == '\\'),
        "the path of this binary holds signs that no AppArmor profile can name: {path:?}"
    );
    // What apparmor.d(5) gives a meaning inside a path.
    let escaped: String =
        path.chars().flat_map(|c| ['\\'].into_iter().filter(move |_| "*?[]{}^".contains(c)).chain([c])).collect();
    Ok(format!(
        "# Written by `lambent setup`; `lambent setup --undo` removes it.\n\
         # It restricts nothing: it lets Lambent make the user namespaces that its sandboxes are built of.\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\
         \n\
         profile lambent \"{escaped}\" flags=(unconfined) {{\n  userns,\n\n  include if exists <local/lambent>\n}}\n"
    ))
}
