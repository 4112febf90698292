//! Whether a zip's native modules were built for the interpreter that will load them.

use std::collections::BTreeMap;

use crate::{Family, Interpreter};

/// A native module that the interpreter cannot load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} was built for {built_for}; this function runs on {runs_on}. {fix}")]
pub struct Foreign {
    /// Its path in the zip.
    pub file: String,
    /// For example `Python 3.12 on x86_64 Linux`.
    pub built_for: String,
    /// What will run it.
    pub runs_on: String,
    /// What to do.
    pub fix: &'static str,
}

const FIX: &str = "Install the function's packages for that version and platform (`lambent deploy` does), or choose the \
                   runtime they were built for";

/// Finds the first Python extension module among `paths` that `interpreter` cannot load on `machine` (`x86_64` or
/// `aarch64`), judging by the names that PEP 3149 gives them. A module is fine when one of its builds fits, when it keeps
/// to the stable interface (`abi3`), when its name says nothing, or when the same module is there as Python source.
/// Modules of Node are not judged: their names say nothing.
pub fn foreign_module<'a>(
    paths: impl IntoIterator<Item = &'a str>,
    interpreter: &Interpreter,
    machine: &str,
) -> Option<Foreign> {
    if interpreter.family != Family::Python {
        return None;
    }
    // By module: the first build that does not fit, unless something that fits was seen.
    let mut modules: BTreeMap<&str, Option<(&str, Build<'_>)>> = BTreeMap::new();
    for path in paths {
        let Some((module, build)) = module(path) else { continue };
        let fits = build.as_ref().is_none_or(|build| build.fits(interpreter, machine));
        let known = modules.entry(module).or_insert_with(|| build.map(|build| (path, build)));
        if fits {
            *known = None;
        }
    }
    let (path, build) = modules.into_values().flatten().min_by_key(|(path, _)| *path)?;
    let (major, minor, _) = interpreter.version;
    Some(Foreign {
        file: path.to_owned(),
        built_for: build.shown(),
        runs_on: format!("Python {major}.{minor} on {machine} Linux"),
        fix: FIX,
    })
}

/// What the name of an extension module says about its build.
#[derive(Debug, Clone, Copy)]
struct Build<'a> {
    // `312`, with letters behind for special builds; empty when not said.
    version: &'a str,
    // `x86_64`, `darwin`, `win_amd64`; empty when not said.
    platform: &'a str,
}

impl Build<'_> {
    fn fits(&self, interpreter: &Interpreter, machine: &str) -> bool {
        let (major, minor, _) = interpreter.version;
        (self.version.is_empty() || self.version == format!("{major}{minor}"))
            && (self.platform.is_empty() || self.platform == machine)
    }

    fn shown(&self) -> String {
        let platform = match self.platform {
            "" => String::new(),
            "darwin" => " on macOS".to_owned(),
            windows if windows.starts_with("win") => " on Windows".to_owned(),
            machine => format!(" on {machine} Linux"),
        };
        match self.version.split_at_checked(1) {
            Some((major, minor)) => format!("Python {major}.{minor}{platform}"),
            None => format!("Python{platform}"),
        }
    }
}

/// A path's module (folder and name), and how it was built; `None` for a build that fits everywhere. No answer at all for
/// files that are no modules.
fn module(path: &str) -> Option<(&str, Option<Build<'_>>)> {
    let name_at = path.rfind('/').map_or(0, |at| at + 1);
    let dot = name_at + path[name_at..].find('.')?;
    let (module, tags) = (&path[..dot], &path[dot + 1..]);
    // Compiled by mypyc: a helper of modules that are there as source too.
    if module.ends_with("__mypyc") {
        return None;
    }
    match tags.strip_suffix("so").or_else(|| tags.strip_suffix("pyd")) {
        _ if tags == "py" => Some((module, None)),
        Some(tags) => Some((module, build(tags.strip_suffix('.').unwrap_or_default()))),
        None => None,
    }
}

fn build(tag: &str) -> Option<Build<'_>> {
    if let Some(tag) = tag.strip_prefix("cpython-") {
        let (version, rest) = tag.split_once('-').unwrap_or((tag, ""));
        return Some(Build { version, platform: rest.split('-').next().unwrap_or_default() });
    }
    // Windows writes `cp312-win_amd64.pyd`.
    let (version, platform) = tag.strip_prefix("cp")?.split_once('-')?;
    Some(Build { version, platform })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(minor: u32) -> Interpreter {
        Interpreter { family: Family::Python, version: (3, minor, 4), exe: "/p".into(), mounts: Vec::new() }
    }

    #[test]
    fn a_module_of_another_version_is_named() {
        let paths = ["app.py", "PIL/_imaging.cpython-312-x86_64-linux-gnu.so", "PIL/__init__.py", "libz.so.1"];
        assert_eq!(foreign_module(paths, &python(12), "x86_64"), None);
        let foreign = foreign_module(paths, &python(11), "x86_64").expect("it does not fit");
        assert_eq!(foreign.file, "PIL/_imaging.cpython-312-x86_64-linux-gnu.so");
        assert_eq!(
            foreign.to_string(),
            format!(
                "PIL/_imaging.cpython-312-x86_64-linux-gnu.so was built for Python 3.12 on x86_64 Linux; this function runs \
                 on Python 3.11 on x86_64 Linux. {FIX}"
            )
        );
    }

    #[test]
    fn other_machines_and_systems_are_named() {
        for (path, built_for) in [
            ("a.cpython-312-aarch64-linux-gnu.so", "Python 3.12 on aarch64 Linux"),
            ("a.cpython-312-darwin.so", "Python 3.12 on macOS"),
            ("a.cp312-win_amd64.pyd", "Python 3.12 on Windows"),
        ] {
            assert_eq!(foreign_module([path], &python(12), "x86_64").expect("it does not fit").built_for, built_for);
        }
    }

    #[test]
    fn one_fitting_build_is_enough() {
        let fine: &[&[&str]] = &[
            &["a.cpython-39-x86_64-linux-gnu.so", "a.cpython-312-x86_64-linux-gnu.so"],
            &["c/_rust.abi3.so", "plain.so", "x/lib.so.6", "native.node"],
            &["md.cpython-311-x86_64-linux-gnu.so", "md.py", "md__mypyc.cpython-311-x86_64-linux-gnu.so"],
            &["so", ".so", "", "a/", "a.cpython-312.so"],
        ];
        for paths in fine {
            assert_eq!(foreign_module(paths.iter().copied(), &python(12), "x86_64"), None, "{paths:?}");
        }
        let node = Interpreter { family: Family::Node, ..python(12) };
        assert_eq!(foreign_module(["a.cpython-39-x86_64-linux-gnu.so"], &node, "x86_64"), None);
    }
}
