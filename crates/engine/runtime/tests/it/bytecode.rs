//! What is compiled ahead, and how imports find it.

use std::path::Path;

use runtime::{Family, Interpreter, Snapshot, SnapshotWanted};
use tokio::sync::mpsc;

use crate::environment::{Code, Environment};

/// Compiles a folder as the platform has it compiled; answers with what was handed in, or why nothing was.
async fn compiled(code: &Code, seconds: &str, most_bytes: &str) -> (Snapshot, Vec<u8>) {
    let (compiler, task) = (code.bootstrap("python/compile.py"), code.task());
    let flags = ["-I", "-S", "-B"].map(Path::new);
    let mut program = vec![Path::new("/usr/bin/python3")];
    program.extend(flags);
    program.extend([compiler.as_path(), task.as_path(), Path::new(seconds), Path::new(most_bytes)]);
    let (pieces, mut received) = mpsc::channel(64);
    let environment = Environment::start_for(code, &program, SnapshotWanted { pieces, most_bytes: 1 << 20 }).await;
    let made = environment.session.snapshot().await;
    let mut all = Vec::new();
    while let Ok(piece) = received.try_recv() {
        all.extend_from_slice(&piece);
    }
    (made, all)
}

/// Imports modules with what was compiled, and prints what there is to be seen.
const USE: &str = r#"
import importlib, importlib.util, os, sys
from importlib.machinery import SourceFileLoader
hook, folder, task, *names = sys.argv[1:]
scope = {}
exec(compile(open(hook).read(), hook, "exec"), scope)
places = (task + "/" if os.environ["WHICH"] == which else "/none/" for which in ("task", "opt"))
scope["install"](folder, os.listdir(folder), *places)
compiled, plain = [], SourceFileLoader.source_to_code
def counting(self, data, path, *more, **named):
    compiled.append(os.path.basename(path))
    return plain(self, data, path, *more, **named)
SourceFileLoader.source_to_code = counting
sys.dont_write_bytecode = True
sys.path.insert(0, task)
class Own(SourceFileLoader):
    def source_to_code(self, data, path, *more, **named):
        return plain(self, data.replace(b"= ", b"= 10 * "), path, *more, **named)
def load(name):
    if not name.startswith("own:"):
        return importlib.import_module(name)
    loader = Own(name, os.path.join(task, name[4:] + ".py"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module
print([load(name).VALUE for name in names], sorted(compiled))
"#;

fn used(code: &Code, archives: &[(&str, &[u8])], which: &str, names: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in archives {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.args(["-S", "-c", USE]).arg(code.bootstrap("python/bytecode.py")).arg(folder.path()).arg(code.task());
    let output = command.args(names).env("WHICH", which).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_find_what_was_compiled() {
    let code = Code::new(&[
        ("pkg/__init__.py", "VALUE = 1"),
        ("pkg/mod.py", "VALUE = 2"),
        ("wrong.py", "VALUE = ("),
        ("warns.py", "VALUE = 3\nif VALUE is 3: VALUE = 4"),
        ("nul.py", "VALUE = 5\0"),
    ]);
    std::os::unix::fs::symlink("pkg/mod.py", code.task().join("linked.py")).unwrap();
    std::os::unix::fs::symlink("/", code.task().join("all")).unwrap();
    let (made, archive) = compiled(&code, "60", "1000000").await;
    assert_eq!(made, Snapshot::Taken);
    let names = ["pkg", "pkg.mod", "warns", "linked"];
    let found = used(&code, &[("task", &archive)], "task", &names);
    assert_eq!(found, "[1, 2, 4, 2] ['linked.py', 'warns.py']\n");
    assert_eq!(used(&code, &[("opt0", &archive)], "opt", &names), found);
    let own = used(&code, &[("task", &archive)], "task", &["own:pkg/mod"]);
    assert_eq!(own, "[20] []\n", "a loader of the function's own makes what it wants of the source");
    assert!(!code.task().join("pkg/__pycache__").exists(), "nothing lies beside the sources");
    // Of code that is never covered the source is not even looked at, of a layer it is.
    std::fs::write(code.task().join("pkg/mod.py"), "VALUE = 9").unwrap();
    assert_eq!(used(&code, &[("task", &archive)], "task", &["pkg.mod"]), "[2] []\n");
    assert_eq!(used(&code, &[("opt0", &archive)], "opt", &["pkg.mod"]), "[9] ['mod.py']\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_layer_wins() {
    let (one, two) = (Code::new(&[("m.py", "VALUE = 1")]), Code::new(&[("m.py", "VALUE = 2")]));
    let archives = [compiled(&one, "60", "1000000").await.1, compiled(&two, "60", "1000000").await.1];
    let both: [(&str, &[u8]); 2] = [("opt0", &archives[0]), ("opt1", &archives[1])];
    assert_eq!(used(&two, &both, "opt", &["m"]), "[2] []\n");
    assert_eq!(used(&one, &both, "opt", &["m"]), "[1] ['m.py']\n", "it is not the bytecode of this source");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_bundled_is_left_to_python() {
    let code = Code::new(&[("good.py", "VALUE = 1"), ("stale.py", "VALUE = 2")]);
    let bundle = "import py_compile, sys\nfor name in sys.argv[1:]: py_compile.compile(name)";
    let made = std::process::Command::new("/usr/bin/python3")
        .args(["-c", bundle, "good.py", "stale.py"])
        .current_dir(code.task())
        .status();
    assert!(made.unwrap().success());
    std::fs::write(code.task().join("stale.py"), "VALUE = 'of the source'").unwrap();
    let (_, archive) = compiled(&code, "60", "1000000").await;
    assert_eq!(used(&code, &[("task", &archive)], "task", &["good", "stale"]), "[1, 'of the source'] []\n");
    assert_eq!(used(&code, &[], "task", &["good", "stale"]), "[1, 'of the source'] ['stale.py']\n");
    std::fs::remove_file(code.task().join("stale.py")).unwrap();
    let nothing = Snapshot::None { why: "nothing is left to be compiled".into() };
    assert_eq!(compiled(&code, "60", "1000000").await, (nothing, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_and_room_bound_what_is_compiled() {
    let code = Code::new(&[("a.py", "VALUE = 1"), ("b.py", "VALUE = 2")]);
    let nothing = Snapshot::None { why: "nothing is left to be compiled".into() };
    assert_eq!(compiled(&code, "-1", "1000000").await.0, nothing);
    let (_, archive) = compiled(&code, "60", "200").await;
    assert_eq!(used(&code, &[("task", &archive)], "task", &["a", "b"]), "[1, 2] ['b.py']\n");
}

#[test]
fn a_compiler_is_started_apart_from_what_it_compiles() {
    let interpreter = Interpreter {
        family: Family::Python,
        version: (3, 12, 4),
        exe: "/opt/py/bin/python3".into(),
        mounts: vec![("/opt/py".into(), "/opt/py".into())],
    };
    let launch = runtime::compiler(&interpreter, Path::new("/ours"), 5, 99);
    let argv = ["/opt/py/bin/python3", "-I", "-S", "-B", "/var/lang/lambent/python/compile.py", "/var/task", "5", "99"];
    assert_eq!(launch.argv, argv);
    assert_eq!(launch.mounts[1], ("/ours".into(), "/var/lang/lambent".into()));
    assert_eq!(launch.ahead(&[], None), None);
}
