//! Brings together what goes into the package: the folder's own files and its installed dependencies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::detect::{Found, Kind};
use super::programs;
use crate::interpreters::Known;

/// What goes into the package: path in the zip → where it comes from. Sorted, so that zips are reproducible.
pub(crate) type Contents = std::collections::BTreeMap<String, Source>;

/// Where a file of the package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file on disk, with its mode.
    File(PathBuf),
    /// Made here.
    Made(Vec<u8>),
    /// Made here, to be run.
    Program(Vec<u8>),
}

/// Never packed, whatever ignore files say.
const NEVER: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    ".env",
    "env.local",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".DS_Store",
    ".idea",
    ".vscode",
    ".aws-sam",
    ".serverless",
    ".lambent",
    ".cache",
    ".npm",
    "lambent.json",
    ".gitignore",
    ".lambentignore",
    ".vercelignore",
    ".coverage",
];

/// Installs what the folder asks for and lists what to pack; of a web function also the command that starts it.
/// What is debugged gets a server of one process.
pub(crate) fn build(
    directory: &Path,
    found: &Found,
    debugged: bool,
    host: &mut Known,
) -> anyhow::Result<(Contents, Option<String>)> {
    let mut contents = Contents::new();
    let is_web = found.web.is_some();
    match found.kind {
        Kind::Rust => {
            contents.insert("bootstrap".into(), Source::File(rust(directory)?));
            if !is_web {
                return Ok((contents, None));
            }
        }
        Kind::Python if directory.join("requirements.txt").exists() => {
            let installed = python(directory, &found.runtime, host)?;
            everything(&installed, &mut contents)?;
            if is_web {
                programs::of_python(&installed, &mut contents)?;
            }
        }
        Kind::Node if directory.join("package.json").exists() => {
            let modules = node(directory)?;
            let mut installed = Contents::new();
            everything(&modules, &mut installed)?;
            if is_web {
                programs::of_node(&modules, &mut installed)?;
            }
            contents.extend(installed.into_iter().map(|(name, path)| (format!("node_modules/{name}"), path)));
        }
        Kind::Python | Kind::Node | Kind::Bootstrap => {}
    }
    // The folder's own files win over installed ones of the same name.
    own(directory, found.kind == Kind::Node, &mut contents)?;
    if found.kind == Kind::Rust {
        contents.retain(|name, _| !is_built(name));
    }
    let command = match &found.web {
        Some(web) => Some(web.prepare(directory, found.kind, debugged, &mut contents)?),
        None => None,
    };
    Ok((contents, command))
}

/// Whether a file of a Cargo package went into its program: pages and pictures did not.
fn is_built(name: &str) -> bool {
    name.starts_with("src/") || name.starts_with("target/") || ["Cargo.toml", "Cargo.lock", "build.rs"].contains(&name)
}

/// The folder's files and no others: nothing is installed. `ignored` are patterns of gitignore's form; links are followed.
pub(crate) fn as_it_lies(directory: &Path, ignored: &[String]) -> anyhow::Result<Contents> {
    let mut patterns = ignore::gitignore::GitignoreBuilder::new(directory);
    for pattern in ignored {
        patterns.add_line(None, pattern).with_context(|| format!("the ignored pattern {pattern} does not read"))?;
    }
    let patterns = patterns.build()?;
    let walk = ignore::WalkBuilder::new(directory).standard_filters(false).follow_links(true).build();
    let mut contents = Contents::new();
    for entry in walk {
        let entry = entry.context("reading the folder")?;
        let name = relative(directory, entry.path())?;
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        let is_never = name.split('/').any(|part| NEVER.contains(&part) || part.starts_with(".env."));
        if is_file && !is_never && !patterns.matched_path_or_any_parents(&name, false).is_ignore() {
            contents.insert(name, Source::File(entry.path().to_owned()));
        }
    }
    Ok(contents)
}

/// The folder's files, less what ignore files and [`NEVER`] name.
pub(crate) fn own(directory: &Path, node: bool, contents: &mut Contents) -> anyhow::Result<()> {
    let cargo = directory.join("Cargo.toml").exists();
    let walk = ignore::WalkBuilder::new(directory)
        .hidden(false)
        .git_global(false)
        .git_exclude(false)
        .parents(false)
        .require_git(false)
        .add_custom_ignore_filename(".lambentignore")
        .add_custom_ignore_filename(".vercelignore")
        .filter_entry(move |entry| {
            let name = entry.file_name().to_string_lossy();
            let secret = name.starts_with(".env.");
            let installed = (node && name == "node_modules") || (cargo && name == "target");
            entry.depth() == 0 || !(NEVER.contains(&name.as_ref()) || secret || installed || name.ends_with(".pyc"))
        })
        .build();
    for entry in walk {
        let entry = entry.context("reading the folder")?;
        if entry.file_type().is_some_and(|kind| kind.is_file()) {
            contents.insert(relative(directory, entry.path())?, Source::File(entry.path().to_owned()));
        }
    }
    Ok(())
}

/// Every file of an installed tree, less what only a cache would keep.
pub(crate) fn everything(directory: &Path, contents: &mut Contents) -> anyhow::Result<()> {
    let mut todo = vec![directory.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                // Installed command line tools are of no use to a handler, and those of a web function are made anew.
                if name != "__pycache__" && !(folder == directory && (name == "bin" || name == ".bin")) {
                    todo.push(path);
                }
            } else if path.is_file() && !name.ends_with(".pyc") && name != ".lambent-complete" {
                contents.insert(relative(directory, &path)?, Source::File(path));
            }
        }
    }
    Ok(())
}

fn relative(directory: &Path, path: &Path) -> anyhow::Result<String> {
    let relative = path.strip_prefix(directory)?;
    let text = relative.to_str().with_context(|| format!("{} is not UTF-8", relative.display()))?;
    Ok(text.to_owned())
}

/// Where builds are kept between deploys.
fn cache(key: &[u8]) -> anyhow::Result<PathBuf> {
    let root = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set: where shall installed dependencies be kept?")?;
    let digest = store::Digest::of(key).to_string();
    Ok(root.join("lambent/builds").join(&digest[..32]))
}

/// `requirements.txt` for the function's own interpreter, in isolation, once per content.
fn python(directory: &Path, runtime: &str, host: &mut Known) -> anyhow::Result<PathBuf> {
    let requirements = fs::read(directory.join("requirements.txt"))?;
    let interpreter = host.for_runtime(runtime)?;
    let version = interpreter.version;
    let mut key = format!("{runtime} {version:?} {}\n", std::env::consts::ARCH).into_bytes();
    key.extend_from_slice(&requirements);
    install_once(&cache(&key)?, |target| {
        let mut pip = Command::new(&interpreter.exe);
        pip.args(["-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", "install", "--quiet"])
            .args(["--no-compile", "--root-user-action", "ignore", "--no-warn-script-location", "--no-warn-conflicts"])
            .arg("--target")
            .arg(target)
            .arg("-r")
            .arg(directory.join("requirements.txt"));
        carry_index(&mut pip);
        eprintln!("installing requirements.txt for {runtime}");
        let done = pip.status().with_context(|| format!("running {}", interpreter.exe.display()))?;
        ensure!(
            done.success(),
            "pip could not install requirements.txt; if pip itself is missing, `make deps` installs it"
        );
        Ok(())
    })
}

/// `--isolated` makes pip deaf to its environment; which index a person uses must still count.
fn carry_index(pip: &mut Command) {
    for (variable, option) in [
        ("PIP_INDEX_URL", "--index-url"),
        ("PIP_EXTRA_INDEX_URL", "--extra-index-url"),
        ("PIP_FIND_LINKS", "--find-links"),
        ("PIP_CERT", "--cert"),
        ("PIP_TRUSTED_HOST", "--trusted-host"),
    ] {
        if let Ok(value) = std::env::var(variable)
            && !value.is_empty()
        {
            pip.arg(option).arg(value);
        }
    }
}

/// `package.json`'s production dependencies, in a copy, once per content. Returns the `node_modules` folder.
fn node(directory: &Path) -> anyhow::Result<PathBuf> {
    let mut key = fs::read(directory.join("package.json"))?;
    let manifest: serde_json::Value = serde_json::from_slice(&key).context("package.json is not JSON")?;
    let lock = directory.join("package-lock.json");
    let locked = lock.exists();
    if locked {
        key.extend(fs::read(&lock)?);
    }
    let wanted = manifest["dependencies"].as_object().is_some_and(|dependencies| !dependencies.is_empty());
    let folder = install_once(&cache(&key)?, |target| {
        fs::create_dir_all(target.join("node_modules"))?;
        if !wanted {
            return Ok(());
        }
        fs::copy(directory.join("package.json"), target.join("package.json"))?;
        if locked {
            fs::copy(&lock, target.join("package-lock.json"))?;
        }
        eprintln!("installing package.json");
        let done = Command::new("npm")
            .args([if locked { "ci" } else { "install" }, "--omit=dev", "--no-audit", "--no-fund", "--silent"])
            .current_dir(target)
            .status()
            .context("npm is missing; `make deps` installs it")?;
        ensure!(done.success(), "npm could not install package.json");
        Ok(())
    })?;
    Ok(folder.join("node_modules"))
}

/// Fills a cache folder once: into a temporary one, renamed when whole.
fn install_once(folder: &Path, install: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        return Ok(folder.to_owned());
    }
    let temporary = folder.with_extension(format!("part-{}", std::process::id()));
    fs::create_dir_all(&temporary).with_context(|| format!("making {}", temporary.display()))?;
    let done = install(&temporary);
    if done.is_err() {
        // What pip or npm left half done is of no use; its own error matters, not this one.
        drop(fs::remove_dir_all(&temporary));
    }
    done?;
    match fs::rename(&temporary, folder) {
        // Somebody else finished the same content first.
        Err(_) if folder.exists() => fs::remove_dir_all(&temporary)?,
        other => other?,
    }
    Ok(folder.to_owned())
}

/// Builds the Cargo package and returns its one binary.
fn rust(directory: &Path) -> anyhow::Result<PathBuf> {
    eprintln!("building with cargo");
    let build = Command::new("cargo")
        .args(["build", "--release", "--message-format=json-render-diagnostics"])
        .current_dir(directory)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cargo is missing: install Rust")?;
    ensure!(build.status.success(), "cargo could not build {}", directory.display());
    let mut binaries = Vec::new();
    for line in String::from_utf8_lossy(&build.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if let Some(executable) = message["executable"].as_str() {
            binaries
                .push((message["target"]["name"].as_str().unwrap_or_default().to_owned(), PathBuf::from(executable)));
        }
    }
    if let Some((_, path)) = binaries.iter().find(|(name, _)| name == "bootstrap") {
        return Ok(path.clone());
    }
    match binaries.as_slice() {
        [(_, only)] => Ok(only.clone()),
        [] => anyhow::bail!("{} has no binary target", directory.display()),
        many => anyhow::bail!(
            "{} has several binaries ({}): name one of them `bootstrap`",
            directory.display(),
            many.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    }
}
