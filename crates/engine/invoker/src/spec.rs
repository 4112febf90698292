//! What the sandbox of an environment is made of.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base::EnvironmentId;
use runtime::{Session, web};
use sandbox::{BYTECODE, Limits, Mount, Spec};

use crate::debug;
use crate::engine::Engine;
use crate::environment::{Purpose, cpu_millis};
use crate::log::Log;
use crate::{Bytecode, Granted, Target};

/// The Runtime API's port inside.
const RUNTIME_PORT: u16 = 9001;
/// The platform's own endpoint inside.
const ENDPOINT_PORT: u16 = 4566;
/// CPU during INIT, thousandths.
const INIT_CPU_MILLIS: u32 = 2000;
/// CPU of a compiler, thousandths: it takes its time, and invocations go on beside it.
const COMPILE_CPU_MILLIS: u32 = 500;
/// Processes and threads, and open files. Source: AWS Lambda quotas.
const PIDS: u32 = 1024;
pub(crate) const FILES: u32 = 1024;

/// How an environment comes to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// By INIT.
    Init,
    /// By INIT, after which a snapshot is taken.
    Take,
    /// By a snapshot that is restored.
    Restore,
    /// By what a compiler hands in, after which it ends.
    Compile,
}

impl Beginning {
    pub(crate) fn of(target: &Target, purpose: &Purpose) -> Self {
        match (purpose, &target.image.snapshot) {
            (Purpose::Snapshot(_), _) => Self::Take,
            (Purpose::Compile(_), _) => Self::Compile,
            (_, Some(_)) => Self::Restore,
            (_, None) => Self::Init,
        }
    }
}

/// What our bootstraps are told of snapshots. No function sees it.
const SNAPSHOT_VARIABLE: &str = "_LAMBENT_SNAPSHOT";
/// What of a snapshot's variables is the platform's own.
const OF_SNAP_START: &[&str] = &[
    SNAPSHOT_VARIABLE,
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
];

/// What of it is one environment's own.
pub(crate) struct Given<'a> {
    pub(crate) id: EnvironmentId,
    pub(crate) log: &'a Log,
    pub(crate) session: &'a Session,
    pub(crate) granted: Option<Granted>,
    /// A debugger may connect to it.
    pub(crate) debugged: bool,
}

/// The sandbox of a new environment.
pub(crate) fn spec(engine: &Engine, target: &Target, beginning: Beginning, given: Given<'_>) -> Spec {
    let Given { id, log, session, granted, debugged } = given;
    let options = &engine.options;
    let mut env = target.env.clone();
    match beginning {
        Beginning::Init => {
            env.push(("AWS_LAMBDA_LOG_STREAM_NAME".into(), log.stream.to_string()));
            env.extend(granted.into_iter().flat_map(|granted| granted.variables));
        }
        Beginning::Take | Beginning::Restore => {
            env.retain(|(name, _)| !OF_SNAP_START.contains(&name.as_str()));
            env.extend(snap_start(beginning, granted, session, &*options.rng));
        }
        Beginning::Compile => {}
    }
    env.push(("AWS_LAMBDA_RUNTIME_API".into(), format!("127.0.0.1:{RUNTIME_PORT}")));
    if target.web.is_some() {
        env.retain(|(name, _)| name != web::PORT_VARIABLE);
        env.push((web::PORT_VARIABLE.into(), web::PORT.to_string()));
    }
    env.retain(|(name, _)| name != debug::VARIABLE);
    if debugged {
        env.push((debug::VARIABLE.into(), debug::PORT.to_string()));
    }
    let mut ports = vec![RUNTIME_PORT];
    if options.net.is_some() && target.principal.is_some() {
        ports.push(ENDPOINT_PORT);
        if !env.iter().any(|(name, _)| name == "AWS_ENDPOINT_URL") {
            env.push(("AWS_ENDPOINT_URL".into(), format!("http://127.0.0.1:{ENDPOINT_PORT}")));
        }
    }
    let cpu_millis = match beginning {
        Beginning::Compile => Some(COMPILE_CPU_MILLIS),
        _ => options.cpu_limit.then(|| cpu_millis(target.memory_mb).max(INIT_CPU_MILLIS)),
    };
    let mut image = target.image.clone();
    if beginning == Beginning::Init {
        // What begins with a snapshot has its modules in it.
        image.bytecode = target.bytecode.iter().filter_map(compiled).collect();
    }
    Spec {
        id,
        tenant: target.account.to_string(),
        image,
        argv: target.argv.clone(),
        env: env.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect(),
        cwd: PathBuf::from("/var/task"),
        // What is mapped into a snapshot is found again by its path, which a fork of a zygote sees otherwise.
        ahead: target.ahead.clone().filter(|_| beginning != Beginning::Take && !debugged),
        limits: Limits { memory_mb: target.memory_mb, cpu_millis, pids: PIDS, tmp_mb: target.tmp_mb, files: FILES },
        isolation: target.isolation,
        ports,
        serves: target.web.as_ref().map(|_| web::PORT).or(debugged.then_some(debug::PORT)),
    }
}

/// Bytecode that is there.
fn compiled(bytecode: &Bytecode) -> Option<Mount> {
    let source = bytecode.file.get()?.clone();
    Some(Mount { source, target: Path::new(BYTECODE).join(&bytecode.name) })
}

/// The variables under SnapStart. Credentials in variables would be kept by whoever read them before the snapshot.
/// Source: AWS Lambda developer guide, "Defined runtime environment variables".
fn snap_start(
    beginning: Beginning,
    granted: Option<Granted>,
    session: &Session,
    rng: &dyn base::Rng,
) -> Vec<(String, String)> {
    let what = if beginning == Beginning::Take { "take" } else { "restore" };
    let mut env = vec![
        (SNAPSHOT_VARIABLE.to_owned(), what.to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE".to_owned(), "snap-start".to_owned()),
    ];
    if let Some(granted) = granted {
        let mut raw = [0u8; 16];
        rng.fill(&mut raw);
        let token = format!("{:032x}", u128::from_le_bytes(raw));
        let address = format!("http://127.0.0.1:{RUNTIME_PORT}/2018-06-01/runtime/credentials");
        env.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), address));
        env.push(("AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(), token.clone()));
        session.give_credentials(runtime::Credentials { token, document: granted.document });
    }
    env
}
