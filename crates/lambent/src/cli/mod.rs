//! The commands. Each is a client of a running platform, except `serve`, `demo` and `doctor`.

mod demo;
mod doctor;
mod fidelity;
mod inspect;
mod invoke;
mod samples;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::client::Client;

/// A serverless platform in one binary: your Lambda code, in a real sandbox, in milliseconds.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Where the platform answers.
    #[arg(long, global = true, env = "LAMBENT_ENDPOINT", default_value = "http://127.0.0.1:4566")]
    endpoint: String,
    /// The region to speak of.
    #[arg(long, global = true, env = "AWS_REGION", default_value = "us-east-1")]
    region: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the platform.
    Serve(ServeArguments),
    /// Run the platform, deploy a folder, call it, and say what it took.
    Demo {
        /// The folder of the function.
        directory: PathBuf,
        /// The file to send to it.
        #[arg(long)]
        body: Option<PathBuf>,
        /// Stop afterwards instead of serving on.
        #[arg(long)]
        exit: bool,
        #[command(flatten)]
        serve: ServeArguments,
    },
    /// Pack a folder and create or update its function.
    Deploy(crate::deploy::Arguments),
    /// Call a function; its answer goes to stdout, its log to stderr.
    Invoke(invoke::Arguments),
    /// Show a function's log.
    Logs {
        /// The function; all of them when left out.
        name: Option<String>,
        /// Stay and show what comes.
        #[arg(long, short)]
        follow: bool,
        /// Show events of the last minutes only.
        #[arg(long, value_name = "MINUTES")]
        since: Option<u64>,
    },
    /// List functions.
    Ls,
    /// Delete a function.
    Rm {
        /// The function.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Show what this host offers: walls, interpreters, tools.
    Doctor {
        /// Which walls to ask for.
        #[arg(long, value_enum, default_value_t = WallsArgument::Strong)]
        walls: WallsArgument,
    },
    /// Print `docs/fidelity.md`.
    #[command(hide = true)]
    Fidelity,
    /// Print the environment that points AWS tools here, for `eval "$(lambent env)"`.
    Env,
    /// Run the AWS CLI against the platform.
    #[command(disable_help_flag = true)]
    Aws {
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Open the page, or a function's URL, in the browser.
    Open {
        /// The function.
        name: Option<String>,
    },
    /// Language runtimes that functions run on.
    #[command(subcommand)]
    Runtime(RuntimeCommand),
}

#[derive(Debug, Subcommand)]
enum RuntimeCommand {
    /// List found and added interpreters, and which runtime identifier each serves.
    Ls,
    /// Serve a runtime from an installation, for example `python3.12 --from /opt/python3.12`.
    Add {
        /// The runtime identifier.
        id: String,
        /// The installation's prefix.
        #[arg(long)]
        from: PathBuf,
    },
    /// Forget an added runtime.
    Rm {
        /// The runtime identifier.
        id: String,
    },
}

/// Which walls functions live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WallsArgument {
    /// All of them; where they cannot be built, invocations say so.
    Strong,
    /// Plain processes, for hosts that allow no walls. Loopback only.
    Weak,
}

/// Whether functions get the CPU share of their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CpuLimit {
    /// As on Lambda: one CPU at 1,769 MB.
    On,
    /// All there is, while developing.
    Off,
}

/// How the platform runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArguments {
    /// The address to listen on.
    #[arg(long, env = "LAMBENT_LISTEN", default_value = "127.0.0.1:4566")]
    pub(crate) listen: SocketAddr,
    /// The data folder; by default `lambent` in `$XDG_DATA_HOME`.
    #[arg(long, env = "LAMBENT_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Keep nothing: a fresh data folder that goes with the process.
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Allow tests to hold the clock. Only on a data folder made so.
    #[arg(long)]
    pub(crate) test_controls: bool,
    /// Which walls functions live in.
    #[arg(long, value_enum, default_value_t = WallsArgument::Strong)]
    pub(crate) walls: WallsArgument,
    /// Whether functions get the CPU share of their memory.
    #[arg(long, value_enum, default_value_t = CpuLimit::On)]
    pub(crate) cpu_limit: CpuLimit,
    /// How long an idle environment is kept, seconds.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub(crate) keep_alive: u64,
    /// Concurrent executions of an account.
    #[arg(long, default_value_t = base::limits::ACCOUNT_CONCURRENCY, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// Let an older interpreter stand in for a newer runtime.
    #[arg(long)]
    pub(crate) allow_older_runtimes: bool,
    /// Serve plain HTTP on an address that others can reach.
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Runs one command to its end.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let serves = matches!(&arguments.command, Command::Serve(_) | Command::Demo { .. });
    if !serves {
        sandbox::end_on_broken_pipe();
    }
    // Half the cores: functions need the rest, and every further worker is one more to wake for a hand-over.
    let threads = (std::thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, 8);
    let mut builder = if serves {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let executor = builder.worker_threads(threads).enable_all().build().context("starting the executor")?;
    executor.block_on(dispatch(arguments))
}

async fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = || Client::new(&arguments.endpoint, &arguments.region);
    match arguments.command {
        Command::Serve(options) => crate::serve::run(options).await?,
        Command::Demo { directory, body, exit, serve } => demo::run(&directory, body.as_deref(), exit, serve).await?,
        Command::Deploy(options) => {
            let done = crate::deploy::run(&client()?, &options).await?;
            done.print();
        }
        Command::Invoke(options) => return invoke::run(&client()?, options).await,
        Command::Logs { name, follow, since } => inspect::logs(&client()?, name.as_deref(), follow, since).await?,
        Command::Ls => inspect::list(&client()?).await?,
        Command::Rm { name, yes } => inspect::remove(&client()?, &name, yes).await?,
        Command::Doctor { walls } => return doctor::run(walls).await,
        Command::Fidelity => print!("{}", fidelity::document().await?),
        Command::Env => tools::print_environment(&client()?),
        Command::Aws { arguments } => return tools::aws(&client()?, &arguments),
        Command::Open { name } => tools::open(&client()?, name.as_deref()).await?,
        Command::Runtime(RuntimeCommand::Ls) => crate::interpreters::print()?,
        Command::Runtime(RuntimeCommand::Add { id, from }) => crate::interpreters::add(&id, &from)?,
        Command::Runtime(RuntimeCommand::Rm { id }) => crate::interpreters::remove(&id)?,
    }
    Ok(ExitCode::SUCCESS)
}
