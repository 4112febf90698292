//! Finding the host's own Python and Node interpreters, and what of the host a sandbox must see to run one.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::walls::Mount;

/// Seconds after which an interpreter that does not tell its version is passed over.
const PATIENCE_S: i64 = 10;

/// The kind of an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// CPython 3.
    Python,
    /// Node.js.
    Node,
}

/// An interpreter of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub family: Family,
    /// Major, minor and patch version, as it told them itself.
    pub version: (u32, u32, u32),
    /// The program itself, free of symbolic links; the same path inside a sandbox that has `mounts`.
    pub exe: PathBuf,
    /// What a sandbox must see besides the system's folders: its installation, at its own path.
    pub mounts: Vec<Mount>,
}

/// Looks for interpreters: in `PATH`, the system's folders, and those of the version managers pyenv, nvm, asdf, mise, uv and
/// Volta. Each is run once to learn its version, which takes some 10 ms for a Python and 50 ms for a Node: cache the
/// result. Scripts that stand in for an interpreter are passed over, what they would start is found by itself.
/// Sorted by family, then newest first, the system's before others of the same version.
pub fn find_interpreters() -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let mut found: Vec<Found> = folders()
        .iter()
        .flat_map(|folder| candidates(folder))
        .filter_map(|(family, path)| Some((family, fs::canonicalize(path).ok()?)))
        .filter(|(_, exe)| seen.insert(exe.clone()) && is_elf(exe))
        .filter_map(|(family, exe)| probe_interpreter(family, &exe))
        .collect();
    found.sort_by(|a, b| (a.family, b.version, a.mounts.len()).cmp(&(b.family, a.version, b.mounts.len())));
    found
}

/// Runs one program to learn whether it is a usable interpreter of this family. `None` when it is not.
pub fn probe_interpreter(family: Family, exe: &Path) -> Option<Found> {
    let exe = fs::canonicalize(exe).ok()?;
    let arguments: &[&str] = match family {
        Family::Python => &[
            "-I",
            "-S",
            "-c",
            "import sys; print(*sys.version_info[:3], sep='.'); print(sys.base_prefix); print(sys.base_exec_prefix)",
        ],
        Family::Node => &["-p", "process.versions.node"],
    };
    let answer = ask(&exe, arguments)?;
    let mut lines = answer.lines();
    let version = parse_version(lines.next()?)?;
    let prefixes: Vec<PathBuf> = match family {
        Family::Python if version.0 != 3 => return None,
        Family::Python => lines.map(PathBuf::from).collect(),
        // Node needs its program and, for npm, the folder around `bin`.
        Family::Node => {
            let bin = exe.parent().filter(|folder| folder.file_name() == Some(OsStr::new("bin")));
            bin.and_then(Path::parent).map(Path::to_owned).into_iter().collect()
        }
    };
    let mounts = mounts(&exe, &prefixes);
    Some(Found { family, version, exe, mounts })
}

/// The installation, unless the system's folders, which every sandbox sees, hold it.
fn mounts(exe: &Path, prefixes: &[PathBuf]) -> Vec<Mount> {
    const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix", "/gnu"];
    let outside = |path: &&PathBuf| !SYSTEM.iter().any(|system| path.starts_with(system)) && path.parent().is_some();
    let mut folders: Vec<PathBuf> =
        prefixes.iter().filter(outside).filter_map(|path| fs::canonicalize(path).ok()).collect();
    let exe = exe.to_owned();
    if outside(&&exe) && !folders.iter().any(|folder| exe.starts_with(folder)) {
        folders.push(exe);
    }
    folders.sort();
    folders.dedup();
    folders.into_iter().map(|folder| Mount { source: folder.clone(), target: folder }).collect()
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.trim().trim_start_matches('v').splitn(3, '.');
    let mut next = || {
        let digits = parts.next()?;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    Some((next()?, next()?, next()?))
}

/// The first lines a program prints, if it prints them in time and ends well.
fn ask(exe: &Path, arguments: &[&str]) -> Option<String> {
    let mut child = Command::new(exe)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let pid = Pid::from_raw(child.id() as i32)?;
    let ended = pidfd_open(pid, PidfdFlags::empty()).is_ok_and(|pidfd| {
        let wait = Timespec { tv_sec: PATIENCE_S, tv_nsec: 0 };
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&wait)).is_ok_and(|ready| ready > 0)
    });
    if !ended {
        let _ = child.kill();
    }
    let mut answer = String::new();
    let read = child.stdout.take()?.take(4096).read_to_string(&mut answer);
    let good = child.wait().is_ok_and(|status| status.success());
    (ended && good && read.is_ok()).then_some(answer)
}

/// Whether a file is a program, not a script that stands in for one.
fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

fn family_of(name: &OsStr) -> Option<Family> {
    let name = name.to_str()?;
    let minor = name.strip_prefix("python3");
    if minor.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.').is_some_and(|n| n.parse::<u32>().is_ok())) {
        return Some(Family::Python);
    }
    (name == "node" || name == "nodejs").then_some(Family::Node)
}

fn candidates(folder: &Path) -> Vec<(Family, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((family_of(&entry.file_name())?, entry.path()))).collect()
}

/// Every folder an interpreter may lie in.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from).to_vec();
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths).filter(|path| path.is_absolute()));
    let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    let of = |name: &str, inside: &str| std::env::var_os(name).map_or_else(|| home.join(inside), PathBuf::from);
    let managed = [
        of("PYENV_ROOT", ".pyenv").join("versions"),
        of("NVM_DIR", ".nvm").join("versions/node"),
        of("ASDF_DATA_DIR", ".asdf").join("installs/python"),
        of("ASDF_DATA_DIR", ".asdf").join("installs/nodejs"),
        of("MISE_DATA_DIR", ".local/share/mise").join("installs/python"),
        of("MISE_DATA_DIR", ".local/share/mise").join("installs/node"),
        of("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python"),
        of("VOLTA_HOME", ".volta").join("tools/image/node"),
        PathBuf::from("/opt"),
    ];
    for manager in managed {
        let versions = fs::read_dir(manager).into_iter().flatten().flatten();
        folders.extend(versions.map(|version| version.path().join("bin")));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_interpreters_print_them() {
        assert_eq!(parse_version("3.11.7"), Some((3, 11, 7)));
        assert_eq!(parse_version("v22.1.0"), Some((22, 1, 0)));
        assert_eq!(parse_version("24.0.0-nightly2025"), Some((24, 0, 0)));
        assert_eq!(parse_version("3.11"), None);
    }

    #[test]
    fn only_interpreters_names_are_tried() {
        for (name, family) in [
            ("python3", Some(Family::Python)),
            ("python3.12", Some(Family::Python)),
            ("python3-config", None),
            ("python3.12-config", None),
            ("python", None),
            ("node", Some(Family::Node)),
            ("nodejs", Some(Family::Node)),
            ("node-gyp", None),
        ] {
            assert_eq!(family_of(OsStr::new(name)), family, "{name}");
        }
    }

    #[test]
    fn the_system_s_folders_need_no_mount() {
        assert_eq!(mounts(Path::new("/usr/bin/python3.11"), &["/usr".into(), "/usr".into()]), Vec::new());
    }

    #[test]
    fn a_script_is_no_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let shim = folder.path().join("python3");
        fs::write(&shim, "#!/bin/sh\nexec true\n").unwrap();
        assert!(!is_elf(&shim));
    }

    #[test]
    fn what_is_found_tells_its_version_again() {
        for found in find_interpreters() {
            assert_eq!(probe_interpreter(found.family, &found.exe).as_ref(), Some(&found));
        }
    }
}
