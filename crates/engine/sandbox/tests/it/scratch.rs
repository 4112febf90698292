//! `/tmp` on disk: its size, who pays for it, what is left of it. Skipped where `/tmp` is memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use sandbox::{Environment, Error, ExitCause, Linux, WallState, Walls};

use crate::common::{again, eventually, folder, options, python, run, shell, wait_for};

/// Walls with a run folder of their own, if `/tmp` is on disk there.
async fn on_disk(name: &str) -> Option<(Arc<Linux>, PathBuf)> {
    let mut options = options();
    options.run_dir = folder().join(name);
    std::fs::create_dir_all(&options.run_dir).unwrap();
    let place = options.run_dir.clone();
    let walls = Linux::start(options).unwrap();
    walls.settled().await;
    tmp_wall(&walls).starts_with("on disk").then_some((walls, place))
}

fn tmp_wall(walls: &Linux) -> String {
    match walls.survey().walls.into_iter().find(|wall| wall.name == "/tmp size").unwrap().state {
        WallState::Holds(how) => how,
        WallState::Missing { why, .. } => panic!("{why}"),
    }
}

/// The process that keeps the volume.
fn keeper(helper: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{helper}/task/{helper}/children")).unwrap();
    let name = |pid: &&str| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    children.split_whitespace().find(|pid| name(pid) == "lambent-scratch\n").unwrap().parse().unwrap()
}

/// The parts there are, and how many MiB of the volume are in use.
fn inside(helper: u32, place: &Path) -> (usize, u64) {
    let root = PathBuf::from(format!("/proc/{}/root{}/sandbox-root", keeper(helper), place.display()));
    let space = Command::new("stat").args(["-f", "--format=%b %f %S"]).arg(&root).output().unwrap();
    let space = String::from_utf8_lossy(&space.stdout);
    let numbers: Vec<u64> = space.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let used = (numbers[0] - numbers[1]) * numbers[2];
    (std::fs::read_dir(root).unwrap().count(), used >> 20)
}

/// Loop devices in front of files in this folder.
fn loop_devices(place: &Path) -> usize {
    let devices = std::fs::read_dir("/sys/block").unwrap().flatten();
    let file = |device: std::fs::DirEntry| std::fs::read_to_string(device.path().join("loop/backing_file")).ok();
    devices.filter_map(file).filter(|file| Path::new(file).starts_with(place)).count()
}

/// Fills `/tmp` with files of no content, in MiB, and says what happens.
const FILL: &str = r#"
import errno, os, sys
def fill(name, mb):
    f = os.open('/tmp/' + name, os.O_CREAT | os.O_RDWR)
    try: os.posix_fallocate(f, 0, mb << 20); return 'fits'
    except OSError as e: return errno.errorcode[e.errno]
    finally: os.close(f)
"#;

#[tokio::test]
async fn tmp_has_the_size_asked_for_and_not_more() {
    let Some((walls, _)) = on_disk("size").await else { return };
    for mb in [512, 600, 10_240] {
        let script = format!(
            "{FILL}
print(fill('all', {mb}), fill('more', 200))
os.unlink('/tmp/all')
print(fill('again', {mb}), os.stat('/tmp').st_uid == os.getuid(), oct(os.stat('/tmp').st_mode))"
        );
        let mut spec = python(&script);
        spec.limits.tmp_mb = mb;
        spec.limits.memory_mb = 128;
        match walls.launch(spec).await {
            // A small disk.
            Err(Error::Unavailable { why, .. }) if mb == 10_240 => assert!(why.contains("does not fit"), "{why}"),
            Err(error) => panic!("{error}"),
            Ok(environment) => {
                environment.control.exited().await;
                let text = crate::common::output(&environment);
                assert_eq!(text, "fits EDQUOT\nfits True 0o41777\n", "{mb}");
            }
        }
    }
    let mut spec = shell("true");
    spec.limits.tmp_mb = u32::MAX;
    assert!(matches!(walls.launch(spec).await, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn the_wall_says_where_tmp_lies() {
    let walls = crate::common::walls();
    walls.settled().await;
    let how = tmp_wall(&walls);
    let on_disk = how.starts_with("on disk, ") && how.contains(" GiB for all functions together");
    assert!(on_disk || how.starts_with("tmpfs, ") && how.contains(". To have it on disk: "), "{how}");
    // Only the host's root may have it on disk, and root's tests run as an ordinary user as well.
    assert!(crate::common::is_root() || !on_disk, "{how}");
    let (text, _) = run(&walls, shell("stat -f -c %T /tmp")).await;
    assert_eq!(text, if on_disk { "btrfs\n" } else { "tmpfs\n" });
}

#[tokio::test]
async fn what_is_written_to_tmp_is_no_memory() {
    let Some((walls, _)) = on_disk("memory").await else { return };
    let script = "
import os
block = os.urandom(1 << 20)
with open('/tmp/big', 'wb') as f:
    for n in range(400): f.write(block)
with open('/tmp/big', 'rb') as f:
    print(sum(f.read(1 << 20) == block for n in range(400)))
with open('/tmp/big', 'r+b') as f:
    for n in range(400): f.write(block)
print(os.path.getsize('/tmp/big') >> 20)";
    let mut spec = python(script);
    spec.limits.memory_mb = 128;
    let (text, exit) = run(&walls, spec).await;
    assert_eq!((text.as_str(), exit.cause, exit.usage.oom_kills), ("400\n400\n", ExitCause::Exited(0), 0));
}

#[tokio::test]
async fn a_full_tmp_can_be_emptied_and_filled_again() {
    let Some((walls, _)) = on_disk("full").await else { return };
    let script = "
import os
def fill(name):
    n = 0
    try:
        with open('/tmp/' + name, 'wb', buffering=0) as f:
            while True: n += f.write(b'x' * (1 << 20))
    except OSError as e: return n >> 20, e.strerror
def small():
    n = 0
    try:
        while True:
            with open(f'/tmp/small{n}', 'w') as f: f.write('y' * 100)
            n += 1
    except OSError as e: return n
def whole(filled): return 63 <= filled[0] <= 65 and filled[1] in ('Disk quota exceeded', 'No space left on device')
print(whole(fill('a')), fill('b')[0] < 2)
os.unlink('/tmp/a')
print(whole(fill('a')))
os.unlink('/tmp/a')
print(1000 < small() < 100000)
for name in os.listdir('/tmp'): os.unlink('/tmp/' + name)
print(whole(fill('c')))";
    let mut spec = python(script);
    spec.limits.tmp_mb = 64;
    assert_eq!(run(&walls, spec).await.0, "True True\nTrue\nTrue\nTrue\n");
}

#[tokio::test]
async fn no_part_can_be_made_bigger_from_inside() {
    let Some((walls, _)) = on_disk("escape").await else { return };
    // Subvolume and snapshot, each in two versions; a limit; quotas off; deleting.
    let script = "
import fcntl, os
tmp = os.open('/tmp', os.O_RDONLY)
for request in [0x5000940e, 0x50009418, 0x50009401, 0x50009417, 0x8030942b, 0xc0109428, 0x5000940f, 0x5000943f, 0x4010942a]:
    name = bytearray(4096); name[0:8] = tmp.to_bytes(8, 'little'); name[8:9] = b'x'
    try: fcntl.ioctl(tmp, request, name); print('IN', hex(request))
    except PermissionError: pass
print(sorted(os.listdir('/tmp')))
try: os.mknod('/tmp/disk', 0o060600, os.makedev(7, 0)); print('IN')
except PermissionError: print('no devices')";
    assert_eq!(run(&walls, python(script)).await.0, "[]\nno devices\n");
}

#[tokio::test]
async fn a_part_goes_with_its_sandbox() {
    let Some((walls, place)) = on_disk("parts").await else { return };
    let helper = walls.helper_pid().unwrap();
    let write = "head -c 100M /dev/zero > /tmp/big; ls /tmp; echo up; exec sleep 60";
    let environment = walls.launch(shell(write)).await.unwrap();
    wait_for(&environment, "big\nup").await;
    // One for each set that is ready.
    eventually("all are there", || inside(helper, &place).0 == 5).await;
    assert!(walls.launch(shell("true")).await.is_ok());
    drop(environment);
    for _ in 0..20 {
        assert_eq!(run(&walls, shell("ls /tmp; head -c 30M /dev/zero > /tmp/big")).await.0, "");
    }
    eventually("the others are gone", || inside(helper, &place).0 == 4).await;
    let counts = || {
        let root = format!("/proc/{}/root{}/sandbox-root", keeper(helper), place.display());
        let shown = Command::new("btrfs").args(["qgroup", "show", &root]).output();
        shown.map_or(0, |shown| String::from_utf8_lossy(&shown.stdout).lines().filter(|l| l.starts_with("0/")).count())
    };
    // The file system takes its time, up to half a minute, when it has room; it is asked to be quick.
    let hurry = || {
        let root = format!("/proc/{}/root{}/sandbox-root", keeper(helper), place.display());
        Command::new("btrfs").args(["filesystem", "sync", &root]).status().unwrap();
    };
    eventually("their space is back", || {
        hurry();
        inside(helper, &place).1 < 60
    })
    .await;
    for _ in 0..20 {
        run(&walls, shell("true")).await;
    }
    eventually("they are not counted any more", || {
        hurry();
        counts() < 20
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left_of_the_volume() {
    let Some((walls, place)) = on_disk("end").await else { return };
    assert_eq!(loop_devices(&place), 1);
    run(&walls, shell("echo x > /tmp/x")).await;
    let kept = walls.launch(shell("echo up; exec sleep 60")).await.unwrap();
    wait_for(&kept, "up").await;
    // The helper dies: its volume goes, and the next one has another.
    let first = walls.helper_pid().unwrap();
    assert!(Command::new("kill").args(["-KILL", &first.to_string()]).status().unwrap().success());
    kept.control.exited().await;
    eventually("another is there", || walls.helper_pid().is_some_and(|pid| pid != first)).await;
    walls.settled().await;
    eventually("the first volume is gone", || loop_devices(&place) == 1).await;
    run(&walls, shell("echo x > /tmp/x")).await;
    drop(walls);
    eventually("all is gone", || loop_devices(&place) == 0).await;
    let left: Vec<_> = std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["sandbox-root"]);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("btrfs") || !mounts.contains(place.to_str().unwrap()), "{mounts}");
}

#[tokio::test]
async fn nothing_is_left_when_the_server_is_killed() {
    if !Path::new("/dev/loop-control").exists() {
        return;
    }
    let arguments = again("scratch::a_server_that_waits");
    let mut server = Command::new(&arguments[0]).args(&arguments[1..]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap())).map_while(Result::ok);
    let place = lines.filter_map(|line| line.strip_prefix("place ").map(PathBuf::from)).next().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    eventually("its volume is gone", || loop_devices(&place) == 0).await;
}

#[tokio::test]
#[ignore = "run by nothing_is_left_when_the_server_is_killed"]
async fn a_server_that_waits() {
    let Some((walls, place)) = on_disk(&format!("killed-{}", std::process::id())).await else {
        println!("\nplace /nowhere");
        return;
    };
    let environment = walls.launch(shell("echo x > /tmp/x; echo up; exec sleep 60")).await.unwrap();
    wait_for(&environment, "up").await;
    assert_eq!(loop_devices(&place), 1);
    println!("\nplace {}", place.display());
    environment.control.exited().await;
}

/// Launches until it works, and answers what was said before.
async fn launch_again(walls: &Linux) -> (Vec<String>, Environment) {
    let mut said = Vec::new();
    loop {
        match walls.launch(shell("echo x > /tmp/x && cat /tmp/x; sleep 60")).await {
            Ok(environment) => {
                wait_for(&environment, "x").await;
                return (said, environment);
            }
            Err(error @ Error::Exhausted { .. }) => said.push(error.to_string()),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_volume_that_breaks_is_replaced() {
    let Some((walls, place)) = on_disk("breaks").await else { return };
    let (_, held) = launch_again(&walls).await;
    let helper = walls.helper_pid().unwrap();
    eventually("all are made", || inside(helper, &place).0 == 5).await;
    // As after an error of the disk.
    let old = keeper(helper);
    let done = Command::new("nsenter")
        .args([&format!("--mount=/proc/{old}/ns/mnt"), "mount", "-o", "remount,ro"])
        .arg(place.join("sandbox-root"))
        .status()
        .unwrap();
    assert!(done.success());
    // What was made ahead still has parts of the old one, which nobody can write to: the size tells them apart.
    let mut spec = shell("echo x > /tmp/x && cat /tmp/x");
    spec.limits.tmp_mb = 700;
    let Err(error) = walls.launch(spec.clone()).await else { panic!("it was launched") };
    assert!(error.to_string().contains("the scratch volume for /tmp was lost"), "{error}");
    assert_eq!(launch_again(&walls).await.0, Vec::<String>::new());
    drop(held);
    assert_eq!(run(&walls, spec).await.0, "x\n");
    assert_ne!(keeper(helper), old);
    assert!(tmp_wall(&walls).starts_with("on disk"));
    // The keeper may die as well.
    assert!(Command::new("kill").args(["-KILL", &keeper(helper).to_string()]).status().unwrap().success());
    assert!(launch_again(&walls).await.0.len() < 3);
    assert_eq!(walls.helper_pid(), Some(helper));
    eventually("one volume is left", || loop_devices(&place) == 1).await;
}
