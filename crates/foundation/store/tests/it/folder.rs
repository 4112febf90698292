//! The data folder: who may open it, and what is refused untouched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use store::{Error, Folder, Use};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_folder_is_private_and_complete() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep/data");
    let folder = Folder::open(&path, Use::Keep).unwrap();
    assert_eq!(mode(&path), 0o700);
    assert_eq!(fs::read_to_string(path.join("format")).unwrap(), "1\n");
    for part in [folder.kv(), folder.blobs(), folder.trees(), folder.tmp(), folder.run()] {
        assert!(part.is_dir() && part.is_absolute(), "{}", part.display());
    }
    assert!(!folder.made_for_tests() && !folder.is_ephemeral());
}

#[test]
fn a_second_process_is_told_who_holds_it() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let first = Folder::open(&path, Use::Keep).unwrap();
    let second = Folder::open(&path, Use::Keep).unwrap_err();
    let sentence = format!("the data folder {} is in use by process {}", path.display(), std::process::id());
    assert_eq!(second.to_string(), sentence);
    drop(first);
    Folder::open(&path, Use::Keep).unwrap();
}

#[test]
fn a_newer_folder_is_left_untouched() {
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(data.path().join("format"), "99\n").unwrap();
    let refused = Folder::open(data.path(), Use::Keep).unwrap_err();
    assert!(matches!(refused, Error::Newer { found: 99, ours: 1, .. }), "{refused}");
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
    assert_eq!(mode(data.path()), 0o755);
}

#[test]
fn a_folder_with_other_things_is_left_untouched() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("thesis.tex"), "x").unwrap();
    let refused = Folder::open(home.path(), Use::Keep).unwrap_err();
    assert!(matches!(refused, Error::Foreign(_)), "{refused}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    fs::write(home.path().join("format"), "what").unwrap();
    assert!(matches!(Folder::open(home.path(), Use::Keep).unwrap_err(), Error::Corrupt(_)));
}

#[test]
fn an_interrupted_making_is_done_again() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("lock"), "12345\n").unwrap();
    fs::write(data.path().join("format.new"), "").unwrap();
    Folder::open(data.path(), Use::Keep).unwrap();
}

#[test]
fn test_controls_need_a_folder_made_for_them() {
    let parent = tempfile::tempdir().unwrap();
    let (real, test) = (parent.path().join("real"), parent.path().join("test"));
    drop(Folder::open(&real, Use::Keep).unwrap());
    let refused = Folder::open(&real, Use::Test).unwrap_err();
    assert!(matches!(refused, Error::NotForTests(_)), "{refused}");
    assert!(!real.join("test").exists());
    assert!(Folder::open(&test, Use::Test).unwrap().made_for_tests());
    assert!(Folder::open(&test, Use::Keep).unwrap().made_for_tests());
}

#[test]
fn leftovers_of_the_last_run_are_swept() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    drop(Folder::open(&path, Use::Keep).unwrap());
    fs::create_dir(path.join("tmp/tree-x")).unwrap();
    fs::write(path.join("tmp/tree-x/half"), "x").unwrap();
    fs::write(path.join("run/old.sock"), "").unwrap();
    fs::write(path.join("blobs/keep"), "").unwrap();
    let folder = Folder::open(&path, Use::Keep).unwrap();
    assert_eq!(fs::read_dir(folder.tmp()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder.run()).unwrap().count(), 0);
    assert!(path.join("blobs/keep").exists());
}

#[test]
fn an_ephemeral_folder_goes_with_its_owner() {
    let first = Folder::ephemeral().unwrap();
    let path = first.path().to_owned();
    assert!(first.made_for_tests() && first.is_ephemeral());
    assert_eq!(mode(&path), 0o700);
    // Somebody else's start does not take it away while it is in use.
    let second = Folder::ephemeral().unwrap();
    assert!(path.join("format").exists());
    drop((first, second));
    assert!(!path.exists());
    // What a killed process left is swept by the next start.
    fs::create_dir(&path).unwrap();
    fs::write(path.join("ephemeral"), "").unwrap();
    fs::write(path.join("lock"), "1\n").unwrap();
    drop(Folder::ephemeral().unwrap());
    assert!(!path.exists());
}
