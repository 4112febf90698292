use super::*;

fn runtime(id: &str) -> Runtime {
    Runtime::parse(id).expect("AWS knows it")
}

fn found(family: Family, version: (u32, u32, u32)) -> Interpreter {
    let (major, minor, _) = version;
    Interpreter {
        family,
        version,
        exe: format!("/p{major}.{minor}/bin/x").into(),
        mounts: vec![(format!("/p{major}.{minor}").into(), format!("/p{major}.{minor}").into())],
    }
}

fn host() -> Vec<Interpreter> {
    vec![
        found(Family::Python, (3, 13, 0)),
        found(Family::Python, (3, 11, 2)),
        found(Family::Python, (3, 11, 9)),
        found(Family::Python, (3, 7, 16)),
        found(Family::Node, (20, 20, 2)),
    ]
}

const LOCAL: Policy = Policy { loopback: true, allow_older: false };
const PUBLIC: Policy = Policy { loopback: false, allow_older: false };

fn version(choice: &Choice) -> (u32, u32, u32) {
    choice.interpreter.as_ref().expect("it has one").version
}

#[test]
fn the_exact_version_serves_with_its_highest_patch() {
    for policy in [LOCAL, PUBLIC] {
        let choice = choose(runtime("python3.11"), &host(), policy).expect("it is there");
        assert_eq!((version(&choice), choice.stand_in), ((3, 11, 9), None));
        let choice = choose(runtime("nodejs20.x"), &host(), policy).expect("it is there");
        assert_eq!((version(&choice), choice.stand_in), ((20, 20, 2), None));
    }
}

#[test]
fn the_nearest_newer_one_stands_in_on_loopback_and_says_so() {
    let choice = choose(runtime("python3.12"), &host(), LOCAL).expect("3.13 stands in");
    assert_eq!(version(&choice), (3, 13, 0));
    assert_eq!(
        choice.stand_in.as_deref(),
        Some("python3.12: Python 3.12 is not on this host, Python 3.13.0 stands in")
    );
    assert_eq!(version(&choose(runtime("python3.8"), &host(), LOCAL).expect("3.11 stands in")), (3, 11, 9));
    let missing = choose(runtime("python3.12"), &host(), PUBLIC).expect_err("not off loopback");
    assert_eq!(
        missing.message,
        "python3.12 needs Python 3.12, which is not on this host. Install it, for example with `uv python install 3.12` or \
         `pyenv install 3.12`; or name the folder it is in: `lambent runtime add python3.12 --from PREFIX`. Python 3.13.0 \
         would stand in on a loopback listener only."
    );
}

#[test]
fn an_older_one_stands_in_by_option_only() {
    let missing = choose(runtime("nodejs22.x"), &host(), LOCAL).expect_err("20 is older");
    assert!(missing.message.contains("nvm install 22") && missing.message.ends_with("--allow-older-runtimes."));
    let policy = Policy { allow_older: true, ..PUBLIC };
    let choice = choose(runtime("nodejs22.x"), &host(), policy).expect("it is allowed");
    assert_eq!(version(&choice), (20, 20, 2));
    assert!(choice.stand_in.is_some());
    // Python 3.7 is there, but no bootstrap runs on it.
    let old = [found(Family::Python, (3, 7, 16))];
    assert!(choose(runtime("python3.9"), &old, policy).is_err());
}

#[test]
fn what_is_not_served_is_refused_by_name() {
    for (id, name) in [("java21", "Java"), ("dotnet8", ".NET"), ("ruby3.3", "Ruby"), ("go1.x", "Go")] {
        let missing = choose(runtime(id), &host(), LOCAL).expect_err("it is not served");
        assert!(missing.message.starts_with(&format!("{id}: Lambent does not run {name} functions yet; ")));
    }
    assert!(choose(runtime("python2.7"), &[], LOCAL).expect_err("too old").message.contains("Python 3.8 and newer"));
    assert_eq!(Runtime::parse("python4.0"), None);
}

#[test]
fn every_identifier_is_there_once() {
    let mut ids: Vec<_> = Runtime::all().map(Runtime::id).collect();
    ids.sort_unstable();
    let before = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), before);
    assert!(Runtime::all().all(|runtime| Runtime::parse(runtime.id()) == Some(runtime)));
}

#[test]
fn a_runtime_is_started_with_our_bootstrap_or_its_own() {
    let ours = std::path::Path::new("/data/bootstraps");
    let choice = choose(runtime("python3.13"), &host(), PUBLIC).expect("it is there");
    let started = launch(&choice, 128, ours, Bootstraps::default()).expect("it needs none");
    assert_eq!(started.argv, ["/p3.13/bin/x", "-S", "-s", "/var/lang/lambent/python/bootstrap.py"]);
    assert_eq!(started.mounts.len(), 2);
    assert_eq!(started.mounts[1], ("/data/bootstraps".into(), "/var/lang/lambent".into()));
    assert_eq!(started.wrapped("/opt/wrapper").argv[..2], ["/opt/wrapper", "/p3.13/bin/x"]);
    let node = choose(runtime("nodejs20.x"), &host(), PUBLIC).expect("it is there");
    let started = launch(&node, 1000, ours, Bootstraps::default()).expect("it needs none");
    assert_eq!(started.argv[1..3], ["--max-semi-space-size=50", "--max-old-space-size=900"]);
    let choice = choose(runtime("provided.al2023"), &[], PUBLIC).expect("nothing is needed");
    let both = Bootstraps { task: true, opt: true };
    assert_eq!(launch(&choice, 128, ours, both).expect("it is there").argv, ["/var/task/bootstrap"]);
    let layer = Bootstraps { task: false, opt: true };
    assert_eq!(launch(&choice, 128, ours, layer).expect("it is there").argv, ["/opt/bootstrap"]);
    let error = launch(&choice, 128, ours, Bootstraps::default()).expect_err("there is none");
    assert_eq!(error.to_string(), "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]");
}

#[test]
fn every_bootstrap_a_launch_names_is_shipped() {
    for id in ["python3.11", "nodejs20.x"] {
        let choice = choose(runtime(id), &host(), PUBLIC).expect("it is there");
        let started = launch(&choice, 128, std::path::Path::new("/x"), Bootstraps::default()).expect("it needs none");
        let named = started.argv.last().and_then(|word| word.to_str()).expect("it is text");
        let shipped = crate::bootstraps()
            .iter()
            .any(|(path, bytes)| !bytes.is_empty() && named == format!("{}/{path}", crate::BOOTSTRAP_FOLDER));
        assert!(shipped, "{named}");
    }
}
