//! The host, or a folder that plays it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

/// See the module. Paths handed in are those of the host, absolute.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    root: PathBuf,
}

/// The user this process acts as.
pub(crate) fn own_uid() -> u32 {
    // Without /proc nothing of this program works, least of all as root.
    fs::metadata("/proc/self").map_or(u32::MAX, |me| me.uid())
}

impl Place {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether this is the host itself.
    pub(crate) fn is_host(&self) -> bool {
        self.root == Path::new("/")
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a path of the host is.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path.as_ref().strip_prefix("/").unwrap_or(path.as_ref()))
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).exists()
    }

    /// A file's text; `None` when there is no such file.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> anyhow::Result<Option<String>> {
        let path = self.at(path);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// The first line of a kernel setting, when there is one.
    pub(crate) fn setting(&self, path: &str) -> Option<String> {
        Some(fs::read_to_string(self.at(path)).ok()?.trim().to_owned())
    }

    /// A program of the host: in the search path and where administrators' programs are. A folder that plays the host
    /// plays these too.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        const ALWAYS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        let search = std::env::var_os("PATH").filter(|_| self.is_host()).unwrap_or_default();
        let folders = std::env::split_paths(&search).chain(ALWAYS.map(PathBuf::from));
        folders.map(|folder| self.at(folder.join(name))).find(|path| path.is_file())
    }

    /// Runs a program of the host.
    ///
    /// # Errors
    /// What it complained of.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let program = self.program(name).with_context(|| format!("{name} is not installed"))?;
        let done = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting {name}"))?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "{name} {}: {} ({})", arguments.join(" "), said.trim(), done.status);
        Ok(())
    }

    /// Writes a whole file so that every reader sees the old or the new one: temporary file, fsync, rename. A file that was
    /// there keeps its mode and owner.
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) -> anyhow::Result<()> {
        // A file that is a link elsewhere stays one.
        let path = self.at(path);
        let path = fs::canonicalize(&path).unwrap_or(path);
        let old = fs::metadata(&path).ok();
        let mode = old.as_ref().map_or(0o644, |old| old.mode() & 0o7777);
        let folder = path.parent().context("a file lies in a folder")?;
        let mut name = path.file_name().context("a file has a name")?.to_owned();
        name.push(format!(".lambent-{}", std::process::id()));
        let temporary = folder.join(name);
        let written = (|| {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            if let Some(old) = &old {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            fs::File::open(folder)?.sync_all()
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.with_context(|| format!("writing {}", path.display()))
    }

    /// Which of a folder and those above it are not there, outermost first.
    pub(crate) fn missing_folders(&self, path: impl AsRef<Path>) -> Vec<PathBuf> {
        let path = path.as_ref();
        let mut missing: Vec<PathBuf> =
            path.ancestors().take_while(|folder| !self.exists(folder)).map(Path::to_owned).collect();
        missing.reverse();
        missing
    }

    /// Makes a folder and those above it.
    pub(crate) fn make_folders(&self, path: impl AsRef<Path>) -> anyhow::Result<()> {
        for folder in self.missing_folders(path) {
            fs::DirBuilder::new()
                .mode(0o755)
                .create(self.at(&folder))
                .with_context(|| format!("making {}", folder.display()))?;
        }
        Ok(())
    }

    /// Removes folders that are empty, innermost first.
    pub(crate) fn remove_empty(&self, folders: &[PathBuf]) {
        for folder in folders.iter().rev() {
            // Somebody has put something there since: then it is theirs.
            let _ = fs::remove_dir(self.at(folder));
        }
    }

    /// Does something while holding the lock that the system's own tools take for `file` (`file.lock`, see shadow's
    /// lckpwdf and commonio).
    pub(crate) fn locked<T>(&self, file: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let lock = self.at(format!("{file}.lock"));
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock);
        let mut made = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let holder = fs::read_to_string(&lock).unwrap_or_default();
                let holder = holder.trim_matches(['\0', '\n', ' ']);
                bail!(
                    "{file} is being changed by process {holder} ({} exists); try again when it has ended",
                    lock.display()
                )
            }
            other => other.with_context(|| format!("locking {file}"))?,
        };
        let result = write!(made, "{}\0", std::process::id()).context("writing the lock").and_then(|()| work());
        fs::remove_file(&lock).with_context(|| format!("unlocking {file}"))?;
        result
    }
}
