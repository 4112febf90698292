//! From a function's row to something the invoker can run: interpreter, environment variables, file system, credentials.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base::{Fault, Principal};
use door::Temporary;
use http::uri::PathAndQuery;
use invoker::{Ahead, Granted, Image, Isolation, Mount, Target, TargetKey, Web};
use runtime::{Bootstraps, Family, FunctionEnv, InvalidEntrypoint, Policy, Runtime};

use crate::aws::log_group;
use crate::code::Contents;
use crate::debug;
use crate::name::{Address, LATEST, Named, Qualifier, qualifier};
use crate::route::Route;
use crate::types::{Edition, Function, Settings, Snap, Url};
use crate::walls::Asked;
use crate::web::Setup;
use crate::{Functions, faults, rules, sdk, snapstart};

/// What an invocation of a function's current revision does.
pub(crate) enum Plan {
    Run {
        target: Arc<Target>,
        /// Whether an invocation that begins a trace is sampled.
        sampled: bool,
        /// Why it cannot be snapshotted, where it cannot.
        unfit: Option<&'static str>,
        /// The number of a version whose environments begin with a snapshot, 0 for `$LATEST`.
        snapped: Option<u64>,
        /// Of a web function: where events go that are no requests.
        events: Option<PathAndQuery>,
    },
    /// A custom runtime without a program: every invocation of this version fails.
    NoBootstrap { version: String, why: InvalidEntrypoint },
}

/// What the qualifiers of one function mean.
#[derive(Default)]
struct Known {
    // By `$LATEST` or number.
    plans: HashMap<String, Arc<Plan>>,
    // By alias.
    routes: HashMap<String, Arc<Route>>,
}

/// What a URL leads to.
pub(crate) struct Behind {
    pub(crate) named: Named,
    pub(crate) url: Url,
    /// The policy that has let everybody in: what it says of strangers rests on nothing but itself and the URL.
    pub(crate) open: Mutex<Option<Arc<str>>>,
}

/// The functions that were invoked, ready: the warm path reads nothing from the store.
#[derive(Default)]
pub(crate) struct Targets {
    ready: RwLock<HashMap<Address, Known>>,
    // The URLs that were called, by id.
    urls: RwLock<HashMap<String, Arc<Behind>>>,
    // Counts changes: what was read before a change must not be remembered after it.
    changes: AtomicU64,
}

impl Targets {
    fn plan(&self, address: &Address, version: &str) -> Option<Arc<Plan>> {
        self.ready.read().unwrap_or_else(PoisonError::into_inner).get(address)?.plans.get(version).cloned()
    }

    fn route(&self, address: &Address, alias: &str) -> Option<Arc<Route>> {
        self.ready.read().unwrap_or_else(PoisonError::into_inner).get(address)?.routes.get(alias).cloned()
    }

    /// The function, or one of its versions or aliases, changed or went.
    pub(crate) fn forget(&self, address: &Address) {
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        ready.remove(address);
        let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
        urls.retain(|_, behind| behind.named.address != *address);
    }

    /// How many changes there were: to be asked before a row is read that shall be remembered.
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn remember(&self, address: &Address, seen: u64, what: impl FnOnce(&mut Known)) {
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        if self.changes() == seen {
            what(ready.entry(address.clone()).or_default());
        }
    }

    fn url(&self, id: &str) -> Option<Arc<Behind>> {
        self.urls.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn remember_url(&self, found: &Arc<Behind>, seen: u64) {
        let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
        // `forget` counts before it looks here.
        if self.changes() == seen {
            urls.insert(found.url.id.clone(), Arc::clone(found));
        }
    }
}

/// Whether AWS knows a runtime.
///
/// # Errors
/// AWS's words when it does not.
pub(crate) fn known_runtime(id: &str) -> Result<Runtime, Fault> {
    Runtime::parse(id).ok_or_else(|| {
        let all: Vec<&str> = Runtime::all().map(Runtime::id).collect();
        faults::invalid(format!(
            "Value {id} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{}] or be a valid ARN",
            all.join(", ")
        ))
    })
}

/// A function that cannot run on this host, with what would mend it.
fn cannot_run(message: String) -> Fault {
    model::lambda::invalid_runtime_exception(message).with("Type", "Service")
}

/// The host's machine as AWS calls it.
pub(crate) fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}

impl Functions {
    /// What a caller named, ready to run.
    ///
    /// # Errors
    /// That there is no such function or version; that it cannot run on this host, and what would mend that.
    pub(crate) async fn ready(&self, named: &Named) -> Result<Arc<Plan>, Fault> {
        let Qualifier::Alias(alias) = qualifier(named.qualifier.as_deref()) else {
            return self.ready_version(&named.address, named.qualifier.as_deref().unwrap_or(LATEST)).await;
        };
        let known = self.targets.route(&named.address, alias);
        let route = match known {
            Some(route) => route,
            None => {
                let seen = self.targets.changes();
                let missing = || faults::no_function(&named.address.qualified(Some(alias)));
                let found = self.state.alias(&named.address, alias)?.ok_or_else(missing)?;
                let route = Arc::new(Route::of(&found));
                let kept = Arc::clone(&route);
                self.targets.remember(&named.address, seen, |known| drop(known.routes.insert(alias.to_owned(), kept)));
                route
            }
        };
        self.ready_version(&named.address, route.pick(&*self.options.rng)).await
    }

    /// One version, ready to run.
    pub(crate) async fn ready_version(&self, address: &Address, version: &str) -> Result<Arc<Plan>, Fault> {
        if let Some(ready) = self.targets.plan(address, version) {
            return Ok(ready);
        }
        let seen = self.targets.changes();
        // Held before the row is read: the code that the row names stays until the target has its claim.
        let held = self.code.hold().await;
        let qualifier = Some(version.to_owned()).filter(|version| version != LATEST);
        let found = self.find(Named { address: address.clone(), qualifier })?;
        snapstart::may_be_invoked(found.edition().snap)?;
        let made = Arc::new(self.make(address, &found.edition(), &found.function).await?);
        drop(held);
        let kept = Arc::clone(&made);
        self.targets.remember(address, seen, |known| drop(known.plans.insert(version.to_owned(), kept)));
        Ok(made)
    }

    /// Makes a function ready beside the answer that created or changed it, so that its first invocation need not.
    /// What stands in the way is told to that invocation.
    pub(crate) fn prepare(self: &Arc<Self>, address: &Address) {
        self.want_latest(address);
        let (functions, address) = (Arc::clone(self), address.clone());
        tokio::spawn(async move {
            match functions.ready(&Named { address, qualifier: None }).await {
                Ok(plan) => {
                    if let Plan::Run { target, .. } = &*plan {
                        functions.invoker.expect(target);
                    }
                }
                Err(fault) => tracing::debug!(%fault, "a function cannot be made ready yet"),
            }
        });
    }

    /// The function or alias behind a URL's id; none when there is no such URL.
    ///
    /// # Errors
    /// The store's faults.
    pub(crate) fn behind(&self, id: &str) -> Result<Option<Arc<Behind>>, Fault> {
        let id = id.to_ascii_lowercase();
        if let Some(found) = self.targets.url(&id) {
            return Ok(Some(found));
        }
        let seen = self.targets.changes();
        let Some(named) = self.state.behind_url(&id)? else { return Ok(None) };
        let url = match &named.qualifier {
            None => self.state.get(&named.address)?.and_then(|function| function.url),
            Some(alias) => self.state.alias(&named.address, alias)?.and_then(|alias| alias.url),
        };
        let found = url.filter(|url| url.id == id).map(|url| Arc::new(Behind { named, url, open: Mutex::default() }));
        if let Some(found) = &found {
            self.targets.remember_url(found, seen);
        }
        Ok(found)
    }

    pub(crate) async fn make(
        &self,
        address: &Address,
        edition: &Edition<'_>,
        function: &Function,
    ) -> Result<Plan, Fault> {
        let (settings, version) = (edition.settings, edition.version.as_str());
        if let Some(image) = &settings.image {
            return Err(cannot_run(format!(
                "{} is the container image {}, and images do not run here yet. Create the function from a zip archive",
                address.name, image.uri
            )));
        }
        let host = host_architecture();
        if settings.architecture != host {
            return Err(cannot_run(format!(
                "{} is for {}, and this host is {host}. Create the function with Architectures [\"{host}\"]",
                address.name, settings.architecture
            )));
        }
        let walls = Asked::of(&function.tags, self.options.egress);
        if let Some(obstacle) = walls.obstacle(self.options.egress) {
            return Err(cannot_run(obstacle));
        }
        let runtime = known_runtime(&settings.runtime)?;
        let policy = Policy { loopback: self.options.loopback, allow_older: self.options.allow_older_runtimes };
        let interpreters = self.options.interpreters.clone().await;
        let choice = runtime::choose(runtime, &interpreters, policy);
        let choice = choice.map_err(|missing| cannot_run(missing.message))?;
        let (tree, lease, contents) = self.code.open(edition.code).await?;
        let mut layers = Vec::with_capacity(settings.layers.len());
        for layer in &settings.layers {
            layers.push(self.code.open(&layer.code).await?);
        }
        let mut uses_sdk = false;
        if let Some(interpreter) = &choice.interpreter {
            let of_layers = layers.iter().flat_map(|(_, _, contents)| &contents.paths);
            let of_layers = of_layers.filter_map(|path| importable(path, interpreter.version));
            let modules = contents.paths.iter().map(String::as_str).chain(of_layers);
            if runtime.family() == Family::Python && !modules.clone().any(sdk::is_brought) {
                uses_sdk = self.code.imports_sdk(edition.code).await?;
            }
            if let Some(foreign) = runtime::foreign_module(modules, interpreter, std::env::consts::ARCH) {
                return Err(cannot_run(foreign.to_string()));
            }
        }
        // One that cannot be executed is still started: the invoker says and logs what the kernel says to it.
        let brings = |contents: &Contents| contents.paths.iter().any(|path| path == "bootstrap");
        let opt = layers.iter().any(|(_, _, contents)| brings(contents));
        let theirs = Bootstraps { task: brings(&contents), opt };
        let setup = Setup::of(settings.environment.as_ref()).map_err(cannot_run)?;
        if setup.is_some() && walls.isolation == Isolation::MicroVm {
            return Err(cannot_run(format!(
                "{} serves a port (LAMBENT_WEB_COMMAND), which a machine of its own (LAMBENT_ISOLATION) cannot do yet",
                address.name
            )));
        }
        let debug = debug::port(settings.environment.as_ref()).map_err(cannot_run)?;
        if debug.is_some() && !self.options.loopback {
            return Err(cannot_run(format!("{} is for platforms that listen on loopback only", debug::VARIABLE)));
        }
        if debug.is_some() && walls.isolation == Isolation::MicroVm {
            return Err(cannot_run(format!(
                "a machine of its own (LAMBENT_ISOLATION) has no way in for {}",
                debug::VARIABLE
            )));
        }
        let launch = match runtime::launch(&choice, settings.memory_mb, &self.options.bootstraps, theirs) {
            Ok(launch) => launch.using_sdk(uses_sdk),
            // A web function's program is its command.
            Err(_) if setup.is_some() => runtime::Launch::default(),
            Err(why) => return Ok(Plan::NoBootstrap { version: version.to_owned(), why }),
        };
        // Custom runtimes have no wrapper on Lambda: there the variable is the function's own business.
        let wrapper = settings.environment.as_ref().and_then(|variables| variables.get("AWS_LAMBDA_EXEC_WRAPPER"));
        let launch = match wrapper {
            Some(script) if choice.interpreter.is_some() => launch.wrapped(script),
            _ => launch,
        };
        let launch = match &setup {
            Some(setup) => launch.serving(&setup.command),
            None => launch,
        };
        let bytecode = match &choice.interpreter {
            // Of a web function the platform starts no loader that could be given it.
            Some(interpreter) if setup.is_none() && self.may_compile(interpreter, walls.isolation) => {
                let layers =
                    settings.layers.iter().zip(&layers).map(|(layer, (_, _, contents))| (&layer.code, contents));
                self.bytecode_of(address, interpreter, (edition.code, &contents), layers)
            }
            _ => Vec::new(),
        };
        let (layers, leases): (Vec<_>, Vec<_>) = layers.into_iter().map(|(tree, lease, _)| (tree.path, lease)).unzip();
        let role = role_name(&settings.role).to_owned();
        let (keys, account, session) = (Arc::clone(&self.options.keys), address.account, address.name.clone());
        let role_of_keys = role.clone();
        let credentials = move || {
            // The claim on the code lives as long as the target that holds this closure.
            let _claimed = (&lease, &leases);
            let Temporary { key_id, secret, token, expires } = keys.for_function(account, &role_of_keys, &session);
            let variables = vec![
                ("AWS_ACCESS_KEY_ID".to_owned(), key_id),
                ("AWS_SECRET_ACCESS_KEY".to_owned(), secret),
                ("AWS_SESSION_TOKEN".to_owned(), token),
            ];
            Granted { document: credentials_document(&variables, expires), variables, ends: expires }
        };
        let unfit = self.unfit(&launch, walls.isolation);
        let (snapped, snapshot) = match self.latest_snapshot(address, edition, function) {
            Some(name) if unfit.is_none() => {
                (self.may_make_latest(address, &name).then_some(snapstart::OF_LATEST), self.snapshots.find(&name))
            }
            Some(_) => (None, None),
            None => {
                let on = edition.snap == Some(&Snap::On) && unfit.is_none();
                let snapped = version.parse().ok().filter(|_| on);
                (snapped, snapped.and_then(|_: u64| self.snapshots.find(edition.revision)))
            }
        };
        let group = log_group(address, settings);
        let mut env = variables(address, version, settings, &group, &choice);
        if let (Some(setup), Some(own)) = (&setup, &settings.environment) {
            setup.complete(&mut env, choice.interpreter.as_ref(), own);
        }
        let ahead = launch.ahead(&env, settings.environment.as_ref());
        let ahead = ahead.map(|runtime::Ahead { argv, env, zygote }| Ahead { argv, env, zygote });
        let mounts = launch.mounts.into_iter().map(|(source, target): (PathBuf, PathBuf)| Mount { source, target });
        let target = Target {
            key: TargetKey {
                function: address.arn().into(),
                version: version.into(),
                // Not the revision that AWS's API shows: that one changes with policies, and does not with tags.
                revision: format!("{} {}", rules::fingerprint(settings, edition.code), walls.word()).into(),
            },
            account,
            region: address.region.clone(),
            function_arn: address.qualified(Some(version)).into(),
            function_name: address.name.as_str().into(),
            memory_mb: settings.memory_mb,
            timeout_ms: u64::from(settings.timeout_s) * 1000,
            tmp_mb: settings.tmp_mb,
            env,
            credentials: Some(Arc::new(credentials)),
            argv: launch.argv,
            ahead,
            runtime: snapstart::runtime_words(address, &settings.runtime).into(),
            image: Image { task: tree.path, layers, runtime: mounts.collect(), snapshot, bytecode: Vec::new() },
            bytecode,
            web: setup.as_ref().map(|setup| Web { concurrency: setup.concurrency, ready: setup.ready.clone() }),
            debug,
            isolation: walls.isolation,
            egress: walls.egress,
            log_group: group.into(),
            principal: Some(Principal::Session { account, role, session: address.name.clone() }),
            notes: choice.stand_in.into_iter().collect(),
        };
        Ok(Plan::Run {
            target: Arc::new(target),
            sampled: settings.active_tracing,
            unfit,
            snapped,
            events: setup.map(|setup| setup.events),
        })
    }
}

/// The credentials as the SDKs ask for them at `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
fn credentials_document(variables: &[(String, String)], ends: base::Timestamp) -> bytes::Bytes {
    let value = |name: &str| variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let (year, month, day, hour, minute, second, _) = ends.civil();
    let document = serde_json::json!({
        "AccessKeyId": value("AWS_ACCESS_KEY_ID"),
        "SecretAccessKey": value("AWS_SECRET_ACCESS_KEY"),
        "Token": value("AWS_SESSION_TOKEN"),
        "Expiration": format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
    });
    document.to_string().into()
}

fn variables(
    address: &Address,
    version: &str,
    settings: &Settings,
    group: &str,
    choice: &runtime::Choice,
) -> Vec<(String, String)> {
    runtime::environment(&FunctionEnv {
        name: &address.name,
        version,
        memory_mb: settings.memory_mb,
        region: address.region.as_str(),
        log_group: group,
        handler: &settings.handler,
        runtime: choice.runtime,
        interpreter: choice.interpreter.as_ref(),
        log_format: None,
        log_level: None,
        variables: settings.environment.as_ref(),
    })
}

/// The path under which Python finds what lies at a path of a layer; none where it does not look.
fn importable(path: &str, (major, minor, _): (u32, u32, u32)) -> Option<&str> {
    let path = path.strip_prefix("python/")?;
    let site = format!("lib/python{major}.{minor}/site-packages/");
    path.strip_prefix(&site).or_else(|| (!path.starts_with("lib/python")).then_some(path))
}

/// The role's name: the last part of its ARN, behind any path.
pub(crate) fn role_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_by_the_end_of_its_arn() {
        assert_eq!(role_name("arn:aws:iam::000000000000:role/service-role/mine"), "mine");
        assert_eq!(role_name("arn:aws:iam::000000000000:role/mine"), "mine");
    }

    #[test]
    fn of_a_layer_python_sees_its_own_folders() {
        let found = |path| importable(path, (3, 12, 4));
        assert_eq!(found("python/a/b.so"), Some("a/b.so"));
        assert_eq!(found("python/lib/python3.12/site-packages/a.so"), Some("a.so"));
        assert_eq!(found("python/lib/python3.11/site-packages/a.so"), None);
        assert_eq!(found("nodejs/a.so"), None);
    }

    #[test]
    fn an_unknown_runtime_is_refused_in_words() {
        let message = known_runtime("cobol85").unwrap_err().message;
        let begins = "Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [";
        assert!(message.starts_with(begins) && message.ends_with("] or be a valid ARN"), "{message}");
    }
}
