//! `lambent doctor`: what this host offers, and how to get what it does not.

use std::process::{Command, ExitCode, Stdio};

use sandbox::{WallState, Walls};

use super::WallsArgument;

/// Exits with 1 when functions could not run.
pub(crate) async fn run(walls: WallsArgument) -> anyhow::Result<ExitCode> {
    let run_dir = std::env::temp_dir().join(format!("lambent-doctor-{}", std::process::id()));
    std::fs::create_dir_all(&run_dir)?;
    let mut options = sandbox::Options::new(&run_dir);
    options.mode = crate::serve::mode(walls);
    let survey = sandbox::Linux::start(options)?.survey();
    std::fs::remove_dir_all(&run_dir)?;
    let (holds, of) = survey.count();
    println!("walls {holds}/{of}{}", if survey.weak { " (weak: asked for by --walls=weak)" } else { "" });
    for wall in &survey.walls {
        match &wall.state {
            WallState::Holds(how) => println!("  ok       {:<22} {how}", wall.name),
            WallState::Missing { why, fix } => {
                println!("  missing  {:<22} {why}\n           to mend it: {fix}", wall.name)
            }
        }
    }
    println!("runtimes");
    crate::interpreters::print()?;
    println!("tools");
    for (tool, use_) in
        [("pip3", "installs requirements.txt"), ("npm", "installs package.json"), ("aws", "`lambent aws`")]
    {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        println!("  {}  {tool:<6} {use_}", if found.is_ok() { "ok     " } else { "missing" });
    }
    if !survey.usable {
        println!("functions cannot run here: mend the missing walls, or start with --walls=weak while developing");
    }
    Ok(if survey.usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
