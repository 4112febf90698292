//! What a launch may ask for.

use super::*;
use crate::walls::{Image, Isolation, Limits, Mount};

fn spec() -> Spec {
    Spec {
        id: base::EnvironmentId(1),
        tenant: "000000000000".to_owned(),
        image: Image {
            task: "/t".into(),
            layers: Vec::new(),
            runtime: Vec::new(),
            snapshot: None,
            bytecode: Vec::new(),
        },
        argv: vec!["/bin/true".into()],
        env: vec![("A".into(), "b=c".into())],
        cwd: "/var/task".into(),
        ahead: None,
        limits: Limits { memory_mb: 128, cpu_millis: None, pids: 10, tmp_mb: 512, files: 1024 },
        isolation: Isolation::Process,
        ports: vec![9001],
        serves: None,
    }
}

#[test]
fn a_sound_spec_passes() {
    assert_eq!(validate(&spec()), Ok(()));
}

#[test]
fn what_the_helper_could_not_honour_is_refused() {
    let mount = |target: &str| Mount { source: "/s".into(), target: target.into() };
    let spoil: &[fn(&mut Spec)] = &[
        |spec| spec.argv.clear(),
        |spec| spec.argv = vec!["".into()],
        |spec| spec.argv.push(OsString::from_vec(vec![b'a', 0])),
        |spec| spec.env = vec![("A=B".into(), "".into())],
        |spec| spec.env = vec![("".into(), "x".into())],
        |spec| spec.env = vec![("A".into(), OsString::from_vec(vec![0]))],
        |spec| spec.cwd = "here".into(),
        |spec| spec.cwd = "/a/../b".into(),
        |spec| spec.limits.memory_mb = 0,
        |spec| spec.limits.pids = 0,
        |spec| spec.limits.tmp_mb = 0,
        |spec| spec.limits.files = 3,
        |spec| spec.ports = (1..18).collect(),
        |spec| spec.ports = vec![9001, 9001],
        |spec| spec.ports = vec![0],
        |spec| spec.serves = Some(0),
        |spec| spec.serves = Some(9001),
        |spec| (spec.serves, spec.isolation) = (Some(80), Isolation::MicroVm),
    ];
    for (index, spoil) in spoil.iter().enumerate() {
        let mut spec = spec();
        spoil(&mut spec);
        assert!(matches!(validate(&spec), Err(Error::Spec(_))), "{index}");
    }
    for target in ["/", "relative", "/a/../etc", "/proc", "/proc/sys", "/dev/null", "/tmp/x", "/etc/passwd", "/sys"] {
        let mut spec = spec();
        spec.image.runtime.push(mount(target));
        assert!(matches!(validate(&spec), Err(Error::Spec(_))), "{target}");
    }
}

#[test]
fn an_environment_that_no_message_holds_is_refused() {
    let mut spec = spec();
    spec.env = vec![("A".into(), "x".repeat(channel::MAX_BYTES).into())];
    assert!(matches!(encode(1, &spec), Err(Error::Spec(_))));
}
