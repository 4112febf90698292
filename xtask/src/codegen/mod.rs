//! Generates `crates/foundation/model/src` from botocore's service models.
//!
//! `xtask/services/*.json` is the allow-list: which operations, with their IAM action and resource template where the
//! rule "action = prefix:Operation" does not hold. Only shapes reachable from an allowed operation are written.
//!
//! A list may name the `prefix` of its IAM actions where it is not the name that requests are signed with, and a `patch` of
//! AWS's model: what the service still speaks and the model no longer says.

mod load;
mod names;
mod print;
mod roots;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The botocore release that the models come from; NOTICE names it too.
const BOTOCORE: &str = "1.44.5";

/// Writes the model, or with `check` compares it with what is committed.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let data = load::botocore(root, BOTOCORE)?;
    let out = root.join("crates/foundation/model/src");
    let mut lists: Vec<PathBuf> =
        fs::read_dir(root.join("xtask/services"))?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    lists.sort();
    let mut files = Vec::new();
    let mut modules = Vec::new();
    for list in &lists {
        let service = load::service(&data, list).with_context(|| format!("reading {}", list.display()))?;
        files.push((out.join(format!("{}.rs", names::snake(&service.module))), print::service(&service)?));
        modules.push(service.module);
    }
    files.push((out.join("lib.rs"), print::root(&modules, BOTOCORE)));
    for (path, text) in files {
        let text = format(root, &text)?;
        if check {
            if fs::read_to_string(&path).unwrap_or_default() != text {
                bail!("{} is not what codegen writes; run `cargo xtask codegen` and commit the result", path.display());
            }
        } else {
            fs::write(&path, text)?;
        }
    }
    Ok(())
}

/// Runs rustfmt over one generated file's text.
fn format(root: &Path, text: &str) -> anyhow::Result<String> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt is missing: `rustup component add rustfmt`")?;
    let mut input = rustfmt.stdin.take().context("stdin was piped")?;
    let bytes = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(bytes.as_bytes()));
    let done = rustfmt.wait_with_output()?;
    writer.join().ok().context("the writer thread ends")??;
    anyhow::ensure!(done.status.success(), "rustfmt refused the generated text");
    Ok(String::from_utf8(done.stdout)?)
}
