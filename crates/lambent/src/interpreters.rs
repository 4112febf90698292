//! Which interpreter serves which runtime identifier: found on the host, or added by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use base::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::Shared;
use sandbox::{Family, Found};
use serde_json::{Value, json};

/// `python3.11` for Python 3.11.x, `nodejs20.x` for Node 20; none for versions Lambda never had.
pub(crate) fn identifier(family: Family, version: (u32, u32, u32)) -> Option<String> {
    let id = match family {
        Family::Python => format!("python{}.{}", version.0, version.1),
        Family::Node => format!("nodejs{}.x", version.0),
    };
    runtime::Runtime::parse(&id).map(|_| id)
}

/// Every interpreter: additions first, then what the host has.
pub(crate) fn all() -> anyhow::Result<Vec<runtime::Interpreter>> {
    let mut out = Vec::new();
    for (_, prefix) in additions()? {
        out.push(at(&prefix)?);
    }
    out.extend(sandbox::find_interpreters());
    Ok(out.into_iter().map(as_runtime).collect())
}

/// Looks for them beside everything else: it takes longer than a start may.
pub(crate) fn search() -> anyhow::Result<Shared<BoxFuture<'static, Arc<[runtime::Interpreter]>>>> {
    let added = additions()?;
    let search = tokio::task::spawn_blocking(move || {
        let added = added.iter().filter_map(|(id, prefix)| match at(prefix) {
            Ok(found) => Some(found),
            Err(error) => {
                eprintln!("lambent: the added runtime {id} is not served: {error}");
                None
            }
        });
        added.chain(sandbox::find_interpreters()).map(as_runtime).collect()
    });
    let found: BoxFuture<'static, Arc<[runtime::Interpreter]>> = Box::pin(async move {
        search.await.unwrap_or_else(|error| {
            eprintln!("lambent: the search for interpreters broke: {error}");
            Arc::from([])
        })
    });
    Ok(found.shared())
}

fn as_runtime(found: Found) -> runtime::Interpreter {
    runtime::Interpreter {
        family: match found.family {
            Family::Python => runtime::Family::Python,
            Family::Node => runtime::Family::Node,
        },
        version: found.version,
        exe: found.exe,
        mounts: found.mounts.into_iter().map(|mount| (mount.source, mount.target)).collect(),
    }
}

/// What is known of this host's interpreters: each is asked once, since asking starts it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// By program: the runtime identifier of what a person gets by that name.
    usual: BTreeMap<&'static str, String>,
    by_runtime: BTreeMap<String, runtime::Interpreter>,
}

impl Known {
    /// The runtime identifier of what `program` is here; `ask` finds it out.
    pub(crate) fn usual(
        &mut self,
        program: &'static str,
        ask: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        match self.usual.get(program) {
            Some(id) => Ok(id.clone()),
            None => Ok(self.usual.entry(program).or_insert(ask()?).clone()),
        }
    }

    /// The interpreter that would run functions of `id`.
    pub(crate) fn for_runtime(&mut self, id: &str) -> anyhow::Result<runtime::Interpreter> {
        match self.by_runtime.get(id) {
            Some(known) => Ok(known.clone()),
            None => Ok(self.by_runtime.entry(id.to_owned()).or_insert(for_runtime(id)?).clone()),
        }
    }
}

/// The interpreter that would run functions of `id`.
fn for_runtime(id: &str) -> anyhow::Result<runtime::Interpreter> {
    let wanted = runtime::Runtime::parse(id).with_context(|| format!("{id} is no runtime identifier of Lambda"))?;
    let policy = runtime::Policy { loopback: true, allow_older: false };
    match runtime::choose(wanted, &all()?, policy) {
        Ok(choice) => choice.interpreter.with_context(|| format!("{id} needs no interpreter")),
        Err(missing) => bail!("{missing}"),
    }
}

/// The file that keeps additions: they belong to the host and its user, not to a data folder.
fn file() -> anyhow::Result<PathBuf> {
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = home("XDG_CONFIG_HOME").or_else(|| home("HOME").map(|home| home.join(".config")));
    Ok(root.context("neither XDG_CONFIG_HOME nor HOME is set")?.join("lambent/runtimes.json"))
}

fn additions() -> anyhow::Result<Vec<(String, PathBuf)>> {
    // A service without a home has no additions.
    let Ok(path) = file() else { return Ok(Vec::new()) };
    if !path.exists() {
        return Ok(Vec::new());
    }
    let rows: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)
        .with_context(|| format!("{} is not JSON", path.display()))?;
    let rows = rows.as_object().with_context(|| format!("{} must be an object", path.display()))?;
    Ok(rows.iter().filter_map(|(id, prefix)| Some((id.clone(), PathBuf::from(prefix.as_str()?)))).collect())
}

fn keep(rows: &[(String, PathBuf)]) -> anyhow::Result<()> {
    let path = file()?;
    std::fs::create_dir_all(path.parent().context("the file lies in a folder")?)?;
    let rows: serde_json::Map<String, Value> =
        rows.iter().map(|(id, prefix)| (id.clone(), json!(prefix.display().to_string()))).collect();
    let temporary = path.with_extension("part");
    std::fs::write(&temporary, serde_json::to_vec_pretty(&rows)?)?;
    std::fs::rename(&temporary, path)?;
    Ok(())
}

/// The interpreter in an installation's prefix.
fn at(prefix: &Path) -> anyhow::Result<Found> {
    for (family, name) in [(Family::Python, "python3"), (Family::Node, "node")] {
        let exe = prefix.join("bin").join(name);
        if exe.exists() {
            return sandbox::probe_interpreter(family, &exe)
                .with_context(|| format!("{} does not answer as {name} does", exe.display()));
        }
    }
    bail!("{} holds neither bin/python3 nor bin/node", prefix.display())
}

/// `lambent runtime add`.
pub(crate) fn add(id: &str, prefix: &Path) -> anyhow::Result<()> {
    let prefix = prefix.canonicalize().with_context(|| format!("there is no folder {}", prefix.display()))?;
    let found = at(&prefix)?;
    let serves = identifier(found.family, found.version);
    ensure!(
        serves.as_deref() == Some(id),
        "{} is {} {}.{}.{}, which serves {}, not {id}",
        prefix.display(),
        name(found.family),
        found.version.0,
        found.version.1,
        found.version.2,
        serves.as_deref().unwrap_or("no runtime of Lambda")
    );
    let mut rows = additions()?;
    rows.retain(|(known, _)| known != id);
    rows.push((id.to_owned(), prefix));
    keep(&rows)?;
    println!("{id} added; a running platform takes it at its next start");
    Ok(())
}

/// `lambent runtime rm`.
pub(crate) fn remove(id: &str) -> anyhow::Result<()> {
    let mut rows = additions()?;
    let before = rows.len();
    rows.retain(|(known, _)| known != id);
    ensure!(rows.len() < before, "{id} was not added; `lambent runtime ls` shows what is there");
    keep(&rows)?;
    println!("{id} removed");
    Ok(())
}

/// `lambent runtime ls`.
pub(crate) fn print() -> anyhow::Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["RUNTIME", "VERSION", "INTERPRETER", "FROM"]);
    let added = additions()?;
    let rows = added
        .iter()
        .map(|(_, prefix)| at(prefix).map(|found| (found, "added")))
        .chain(sandbox::find_interpreters().into_iter().map(|found| Ok((found, "found"))));
    for row in rows {
        let (found, from) = row?;
        let (major, minor, patch) = found.version;
        let id = identifier(found.family, found.version).unwrap_or_else(|| "-".into());
        table.add_row([id, format!("{major}.{minor}.{patch}"), found.exe.display().to_string(), from.to_owned()]);
    }
    println!("{table}");
    println!("provided.al2, provided.al2023: any executable `bootstrap`");
    let interpreters = all()?;
    let policy = runtime::Policy { loopback: true, allow_older: false };
    for wanted in runtime::Runtime::all().filter(|one| one.is_served() && !one.is_retired()) {
        match runtime::choose(wanted, &interpreters, policy) {
            Ok(runtime::Choice { stand_in: Some(note), .. }) => println!("{note}"),
            Ok(_) => {}
            Err(missing) => println!("{missing}"),
        }
    }
    Ok(())
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Python => "Python",
        Family::Node => "Node",
    }
}
