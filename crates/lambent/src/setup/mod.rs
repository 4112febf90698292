//! `sudo lambent setup`: what an ordinary user cannot do, done once by root, and taken back with `--undo`.
//!
//! A change is said before it is made, written into a record before it is made, and undone from that record alone. Every
//! path goes through [`Place`], so that tests run the whole of it on a folder that plays the host.

mod apparmor;
mod cgroups;
mod change;
mod ids;
mod place;
mod plan;
mod record;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

pub(crate) use change::Change;
pub(crate) use place::{Place, own_uid};
pub(crate) use plan::{Plan, User};
use record::Record;

/// What `lambent setup` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Take back what setup did, and nothing else.
    #[arg(long)]
    undo: bool,
    /// Say what would be done; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The user who runs lambent; by default who called sudo.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A folder that plays the host.
    #[arg(long, hide = true, default_value = "/")]
    root: PathBuf,
    /// The binary, where it is another than this one.
    #[arg(long, hide = true)]
    binary: Option<PathBuf>,
}

/// Sets up or takes back.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let place = Place::new(&arguments.root);
    if place.is_host() && !arguments.dry_run && own_uid() != 0 {
        let undo = if arguments.undo { " --undo" } else { "" };
        bail!("only root may do this: `sudo {} setup{undo}`; --dry-run says what it would do", own_name());
    }
    if arguments.undo {
        return undo(&place, arguments.dry_run);
    }
    let name = arguments.user.clone().or_else(|| std::env::var("SUDO_USER").ok()).filter(|name| !name.is_empty());
    let user = match name {
        Some(name) => User::named(&place, &name)?,
        None if own_uid() == 0 => User::root(),
        None => User::by_id(&place, own_uid())?,
    };
    let binary = arguments.binary.clone().map_or_else(this_binary, Ok)?;
    let record = Record::load(&place)?;
    let plan = plan::plan(&place, &user, &binary, &record)?;
    perform(&place, &user, plan, record, arguments.dry_run)
}

/// What is to be changed for a user and this binary.
///
/// # Errors
/// When a file of the host cannot be read.
pub(crate) fn plan_for(place: &Place, user: &User) -> anyhow::Result<Plan> {
    plan::plan(place, user, &this_binary()?, &Record::load(place)?)
}

/// How to call this binary through sudo, whose search path holds the system's folders only.
pub(crate) fn own_name() -> String {
    const SEARCHED: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    match std::env::current_exe() {
        Ok(exe)
            if !exe
                .parent()
                .is_some_and(|folder| SEARCHED.iter().any(|known| folder == std::path::Path::new(known))) =>
        {
            exe.display().to_string()
        }
        _ => "lambent".to_owned(),
    }
}

/// The path that the kernel knows this binary by.
fn this_binary() -> anyhow::Result<PathBuf> {
    std::env::current_exe().and_then(std::fs::canonicalize).context("finding this binary")
}

fn perform(place: &Place, user: &User, plan: Plan, mut record: Record, dry_run: bool) -> anyhow::Result<ExitCode> {
    println!("lambent setup for {} (uid {})", user.name, user.uid);
    if plan.changes.is_empty() {
        println!("  nothing to change");
    }
    let mut failed = false;
    for change in plan.changes {
        println!("  {}", change.describe());
        if dry_run {
            continue;
        }
        if let Err(error) = apply(place, &mut record, change) {
            println!("    failed: {error:#}");
            failed = true;
        }
    }
    for note in &plan.notes {
        println!("  note: {note}");
    }
    if dry_run {
        println!("nothing was changed (--dry-run)");
    } else if !record.changes.is_empty() {
        println!("to take it back: sudo {} setup --undo", own_name());
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Makes one change; the record is written first, so that a crash leaves nothing unrecorded.
fn apply(place: &Place, record: &mut Record, change: Change) -> anyhow::Result<()> {
    let before = record.changes.clone();
    record.changes.retain(|old| !change.replaces(old));
    record.changes.push(change.clone());
    record.save(place)?;
    if let Err(error) = change.apply(place) {
        record.changes = before;
        record.save(place)?;
        return Err(error);
    }
    Ok(())
}

fn undo(place: &Place, dry_run: bool) -> anyhow::Result<ExitCode> {
    let mut record = Record::load(place)?;
    if record.changes.is_empty() {
        println!("nothing to take back: setup has changed nothing on this host");
        return Ok(ExitCode::SUCCESS);
    }
    let mut kept = Vec::new();
    let mut failed = false;
    // In reverse: what was made last may rest on what was made first.
    while let Some(change) = record.changes.pop() {
        match change.undo(place, dry_run) {
            Ok(change::Undone::Taken(words) | change::Undone::Gone(words)) => println!("  {words}"),
            Ok(change::Undone::Kept(words)) => {
                println!("  {words}");
                kept.push(change);
            }
            Err(error) => {
                println!("  could not undo `{}`: {error:#}", change.describe());
                kept.push(change);
                failed = true;
            }
        }
        if !dry_run {
            let rest = Record { changes: record.changes.iter().chain(kept.iter().rev()).cloned().collect() };
            rest.save(place)?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
