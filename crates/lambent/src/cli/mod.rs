//! The commands. Each is a client of a running platform, except `serve`, `demo`, `doctor`, `setup`, and `backup`, `restore`,
//! `check` and `ca`, which work on a data folder.

mod backup;
mod bill;
mod ca;
mod clock;
mod demo;
mod dev;
mod doctor;
mod events;
mod fidelity;
mod iam;
mod inspect;
mod invoke;
mod new;
mod routes;
mod samples;
mod times;
mod tools;
mod top;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

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
    /// Write a small project from a template.
    New(new::Arguments),
    /// Pack a folder and create or update its function; also a folder made for Apex, with all its functions.
    Deploy(crate::deploy::Arguments),
    /// Deploy a folder, deploy it again whenever a file in it changes, and show the function's log with the phases of each call.
    Dev(dev::DevArguments),
    /// Call a function; its answer goes to stdout, its log to stderr.
    Invoke(invoke::Arguments),
    /// Show a function's log.
    Logs(inspect::LogsArguments),
    /// Show what the functions do now: environments, invocations a second, errors, throttles, times, memory, CPU.
    ///
    /// Counts are since the platform started, rates over one interval. QUEUE, SANDBOX, INIT and HANDLER are the median and
    /// the 99th percentile, within 6 %: of the last half minute to minute or, in brackets, where nothing came in it, of
    /// everything; with --once of everything. q or Ctrl-C ends it.
    Top(top::Arguments),
    /// List functions.
    Ls,
    /// Show what answers where, and who may call it: function URLs, HTTP and REST APIs, websites of buckets.
    Routes(routes::Arguments),
    /// Delete a function.
    Rm {
        /// The function.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Write everything in a data folder to one file, also while the platform runs.
    Backup {
        /// The file to make.
        file: PathBuf,
        /// The data folder; by default `lambent` in `$XDG_DATA_HOME`.
        #[arg(long, env = "LAMBENT_DATA")]
        data: Option<PathBuf>,
    },
    /// Make a data folder from a backup.
    Restore {
        /// The backup.
        file: PathBuf,
        /// The folder to make; it must be empty or not exist.
        #[arg(long)]
        data: PathBuf,
    },
    /// Read everything in a data folder and say what is wrong, also while the platform runs.
    Check {
        /// The data folder; by default `lambent` in `$XDG_DATA_HOME`.
        #[arg(long, env = "LAMBENT_DATA")]
        data: Option<PathBuf>,
    },
    /// Name the certificate of this platform's authority, which clients of https://localhost:4566 must trust, and say how.
    Ca(ca::Arguments),
    /// Show what this host offers, wall by wall, and the command that mends what is missing.
    Doctor(doctor::Arguments),
    /// Give an ordinary user what walls need: run it once with sudo.
    Setup(crate::setup::Arguments),
    /// Print `docs/fidelity.md`, for the repository in the current folder.
    #[command(hide = true)]
    Fidelity {
        /// Print which members act instead, a line each.
        #[arg(long)]
        acts: bool,
    },
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
    /// Who may do what.
    #[command(subcommand)]
    Iam(IamCommand),
    /// Say what the functions used in a month, what it would cost, and what AWS would charge for it.
    Bill(bill::Arguments),
    /// Hold and move the platform's product clock, which schedules, retries, retention and keep-alive follow. Only on
    /// `lambent serve --test-controls` or `--ephemeral`.
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Deliveries between services that failed too often.
    #[command(subcommand)]
    Events(EventsCommand),
    /// Language runtimes that functions run on.
    #[command(subcommand)]
    Runtime(RuntimeCommand),
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ClockCommand {
    /// Say where the clock stands, whether it runs, and when something is due next.
    Show,
    /// Stop it where it is.
    Pause,
    /// Let it run again from where it stands.
    Resume,
    /// Move it to the next moment at which something is due, and wait until that is done.
    Step,
    /// Move it forward through everything that falls due on the way, and wait until that is done.
    Advance {
        /// How far, for example 14d, 36h, 90m, 30s, 1500ms or 1d12h.
        #[arg(value_parser = clock::duration_ms)]
        duration: u64,
    },
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// List what is parked.
    Stuck,
    /// Deliver one again, or all.
    Replay {
        /// The id of one.
        id: Option<String>,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
enum IamCommand {
    /// Say whether a principal may do something, by which statement, or what is missing.
    Explain(iam::Arguments),
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

/// Which addresses functions may reach. The platform's own endpoint is always among them; this host, its loopback and
/// metadata services never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EgressArgument {
    /// Public and private addresses.
    All,
    /// Public addresses.
    Public,
    /// Nothing.
    None,
}

/// Whether functions get the CPU share of their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CpuLimit {
    /// As on Lambda: one CPU at 1,769 MB.
    On,
    /// All there is, while developing.
    Off,
}

/// What becomes of a call that policies do not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IamArgument {
    /// It passes, and policies are not asked.
    Off,
    /// It passes, and the log says what would have been denied.
    Warn,
    /// It is refused.
    Enforce,
}

/// How often an account may call the APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThrottleArgument {
    /// As often as it likes.
    Off,
    /// At AWS's default rates, to see how a program bears them.
    Aws,
}

/// The least a data folder can work in: a full journal, the tables being merged, and some data, bytes.
const SMALLEST_BUDGET_BYTES: u64 = 256 << 20;

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
    /// Allow tests to hold the clock (`lambent clock`). Only on a data folder made so; `--ephemeral` allows it too.
    #[arg(long)]
    pub(crate) test_controls: bool,
    /// A test control: take this input member away before anything looks at it, to see which test misses it.
    #[arg(long, hide = true, requires = "test_controls", value_name = "SERVICE:OPERATION.MEMBER")]
    pub(crate) drop_member: Option<door::Dropped>,
    /// A test control: how long clients may take over a head, a pause of a body, a handshake, and reading, ms.
    #[arg(long, hide = true, requires = "test_controls", value_name = "MS")]
    pub(crate) patience: Option<u64>,
    /// Which walls functions live in.
    #[arg(long, value_enum, default_value_t = WallsArgument::Strong)]
    pub(crate) walls: WallsArgument,
    /// Which addresses functions may reach: by default all when listening on loopback, else public ones. A function's tag
    /// LAMBENT_EGRESS may narrow it.
    #[arg(long, value_enum, env = "LAMBENT_EGRESS")]
    pub(crate) egress: Option<EgressArgument>,
    /// Let HTTP and REST APIs reach servers on this machine: issuers of tokens and integrations under development. Whoever may
    /// make an API, functions too, reaches them then.
    #[arg(long, env = "LAMBENT_APIS_REACH_HOST")]
    pub(crate) apis_reach_host: bool,
    /// Whether functions get the CPU share of their memory.
    #[arg(long, value_enum, default_value_t = CpuLimit::On)]
    pub(crate) cpu_limit: CpuLimit,
    /// Sandboxes kept ready ahead of need; each costs about 0.4 MiB of kernel memory.
    #[arg(long, default_value_t = 4, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) prepared: u16,
    /// How long an idle environment is kept, seconds.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub(crate) keep_alive: u64,
    /// How long an environment is idle before it is frozen: its processes stand still until its next event, as on AWS. `off` lets what
    /// functions leave running go on.
    #[arg(long, env = "LAMBENT_FREEZE", default_value = "100ms", value_name = "off|DURATION", value_parser = freeze_of)]
    pub(crate) freeze: Freeze,
    /// Concurrent executions of an account.
    #[arg(long, default_value_t = base::limits::ACCOUNT_CONCURRENCY, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// Let an older interpreter stand in for a newer runtime.
    #[arg(long)]
    pub(crate) allow_older_runtimes: bool,
    /// What becomes of a call that policies do not allow; by default `warn` on loopback, `enforce` elsewhere.
    #[arg(long, value_enum, env = "LAMBENT_IAM")]
    pub(crate) iam: Option<IamArgument>,
    /// How often an account may call the APIs.
    #[arg(long, value_enum, default_value_t = ThrottleArgument::Off)]
    pub(crate) throttle: ThrottleArgument,
    /// What the data folder may take of the disk, for example 20G; by default all there is. At 90 % the oldest logs of
    /// functions go, at 95 % what is new is refused.
    #[arg(long, env = "LAMBENT_DISK_BUDGET", value_name = "SIZE", value_parser = bytes_of)]
    pub(crate) disk_budget: Option<u64>,
    /// Serve plain HTTP, beside HTTPS, on an address that others can reach.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// The certificate to show, with those that vouch for it, PEM; by default certificates of an authority of this platform's own
    /// (`lambent ca`).
    #[arg(long, env = "LAMBENT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "LAMBENT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

impl ServeArguments {
    /// What becomes of a denial, on a listener that is or is not on loopback.
    pub(crate) fn iam_mode(&self, loopback: bool) -> door::Mode {
        match self.iam {
            Some(IamArgument::Off) => door::Mode::Off,
            Some(IamArgument::Warn) => door::Mode::Warn,
            Some(IamArgument::Enforce) => door::Mode::Enforce,
            None if loopback => door::Mode::Warn,
            None => door::Mode::Enforce,
        }
    }
}

/// When idle environments are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freeze {
    /// Never.
    Off,
    /// After so many milliseconds.
    AfterMs(u64),
}

impl Freeze {
    /// How long one is idle before, ms.
    pub(crate) fn after_ms(self) -> Option<u64> {
        match self {
            Self::Off => None,
            Self::AfterMs(ms) => Some(ms),
        }
    }
}

fn freeze_of(text: &str) -> Result<Freeze, String> {
    if text == "off" {
        return Ok(Freeze::Off);
    }
    let ms = clock::duration_ms(text).map_err(|_| "write off, or a duration such as 100ms or 5s")?;
    if ms == 0 {
        return Err("an answer takes a moment to leave: write at least 1ms".into());
    }
    Ok(Freeze::AfterMs(ms))
}

/// A size as people write it: bytes, or with K, M, G or T, each 1024 times the one before.
fn bytes_of(text: &str) -> Result<u64, String> {
    let (number, factor) = match text.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => {
            let power = "KMGT".find(unit.to_ascii_uppercase()).ok_or("the unit is one of K, M, G and T")?;
            (&text[..at], 1024_u64.pow(power as u32 + 1))
        }
        _ => (text, 1),
    };
    let number: u64 = number.parse().map_err(|_| "a size is a number, for example 20G")?;
    let bytes = number.checked_mul(factor).ok_or("the size is larger than any disk")?;
    if bytes < SMALLEST_BUDGET_BYTES {
        return Err(format!("the store itself needs {} MiB", SMALLEST_BUDGET_BYTES >> 20));
    }
    Ok(bytes)
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
    let ended = executor.block_on(dispatch(arguments));
    // What a stop has given up waiting for is not waited for here.
    executor.shutdown_timeout(Duration::from_millis(100));
    ended
}

async fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = || Client::new(&arguments.endpoint, &arguments.region);
    match arguments.command {
        Command::Serve(options) => crate::serve::run(options).await?,
        Command::Demo { directory, body, exit, serve } => demo::run(&directory, body.as_deref(), exit, serve).await?,
        Command::New(options) => new::run(&options)?,
        Command::Deploy(options) => {
            crate::deploy::run_all(&client()?, &options).await?;
        }
        Command::Dev(arguments) => dev::run(&client()?, &arguments).await?,
        Command::Invoke(options) => return invoke::run(&client()?, options).await,
        Command::Logs(asked) => inspect::logs(&client()?, &asked).await?,
        Command::Top(asked) => top::run(&client()?, &asked).await?,
        Command::Ls => inspect::list(&client()?).await?,
        Command::Routes(arguments) => routes::show(&client()?, &arguments).await?,
        Command::Rm { name, yes } => inspect::remove(&client()?, &name, yes).await?,
        Command::Backup { file, data } => backup::backup(file, data).await?,
        Command::Restore { file, data } => backup::restore(file, data).await?,
        Command::Check { data } => backup::check(data).await?,
        Command::Ca(options) => ca::run(options)?,
        Command::Bill(options) => bill::run(&client()?, &options).await?,
        Command::Doctor(options) => return doctor::run(&options).await,
        Command::Setup(options) => return crate::setup::run(&options),
        Command::Fidelity { acts: true } => print!("{}", fidelity::acts().await?),
        Command::Fidelity { acts: false } => print!("{}", fidelity::document(".".as_ref()).await?),
        Command::Env => tools::print_environment(&client()?),
        Command::Aws { arguments } => return tools::aws(&client()?, &arguments),
        Command::Open { name } => tools::open(&client()?, name.as_deref()).await?,
        Command::Clock(asked) => clock::run(&client()?, asked).await?,
        Command::Events(EventsCommand::Stuck) => events::stuck(&client()?).await?,
        Command::Events(EventsCommand::Replay { id, all }) => events::replay(&client()?, id.as_deref(), all).await?,
        Command::Iam(IamCommand::Explain(asked)) => return iam::explain(&client()?, asked).await,
        Command::Runtime(RuntimeCommand::Ls) => crate::interpreters::print()?,
        Command::Runtime(RuntimeCommand::Add { id, from }) => crate::interpreters::add(&id, &from)?,
        Command::Runtime(RuntimeCommand::Rm { id }) => crate::interpreters::remove(&id)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Arguments, Command, Freeze, ServeArguments, bytes_of, freeze_of};

    fn serve(arguments: &[&str]) -> ServeArguments {
        let all = ["lambent", "serve"].iter().chain(arguments);
        match Arguments::try_parse_from(all).map(|parsed| parsed.command) {
            Ok(Command::Serve(serve)) => serve,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn denials_are_enforced_where_others_can_connect_unless_told_otherwise() {
        assert_eq!(serve(&[]).iam_mode(true), door::Mode::Warn);
        assert_eq!(serve(&[]).iam_mode(false), door::Mode::Enforce);
        assert_eq!(serve(&["--iam", "enforce"]).iam_mode(true), door::Mode::Enforce);
        assert_eq!(serve(&["--iam", "warn"]).iam_mode(false), door::Mode::Warn);
        assert_eq!(serve(&["--iam", "off"]).iam_mode(false), door::Mode::Off);
    }

    #[test]
    fn a_member_is_dropped_only_where_a_test_is_in_control() {
        let member = ["--drop-member", "lambda:Invoke.Payload"];
        assert!(serve(&[member[0], member[1], "--test-controls"]).drop_member.is_some());
        assert!(Arguments::try_parse_from(["lambent", "serve", member[0], member[1]]).is_err());
    }

    #[test]
    fn a_freeze_is_off_or_after_a_while() {
        assert_eq!(serve(&[]).freeze, Freeze::AfterMs(100));
        assert_eq!(serve(&["--freeze", "off"]).freeze.after_ms(), None);
        assert_eq!(freeze_of("1s500ms"), Ok(Freeze::AfterMs(1500)));
        for wrong in ["", "0s", "on", "100", "1.5s"] {
            assert!(freeze_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(bytes_of("20G"), Ok(20 << 30));
        assert_eq!(bytes_of("300m"), Ok(300 << 20));
        assert_eq!(bytes_of("268435456"), Ok(256 << 20));
        for wrong in ["", "G", "1", "-1G", "1.5G", "20X", "99999999999T"] {
            assert!(bytes_of(wrong).is_err(), "{wrong}");
        }
    }
}
