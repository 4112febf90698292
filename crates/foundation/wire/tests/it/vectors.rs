//! Where the test vectors are: botocore's source distribution, which carries AWS's protocol and signature suites.

use std::path::{Path, PathBuf};
use std::process::Command;

const RELEASE: &str = "1.44.5";

/// The folder `tests/unit` of botocore; none when it is absent and cannot be fetched. `LAMBENT_VECTORS` points at another.
pub(crate) fn folder() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("LAMBENT_VECTORS") {
        return Some(PathBuf::from(given));
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/vectors");
    let unit = target.join(format!("botocore-{RELEASE}/tests/unit"));
    if !unit.exists() {
        fetch(&target);
    }
    if unit.exists() {
        return Some(unit);
    }
    println!("skipped: botocore's test vectors are not in {} and pip could not fetch them", unit.display());
    None
}

fn fetch(target: &Path) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = std::fs::create_dir_all(target);
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", "."];
        let _ = Command::new("python3").args(pip).arg(format!("botocore=={RELEASE}")).current_dir(target).status();
        let archive = format!("botocore-{RELEASE}.tar.gz");
        let _ = Command::new("tar").args(["-xzf", &archive]).current_dir(target).status();
    });
}
