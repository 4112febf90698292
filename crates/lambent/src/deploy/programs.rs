//! The command line tools of installed packages, in a form that runs where the package is unpacked: as pip and npm leave them they
//! name this host's interpreter, or are links.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::build::{Contents, Source};

/// Scripts of `bin`, for whatever `python3` comes first in PATH.
pub(super) fn of_python(installed: &Path, contents: &mut Contents) -> anyhow::Result<()> {
    for (name, path) in entries(&installed.join("bin"))? {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Some((first, rest)) = text.split_once('\n') else { continue };
        if first.starts_with("#!") && first.contains("python") {
            let script = format!("#!/usr/bin/env python3\n{rest}");
            contents.insert(format!("bin/{name}"), Source::Program(script.into_bytes()));
        }
    }
    Ok(())
}

/// Links of `node_modules/.bin`, which a zip does not carry, as scripts that do the same.
pub(super) fn of_node(modules: &Path, contents: &mut Contents) -> anyhow::Result<()> {
    let root = modules.canonicalize()?;
    for (name, path) in entries(&modules.join(".bin"))? {
        let Ok(target) = path.canonicalize() else { continue };
        let Ok(inside) = target.strip_prefix(&root) else { continue };
        let inside = inside.to_str().context("a package's program has a name that is not UTF-8")?;
        if inside.starts_with(".bin/") {
            continue;
        }
        let is_script =
            fs::read(&target).is_ok_and(|bytes| bytes.starts_with(b"#!") && first_line(&bytes).contains("node"));
        let program = if is_script { "node " } else { "" };
        let script = format!("#!/bin/sh\nexec {program}\"${{0%/*}}/../{inside}\" \"$@\"\n");
        contents.insert(format!(".bin/{name}"), Source::Program(script.into_bytes()));
    }
    Ok(())
}

fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned()
}

/// The files of a folder by name; none where there is no folder.
fn entries(folder: &Path) -> anyhow::Result<Vec<(String, std::path::PathBuf)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_run_wherever_they_are_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("bin/gunicorn", "#!/home/me/.pyenv/bin/python3.11\nimport sys\n");
        write("bin/tool", "#!/bin/sh\n");
        write("next/dist/cli.js", "#!/usr/bin/env node\n");
        write("build/bin/esbuild", "\u{7f}ELF");
        fs::create_dir_all(folder.path().join(".bin")).unwrap();
        for (name, to) in [("next", "../next/dist/cli.js"), ("esbuild", "../build/bin/esbuild"), ("out", "/bin/sh")] {
            std::os::unix::fs::symlink(to, folder.path().join(".bin").join(name)).unwrap();
        }
        let mut contents = Contents::new();
        of_python(folder.path(), &mut contents).unwrap();
        of_node(folder.path(), &mut contents).unwrap();
        let text = |name: &str| match &contents[name] {
            Source::Program(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text("bin/gunicorn"), "#!/usr/bin/env python3\nimport sys\n");
        assert_eq!(text(".bin/next"), "#!/bin/sh\nexec node \"${0%/*}/../next/dist/cli.js\" \"$@\"\n");
        assert_eq!(text(".bin/esbuild"), "#!/bin/sh\nexec \"${0%/*}/../build/bin/esbuild\" \"$@\"\n");
        assert_eq!(contents.len(), 3, "{:?}", contents.keys());
    }
}
