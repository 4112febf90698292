//! Starting walls and reading what programs say.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base::EnvironmentId;
use sandbox::{Environment, Exit, Image, Limits, Linux, Options, Spec, Walls};

/// A folder of this test run that everybody may enter, since functions run as other users.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("lambent-sandbox-").tempdir_in("/tmp").unwrap().keep();
        std::fs::create_dir(folder.join("task")).unwrap();
        std::fs::write(folder.join("task/hello.txt"), "hello from the task\n").unwrap();
        folder
    })
}

/// Walls with their own helper.
pub(crate) fn walls() -> Arc<Linux> {
    Linux::start(options()).unwrap()
}

pub(crate) fn options() -> Options {
    let mut options = Options::new(folder());
    options.helper_exe = Some(env!("CARGO_BIN_EXE_lambent-helper").into());
    options
}

pub(crate) const LIMITS: Limits = Limits { memory_mb: 256, cpu_millis: Some(2000), pids: 64, tmp_mb: 512, files: 1024 };

/// A spec that runs a program.
pub(crate) fn program(argv: &[&str]) -> Spec {
    Spec {
        id: EnvironmentId(1),
        tenant: "000000000000".to_owned(),
        image: Image { task: folder().join("task"), layers: Vec::new(), runtime: Vec::new() },
        argv: argv.iter().map(OsString::from).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/var/task".into(),
        limits: LIMITS,
        ports: Vec::new(),
    }
}

/// A spec that runs a shell script.
pub(crate) fn shell(script: &str) -> Spec {
    program(&["/bin/sh", "-c", script])
}

/// Everything a sandbox wrote, read after its end.
pub(crate) fn output(environment: &Environment) -> String {
    let path = format!("/proc/self/fd/{}", environment.output.as_raw_fd());
    let mut text = Vec::new();
    let mut file = std::fs::File::open(path).unwrap();
    let _ = file.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs a spec to its end.
pub(crate) async fn run(walls: &Linux, spec: Spec) -> (String, Exit) {
    let environment = walls.launch(spec).await.unwrap();
    let exit = environment.control.exited().await;
    (output(&environment), exit)
}
