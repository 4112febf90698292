//! `lambent doctor`: what this host offers, wall by wall, and the command that mends what is missing.

mod host;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sandbox::{Survey, WallState, Walls};
use serde_json::{Value, json};

use super::WallsArgument;
use crate::setup::{self, Place, User};

/// What `lambent doctor` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which walls to ask for.
    #[arg(long, value_enum, default_value_t = WallsArgument::Strong)]
    walls: WallsArgument,
    /// The data folder that will be served; by default `lambent` in `$XDG_DATA_HOME`.
    #[arg(long, env = "LAMBENT_DATA")]
    data: Option<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    name: String,
    state: State,
    /// How it holds, or why it does not.
    says: String,
    /// The command that mends it.
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// It works, but not as well as it could.
    Note,
    Missing,
}

impl Finding {
    fn ok(name: &str, says: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Ok, says: says.into(), fix: None }
    }

    fn note(name: &str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Note, says: says.into(), fix: Some(fix.into()) }
    }

    fn missing(name: &str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Missing, ..Self::note(name, says, fix) }
    }

    fn json(&self) -> Value {
        let state = match self.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Missing => "missing",
        };
        json!({"name": self.name, "state": state, "says": self.says, "fix": self.fix})
    }
}

/// All that was found.
struct Report {
    walls: Vec<Finding>,
    usable: bool,
    weak: bool,
    host: Vec<Finding>,
    runtimes: Vec<Finding>,
    tools: Vec<Finding>,
    /// What `lambent setup` would change, where that would mend something.
    setup: Vec<String>,
}

/// Exits with 1 when functions could not run.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let data = arguments.data.clone().map_or_else(crate::serve::default_data, Ok);
    let survey = survey(arguments.walls, data.as_deref().ok()).await?;
    let report = Report {
        walls: survey.walls.iter().map(wall).collect(),
        usable: survey.usable,
        weak: survey.weak,
        host: host::look(data),
        runtimes: host::runtimes()?,
        tools: host::tools(),
        setup: setup_would(&survey),
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&report))?);
    } else {
        show::print(&report);
    }
    Ok(if report.usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds one sandbox beside the data folder, so that it is on the same file system.
async fn survey(walls: WallsArgument, data: Option<&Path>) -> anyhow::Result<Survey> {
    let name = format!("lambent-doctor-{}", std::process::id());
    let beside = data.into_iter().flat_map(Path::ancestors).skip(1).find(|folder| folder.is_dir());
    let places = beside.map(Path::to_owned).into_iter().chain([std::env::temp_dir()]);
    let made = places.map(|place| place.join(&name)).find(|place| std::fs::create_dir(place).is_ok());
    let Some(run_dir) = made else { anyhow::bail!("no folder can be made in {}", std::env::temp_dir().display()) };
    let mut options = sandbox::Options::new(&run_dir);
    options.mode = crate::serve::mode(walls);
    let walls = sandbox::Linux::start(options);
    if let Ok(walls) = &walls {
        walls.settled().await;
    }
    let survey = walls.map(|walls| walls.survey());
    std::fs::remove_dir_all(&run_dir)?;
    let mut survey = survey?;
    // What was made here will be made in the data folder.
    if let (Some(data), Some(here)) = (data, run_dir.to_str()) {
        let there = data.join("run").display().to_string();
        for wall in &mut survey.walls {
            match &mut wall.state {
                WallState::Holds(how) => *how = how.replace(here, &there),
                WallState::Missing { why, .. } => *why = why.replace(here, &there),
            }
        }
    }
    Ok(survey)
}

fn wall(wall: &sandbox::Wall) -> Finding {
    match &wall.state {
        WallState::Holds(how) => Finding::ok(wall.name, how),
        WallState::Missing { why, fix } => Finding::missing(wall.name, why, callable(fix)),
    }
}

/// The fix as this user can type it: sudo does not search folders of users.
fn callable(fix: &str) -> String {
    fix.replace("sudo lambent ", &format!("sudo {} ", setup::own_name()))
}

/// What setup would change for the user who asks, when a wall is missing that a change could give.
fn setup_would(survey: &Survey) -> Vec<String> {
    if survey.walls.iter().all(|wall| matches!(wall.state, WallState::Holds(_))) {
        return Vec::new();
    }
    let place = Place::new("/");
    let plan = || -> anyhow::Result<_> {
        let user = User::by_id(&place, setup::own_uid())?;
        setup::plan_for(&place, &user)
    };
    // Who cannot be told what setup would do is still told to run it, by the fix of the wall.
    plan().map(|plan| plan.changes.iter().map(setup::Change::describe).collect()).unwrap_or_default()
}

fn as_json(report: &Report) -> Value {
    let list = |findings: &[Finding]| findings.iter().map(Finding::json).collect::<Vec<_>>();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "usable": report.usable,
        "weak": report.weak,
        "walls": list(&report.walls),
        "host": list(&report.host),
        "runtimes": list(&report.runtimes),
        "tools": list(&report.tools),
        "setup": report.setup,
    })
}
