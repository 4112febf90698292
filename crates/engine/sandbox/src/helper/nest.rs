//! How an ordinary user's helper gets a user namespace of its own, in which it is root and may build walls: with the
//! user's subordinate ids in it where there are some, so that each sandbox can have ids of its own.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Config, MARKER, NESTED, naming};
use crate::channel;
use crate::survey::{self, Mend};
use crate::sys::{self, Side};

/// Tells the helper that starts again why it has no ids to give away, and what to do: two lines.
const NO_IDS: &str = "LAMBENT_NO_IDS";

/// Where set-uid programs are.
const PROGRAMS: &[&str] = &["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin", "/usr/sbin", "/sbin"];

/// Fewer ids than this are none: a range for each of a handful of sandboxes.
const FEWEST: u32 = 1024;

/// Enters a user namespace in which this user is root, and starts again there, so that this process's memory belongs to
/// that namespace and it may look at its children. Returns only on failure.
pub(super) fn nest(config: &Config) -> io::Error {
    let no_ids = match enter() {
        Ok(no_ids) => no_ids,
        Err(error) => return naming("make a user namespace")(error),
    };
    let mut arguments = config.arguments();
    arguments[0] = NESTED.into();
    let mut again = Command::new("/proc/self/exe");
    if let Some(Mend { why, fix }) = no_ids {
        again.env(NO_IDS, format!("{why}\n{fix}"));
    }
    again.arg0(MARKER).args(arguments).exec()
}

/// Why this helper has no ids to give away.
pub(super) fn why_no_ids(nested: bool) -> Mend {
    let told = std::env::var(NO_IDS).unwrap_or_default();
    match told.split_once('\n') {
        Some((why, fix)) => Mend::new(why, fix),
        None if nested => Mend::new("this user has no subordinate ids", survey::SETUP),
        None => Mend::new("this root has no ids to give away, as in a container", survey::FULL_IDS),
    }
}

/// Leaves this user half of the watches of files that the host allows one: what sandboxes use counts for the user too.
pub(super) fn leave_half() {
    for (limit, here) in [
        ("/proc/sys/fs/inotify/max_user_instances", "/proc/sys/user/max_inotify_instances"),
        ("/proc/sys/fs/inotify/max_user_watches", "/proc/sys/user/max_inotify_watches"),
    ] {
        let half = fs::read_to_string(limit).ok().and_then(|text| Some(text.trim().parse::<u64>().ok()? / 2));
        // Refused, everything works as it would, and only this user's own watches may run out.
        let _ = half.map(|half| fs::write(here, half.to_string()));
    }
}

/// Enters. Answers why there are no ids besides this user's own, where that is so.
fn enter() -> io::Result<Option<Mend>> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut given = Given::find(uid).and_then(|given| Ok((Mapper::start(&given)?, given.user)));
    sys::unshare(libc::CLONE_NEWUSER)?;
    let no_ids = match &mut given {
        Ok((mapper, _)) => mapper.map().err(),
        Err(why) => Some(std::mem::replace(why, Mend::new("", ""))),
    };
    if no_ids.is_some() {
        // Whatever the programs did not write, one's own id may always be mapped. EPERM: they wrote this one.
        let put = |file: &str, text: &str| match fs::write(format!("/proc/self/{file}"), text) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) && is_written(file) => Ok(()),
            other => other,
        };
        put("uid_map", &format!("0 {uid} 1"))?;
        if !is_written("gid_map") {
            put("setgroups", "deny")?;
            put("gid_map", &format!("0 {gid} 1"))?;
        }
    }
    Ok(no_ids)
}

fn is_written(map: &str) -> bool {
    fs::read_to_string(format!("/proc/self/{map}")).is_ok_and(|text| !text.trim().is_empty())
}

/// What the host's administrator has given a user.
struct Given {
    user: String,
    uid: u32,
    gid: u32,
    uids: (u32, u32),
    gids: (u32, u32),
    newuidmap: PathBuf,
    newgidmap: PathBuf,
}

impl Given {
    fn find(uid: u32) -> Result<Self, Mend> {
        let user = name_of(uid);
        // Setup gives nothing to root, who needs nothing of it.
        let fix = if uid == 0 { survey::FULL_IDS } else { survey::SETUP };
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let part = |file: &str| {
            let name = if user.is_empty() { uid.to_string() } else { user.clone() };
            largest(&read(file), &user, uid)
                .filter(|(_, count)| *count >= FEWEST)
                .ok_or_else(|| Mend::new(format!("{name} has no ids in {file}"), fix))
        };
        let (uids, gids) = (part("/etc/subuid")?, part("/etc/subgid")?);
        let program = |name: &str| {
            let places = PROGRAMS.iter().map(|folder| PathBuf::from(folder).join(name));
            places
                .into_iter()
                .find(|path| path.exists())
                .ok_or_else(|| Mend::new(format!("{name} is not installed"), survey::UIDMAP))
        };
        let (newuidmap, newgidmap) = (program("newuidmap")?, program("newgidmap")?);
        let gid = rustix::process::getegid().as_raw();
        Ok(Self { uid, gid, uids, gids, newuidmap, newgidmap, user })
    }
}

/// The name of a user, empty when nothing here knows it.
fn name_of(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let known = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    // Users of a directory service are in no file.
    known.unwrap_or_else(|| {
        let answer = Command::new("/usr/bin/id").args(["-un", &uid.to_string()]).stderr(Stdio::null()).output();
        answer.map(|answer| String::from_utf8_lossy(&answer.stdout).trim().to_owned()).unwrap_or_default()
    })
}

/// The largest range that a file in the format of subuid(5) gives a user, by name or by number: first id, how many.
fn largest(text: &str, user: &str, uid: u32) -> Option<(u32, u32)> {
    let uid = uid.to_string();
    let ranges = text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (owner == uid || (owner == user && !user.is_empty())).then_some(range)
    });
    ranges.max_by_key(|(_, count): &(u32, u32)| *count)
}

/// A child that stayed outside, from where alone ids can be given to the namespace.
struct Mapper {
    pid: i32,
    socket: OwnedFd,
}

impl Mapper {
    fn start(given: &Given) -> Result<Self, Mend> {
        let say = |error: io::Error| Mend::new(format!("start newuidmap: {error}"), survey::SETUP);
        let (mine, theirs) = channel::pair().map_err(say)?;
        let parent = std::process::id().to_string();
        match sys::clone(0).map_err(say)? {
            Side::Child => {
                drop(mine);
                let mut word = [0; 8];
                // Nothing arrives when there is no namespace after all.
                if channel::receive(&theirs, &mut word, true).is_ok_and(|got| got.len > 0) {
                    let said = run(given, &parent).err().unwrap_or_default();
                    let said = &said.as_bytes()[..said.len().min(900)];
                    let _ = channel::send(&theirs, &[b"=", said].concat(), &[]);
                }
                sys::exit_now(0);
            }
            Side::Parent { pid, .. } => Ok(Self { pid, socket: mine }),
        }
    }

    /// Gives the ids to the namespace that this process is in by now.
    fn map(&mut self) -> Result<(), Mend> {
        let mut answer = [0; 1024];
        let told = channel::send(&self.socket, b"go", &[])
            .and_then(|()| channel::receive(&self.socket, &mut answer, true))
            .map_err(|error| Mend::new(format!("newuidmap: {error}"), survey::SETUP))?;
        match &answer[..told.len] {
            b"=" => Ok(()),
            said => {
                let why = String::from_utf8_lossy(said.get(1..).unwrap_or(b"newuidmap did not run")).into_owned();
                Err(Mend::new(why, survey::MAP_FAILED))
            }
        }
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = sys::reap(self.pid);
    }
}

/// Runs both programs. Answers what they complained of.
fn run(given: &Given, pid: &str) -> Result<(), String> {
    for (program, own, (first, count)) in
        [(&given.newuidmap, given.uid, given.uids), (&given.newgidmap, given.gid, given.gids)]
    {
        let numbers = [0, own, 1, 1, first, count].map(|number| number.to_string());
        let done = Command::new(program).arg(pid).args(numbers).env_clear().stdin(Stdio::null()).output();
        let done = done.map_err(|error| format!("{}: {error}", program.display()))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr).trim().replace('\n', "; ");
            return Err(format!("{}: {said}", program.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_range_of_a_user_counts_by_name_or_number() {
        let text = "sam:100000:1000\nother:200000:65536\n1000:300000:65536\n# sam:1:9\nsam:x:2\n\n";
        assert_eq!(largest(text, "sam", 1000), Some((300_000, 65_536)));
        assert_eq!(largest(text, "sam", 7), Some((100_000, 1000)));
        assert_eq!(largest(text, "", 7), None);
        assert_eq!(largest("", "sam", 1000), None);
    }

    #[test]
    fn root_has_a_name() {
        assert_eq!(name_of(0), "root");
    }
}
