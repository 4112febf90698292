//! Starting walls and reading what programs say.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base::EnvironmentId;
use sandbox::{Environment, Exit, Image, Isolation, Limits, Linux, Options, Spec, Walls};

/// A folder of this test run that everybody may enter, since functions run as other users. The next run removes it.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        const NAME: &str = "lambent-sandbox-test-";
        for old in std::fs::read_dir("/tmp").unwrap().flatten() {
            let pid = old.file_name().to_str().and_then(|name| name.strip_prefix(NAME)?.parse::<u32>().ok());
            if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                let _ = std::fs::remove_dir_all(old.path());
            }
        }
        let folder = PathBuf::from(format!("/tmp/{NAME}{}", std::process::id()));
        std::fs::create_dir_all(folder.join("task")).unwrap();
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
    // Another user may not enter the folder of the build.
    let copied = std::env::var_os("LAMBENT_TEST_HELPER").map(PathBuf::from);
    options.helper_exe = Some(copied.unwrap_or_else(|| env!("CARGO_BIN_EXE_lambent-helper").into()));
    options
}

pub(crate) const LIMITS: Limits = Limits { memory_mb: 256, cpu_millis: Some(2000), pids: 64, tmp_mb: 512, files: 1024 };

/// A spec that runs a program.
pub(crate) fn program(argv: &[&str]) -> Spec {
    Spec {
        id: EnvironmentId(1),
        tenant: "000000000000".to_owned(),
        image: Image {
            task: folder().join("task"),
            layers: Vec::new(),
            runtime: Vec::new(),
            snapshot: None,
            bytecode: Vec::new(),
        },
        argv: argv.iter().map(OsString::from).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/var/task".into(),
        ahead: None,
        limits: LIMITS,
        isolation: Isolation::Process,
        ports: Vec::new(),
        serves: None,
    }
}

/// A spec that runs a shell script.
pub(crate) fn shell(script: &str) -> Spec {
    program(&["/bin/sh", "-c", script])
}

/// Everything a sandbox wrote, read after its end.
pub(crate) fn output(environment: &Environment) -> String {
    let mut text = Vec::new();
    // The pipe belongs to the sandbox's user: it can be read here, but not be opened once more.
    let mut output = std::fs::File::from(environment.output.try_clone().unwrap());
    let _ = output.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs a spec to its end.
pub(crate) async fn run(walls: &Linux, spec: Spec) -> (String, Exit) {
    let environment = walls.launch(spec).await.unwrap();
    let exit = environment.control.exited().await;
    (output(&environment), exit)
}

/// Waits until a sandbox has written this.
pub(crate) async fn wait_for(environment: &Environment, word: &str) {
    use tokio::io::AsyncReadExt;
    let output = environment.output.try_clone().unwrap();
    let mut output = tokio::net::unix::pipe::Receiver::from_owned_fd(output).unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(word) {
        assert!(output.read_buf(&mut text).await.unwrap() > 0, "it ended after {text:?}");
    }
}

/// A spec that runs a Python program with the host's newest interpreter.
pub(crate) fn python(script: &str) -> Spec {
    static PYTHON: OnceLock<sandbox::Found> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        sandbox::find_interpreters()
            .into_iter()
            .find(|found| found.family == sandbox::Family::Python)
            .expect("Python 3")
    });
    let mut spec = program(&[python.exe.to_str().unwrap(), "-I", "-c", script]);
    spec.image.runtime = python.mounts.clone();
    spec
}

/// Waits until something is so, for things that tell nobody when they change.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{what}: not within ten seconds");
}

/// Seconds to sleep that no other run of these tests sleeps: they tell its processes from all others.
pub(crate) fn mark(number: u32, test_process: u32) -> String {
    format!("{number}{test_process:07}")
}

/// The command lines of this host that hold a word.
pub(crate) fn processes_with(word: &str) -> Vec<String> {
    commands_with(word).map(|(_, line)| line).collect()
}

/// The processes of this host whose command line holds a word.
pub(crate) fn pids_with(word: &str) -> Vec<u32> {
    commands_with(word).map(|(pid, _)| pid).collect()
}

fn commands_with(word: &str) -> impl Iterator<Item = (u32, String)> {
    let command = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, std::fs::read_to_string(entry.path().join("cmdline")).ok()?))
    };
    let commands = std::fs::read_dir("/proc").unwrap().flatten().filter_map(command);
    commands.filter(move |(_, line)| line.split('\0').any(|part| part == word))
}

/// Whether this process is root of the host.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

/// This program again, for one test of its own process.
pub(crate) fn again(test: &str) -> Vec<OsString> {
    let exe = std::env::current_exe().unwrap();
    [exe.as_os_str(), "--ignored".as_ref(), "--exact".as_ref(), test.as_ref(), "--nocapture".as_ref()]
        .map(Into::into)
        .to_vec()
}

/// Every control group whose name begins with this.
pub(crate) fn groups(prefix: &str) -> Vec<PathBuf> {
    let trees = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|tree| tree.path());
    let inside = trees
        .chain([PathBuf::from("/sys/fs/cgroup")])
        .flat_map(|tree| std::fs::read_dir(tree).into_iter().flatten().flatten());
    inside.filter(|group| group.file_name().to_string_lossy().starts_with(prefix)).map(|group| group.path()).collect()
}

/// The sandboxes that a helper holds: its children that are first processes.
pub(crate) fn sandboxes_of(helper: u32) -> usize {
    let children = std::fs::read_to_string(format!("/proc/{helper}/task/{helper}/children")).unwrap_or_default();
    let name = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    children.split_whitespace().filter(|pid| name(pid).trim() == "lambent-init").count()
}
