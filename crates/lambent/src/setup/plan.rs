//! What this host lacks for a user: decided from its files alone, so that it can be asked by anybody and changes nothing.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::cgroups::{self, Kind, Tree};
use super::change::{Change, Purpose};
use super::place::Place;
use super::record::Record;
use super::{apparmor, ids};

/// User namespaces a host may have once the limit is raised: enough for a thousand sandboxes many times over.
const NAMESPACES: &str = "15000";
const SETTINGS: &str = "/etc/sysctl.d/zz-lambent.conf";

/// Who runs lambent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    pub(crate) fn root() -> Self {
        Self { name: "root".to_owned(), uid: 0, gid: 0 }
    }

    /// The user of this name.
    pub(crate) fn named(place: &Place, name: &str) -> anyhow::Result<Self> {
        Self::find(place, name, |user| user.name == name).with_context(|| format!("this host has no user {name}"))
    }

    /// The user with this number.
    pub(crate) fn by_id(place: &Place, uid: u32) -> anyhow::Result<Self> {
        Self::find(place, &uid.to_string(), |user| user.uid == uid)
            .with_context(|| format!("this host has no user with uid {uid}; name one with --user"))
    }

    fn find(place: &Place, asked: &str, is: impl Fn(&Self) -> bool) -> anyhow::Result<Self> {
        let parse = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let uid = fields.nth(1)?.parse().ok()?;
            Some(Self { name, uid, gid: fields.next()?.parse().ok()? })
        };
        let text = place.read("/etc/passwd")?.unwrap_or_default();
        if let Some(user) = text.lines().filter_map(parse).find(&is) {
            return Ok(user);
        }
        // Users of a directory service are in no file.
        if place.is_host() {
            let answer = Command::new("getent").args(["passwd", asked]).stderr(Stdio::null()).output();
            let answer = answer.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default();
            if let Some(user) = answer.lines().filter_map(parse).find(&is) {
                return Ok(user);
            }
        }
        bail!("not in /etc/passwd")
    }
}

/// What to change, and what only people can do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    pub(crate) notes: Vec<String>,
}

/// Decides.
///
/// # Errors
/// When a file of the host cannot be read.
pub(crate) fn plan(place: &Place, user: &User, binary: &Path, record: &Record) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    plan.settings(place, record)?;
    if user.uid == 0 {
        plan.notes.push("root needs nothing else; for an ordinary user name one: --user NAME".to_owned());
        return Ok(plan);
    }
    plan.profile(place, binary, record)?;
    plan.ids(place, user)?;
    plan.groups(place, user, record)?;
    Ok(plan)
}

impl Plan {
    /// Kernel settings, only where they block.
    fn settings(&mut self, place: &Place, record: &Record) -> anyhow::Result<()> {
        let blocking =
            [("/proc/sys/user/max_user_namespaces", NAMESPACES), ("/proc/sys/kernel/unprivileged_userns_clone", "1")];
        let mut lines = String::new();
        for (path, after) in blocking {
            if place.setting(path).as_deref() == Some("0") {
                let (path, before, after) = (path.to_owned(), "0".to_owned(), after.to_owned());
                lines.push_str(&format!("{} = {after}\n", path.trim_start_matches("/proc/sys/").replace('/', ".")));
                self.changes.push(Change::Setting { path, before, after });
            }
        }
        if !lines.is_empty() {
            self.file(place, SETTINGS, lines, Purpose::Settings, record)?;
        }
        Ok(())
    }

    fn profile(&mut self, place: &Place, binary: &Path, record: &Record) -> anyhow::Result<()> {
        if !apparmor::restricts(place) {
            return Ok(());
        }
        if place.program("apparmor_parser").is_none() {
            self.notes
                .push("apparmor_parser is not installed: `sudo apt-get install apparmor`, then setup again".to_owned());
            return Ok(());
        }
        if std::fs::metadata(binary).is_ok_and(|file| file.uid() != 0) {
            self.notes.push(format!(
                "{0} is not root's: its owner can let any program make user namespaces. To avoid that, install it first: \
                 `sudo install {0} /usr/local/bin/lambent`",
                binary.display()
            ));
        }
        self.file(place, apparmor::FILE, apparmor::profile(binary)?, Purpose::Profile, record)
    }

    fn ids(&mut self, place: &Place, user: &User) -> anyhow::Result<()> {
        let files = ["/etc/subuid", "/etc/subgid"];
        let texts = [place.read(files[0])?.unwrap_or_default(), place.read(files[1])?.unwrap_or_default()];
        let login_defs = place.read("/etc/login.defs")?.unwrap_or_default();
        let lacking: Vec<&str> = files
            .into_iter()
            .zip(&texts)
            .filter(|(_, text)| !ids::has_enough(text, user))
            .map(|(file, _)| file)
            .collect();
        if !lacking.is_empty() {
            let first = ids::free([&texts[0], &texts[1]], ids::bounds(&login_defs));
            let first =
                first.context("every id between SUB_UID_MIN and SUB_UID_MAX of /etc/login.defs is given away")?;
            self.changes.extend(lacking.into_iter().map(|file| Change::Ids {
                file: file.to_owned(),
                user: user.name.clone(),
                first,
                count: ids::COUNT,
            }));
        }
        if ids::mapper_is_missing(place) {
            self.notes.push(
                "newuidmap and newgidmap are not installed: `sudo apt-get install uidmap` (Debian, Ubuntu) or your \
                 distribution's like; without them sandboxes share one id"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn groups(&mut self, place: &Place, user: &User, record: &Record) -> anyhow::Result<()> {
        let kind = cgroups::kind(place);
        match &kind {
            Kind::Systemd if cgroups::is_delegated(place, user) => {}
            Kind::Systemd => {
                let before = self.changes.len();
                self.file(place, cgroups::DROP_IN, cgroups::DROP_IN_TEXT.to_owned(), Purpose::Unit, record)?;
                if self.changes.len() > before {
                    self.notes.push(format!(
                        "controllers are handed over at the next login of {}; from then on start it with `systemd-run --user \
                         --scope -p Delegate=yes lambent serve`",
                        user.name
                    ));
                }
            }
            Kind::Nothing => {
                self.notes.push("no control groups are mounted at /sys/fs/cgroup: nothing to hand over".to_owned())
            }
            Kind::One(_) | Kind::Two => {
                let wanted = Tree::wanted(place, &kind, user, record);
                if let Some(folder) = wanted.as_ref().and_then(Tree::to_be_entered) {
                    self.notes.push(format!(
                        "lambent must be started from within the group: as root `echo PID > {folder}/cgroup.procs` for a shell of {}",
                        user.name
                    ));
                }
                self.changes.extend(wanted.map(Change::Groups));
            }
        }
        Ok(())
    }

    /// A file of ours, unless it is there as it should be. One that is somebody else's is left alone.
    fn file(
        &mut self,
        place: &Place,
        path: &str,
        text: String,
        purpose: Purpose,
        record: &Record,
    ) -> anyhow::Result<()> {
        let recorded = record.changes.iter().find_map(|change| match change {
            Change::File { path: old, text, folders, .. } if old == Path::new(path) => Some((text, folders)),
            _ => None,
        });
        let now = place.read(path)?;
        match (&now, recorded) {
            (Some(now), _) if *now == text => return Ok(()),
            (Some(now), Some((written, _))) if now == written => {}
            (Some(_), _) => {
                self.notes.push(format!(
                    "{path} is there already and not as setup wrote it: it stays; what setup wanted it to say:\n{text}"
                ));
                return Ok(());
            }
            (None, _) => {}
        }
        let parent = Path::new(path).parent().context("a file lies in a folder")?;
        let mut folders = recorded.map(|(_, folders)| folders.clone()).unwrap_or_default();
        folders.extend(place.missing_folders(parent));
        folders.dedup();
        self.changes.push(Change::File { path: path.into(), text, purpose, folders });
        Ok(())
    }
}
