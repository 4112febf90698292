//! `lambent fidelity`: prints `docs/fidelity.md` from what the rooms register, from their tables of grades, and from their
//! lists of the tests that miss what acts.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use base::{BoxFuture, LocalBell, SystemClocks, SystemRng};
use door::{Grade, Graded, RouterBuilder};
use functions::Functions;
use futures_util::FutureExt;
use httpapis::HttpApis;
use identity::Identity;
use invoker::Invoker;
use messaging::queues::{self, Queues};
use objects::Objects;
use observe::Observe;
use sandbox::{Environment, Spec, Survey, Walls};
use wire::{Operation, Service};

/// What a reader must know before the tables. Its claims are about behaviour, so no table can give them.
const PREFACE: &str = include_str!("fidelity.md");

/// What stands above the services of which nothing is handled.
const BARE: &str = "\n## Services known by name only\n\nRequests for these are understood in the service's own protocols \
     and refused by name with NotImplemented, in the shape of the service's own errors:\n\n";

/// Grades by service and operation.
type Grades = HashMap<(&'static str, &'static str), Vec<&'static Graded>>;

/// The test that misses a member, by `service:Operation.Member`.
type Tests = HashMap<String, String>;

/// The whole document, with the tests that the lists of the repository at `root` name.
pub(crate) async fn document(root: &Path) -> anyhow::Result<String> {
    let registered = registered().await?;
    let handled = |operation: &&'static Operation| registered.iter().any(|row| std::ptr::eq(*row, *operation));
    let tables = Tables { grades: grades(&registered), tests: tests(root)? };
    let mut out = PREFACE.to_owned();
    writeln!(out, "\n| service | handled | refused |\n|---|---|---|")?;
    let mut bare = String::new();
    let mut sections = String::new();
    for service in model::SERVICES {
        let (done, refused): (Vec<_>, Vec<_>) = service.operations.iter().copied().partition(handled);
        if done.is_empty() {
            let names: Vec<_> = refused.iter().map(|row| row.name).collect();
            writeln!(bare, "- **{}** ({}): {}.", service.name, names.len(), names.join(", "))?;
        } else {
            writeln!(out, "| [{0}](#{0}) | {1} | {2} |", service.name, done.len(), refused.len())?;
            section(&mut sections, service, &done, &refused, &tables)?;
        }
    }
    out.push_str(&sections);
    if !bare.is_empty() {
        out.push_str(BARE);
        out.push_str(&bare);
    }
    Ok(out)
}

/// Every member that acts, a line each: its room, and its name as `cargo xtask drops` writes it.
pub(crate) async fn acts() -> anyhow::Result<String> {
    let registered = registered().await?;
    let mut out = String::new();
    for (room, table, handled) in registered.rooms() {
        for operation in handled {
            let rows = table.iter().filter(|row| row.operation == operation.name && row.grade == Grade::Acts);
            for row in rows {
                writeln!(out, "{room} {}", name(operation, row.member))?;
            }
        }
    }
    Ok(out)
}

/// A member as `LAMBENT_DROP` and the lists name it.
fn name(operation: &Operation, member: &str) -> String {
    format!("{}:{}.{member}", operation.service.name, operation.name)
}

/// The lists of the rooms in the repository at `root`, `crates/services/ROOM/tests/drops.txt`.
fn tests(root: &Path) -> anyhow::Result<Tests> {
    let mut tests = Tests::new();
    for room in std::fs::read_dir(root.join("crates/services"))? {
        let path = room?.path().join("tests/drops.txt");
        let text = if path.exists() { std::fs::read_to_string(&path)? } else { String::new() };
        let lines = text.lines().filter_map(|line| line.split_once(' ')).filter(|(member, _)| *member != "#");
        tests.extend(lines.map(|(member, test)| (member.to_owned(), test.to_owned())));
    }
    Ok(tests)
}

/// What the rows of the document are made from.
struct Tables {
    grades: Grades,
    tests: Tests,
}

impl Tables {
    /// An operation's rows: what acts has one each, with its test; of the rest those without a note share one.
    fn rows(&self, operation: &Operation) -> Vec<String> {
        let rows = self.grades.get(&(operation.service.name, operation.name)).map_or(&[][..], Vec::as_slice);
        let mut lines = Vec::new();
        for row in rows.iter().filter(|row| row.grade == Grade::Acts) {
            let test =
                self.tests.get(&name(operation, row.member)).map_or("–".to_owned(), |test| format!("`{test}`"));
            lines.push(format!("{} | acts | {test} | {}", row.member, row.note));
        }
        for grade in [Grade::Stored, Grade::Refused, Grade::Obsolete] {
            let of_grade = || rows.iter().filter(|row| row.grade == grade);
            let noted = of_grade().filter(|row| !row.note.is_empty());
            lines.extend(noted.map(|row| format!("{} | {grade} | | {}", row.member, row.note)));
            let plain: Vec<_> = of_grade().filter(|row| row.note.is_empty()).map(|row| row.member).collect();
            if !plain.is_empty() {
                lines.push(format!("{} | {grade} | | ", plain.join(", ")));
            }
        }
        if lines.is_empty() {
            lines.push("– | | | takes nothing".to_owned());
        }
        lines
    }
}

fn section(
    out: &mut String,
    service: &Service,
    done: &[&'static Operation],
    refused: &[&'static Operation],
    tables: &Tables,
) -> std::fmt::Result {
    let prefix = done.iter().chain(refused).find_map(|row| row.action.split_once(':')).map_or("", |(prefix, _)| prefix);
    writeln!(
        out,
        "\n## {}\n\nAPI version {}. The IAM action is `{prefix}:` and the operation's name unless told.",
        service.name, service.version
    )?;
    if !done.is_empty() {
        writeln!(out, "\n| operation | member | grade | test that misses it | note |\n|---|---|---|---|---|")?;
    }
    for operation in done {
        let action = match operation.action.split_once(':') {
            Some((of, action)) if action == operation.name && of == prefix => String::new(),
            _ => format!(" (`{}`)", operation.action),
        };
        for (at, row) in tables.rows(operation).into_iter().enumerate() {
            let operation = if at == 0 { format!("**{}**{action}", operation.name) } else { String::new() };
            writeln!(out, "| {operation} | {} |", row.trim_end())?;
        }
    }
    if !refused.is_empty() {
        let named = |row: &&Operation| match row.action.split_once(':') {
            Some((_, action)) if action == row.name => row.name.to_owned(),
            _ => format!("{} (`{}`)", row.name, row.action),
        };
        let names: Vec<_> = refused.iter().map(named).collect();
        writeln!(out, "\nRefused by name with NotImplemented: {}.", names.join(", "))?;
    }
    Ok(())
}

/// Two services may name an operation alike, so each room's table meets only what that room registered.
fn grades(registered: &Registered) -> Grades {
    let mut grades = Grades::new();
    for (_, table, handled) in registered.rooms() {
        for row in table {
            for operation in handled.iter().filter(|operation| operation.name == row.operation) {
                grades.entry((operation.service.name, operation.name)).or_default().push(row);
            }
        }
    }
    grades
}

/// A room's name, its table of grades, and what it handles.
type Room<'a> = (&'static str, &'static [Graded], &'a [&'static Operation]);

/// What each room handles.
struct Registered {
    functions: Vec<&'static Operation>,
    identity: Vec<&'static Operation>,
    observe: Vec<&'static Operation>,
    objects: Vec<&'static Operation>,
    queues: Vec<&'static Operation>,
    httpapis: Vec<&'static Operation>,
    restapis: Vec<&'static Operation>,
}

impl Registered {
    fn rooms(&self) -> Vec<Room<'_>> {
        vec![
            ("functions", functions::GRADES, &self.functions),
            ("identity", identity::GRADES, &self.identity),
            ("observe", observe::GRADES, &self.observe),
            ("objects", objects::GRADES, &self.objects),
            ("messaging", queues::GRADES, &self.queues),
            ("httpapis", httpapis::GRADES, &self.httpapis),
            ("httpapis", httpapis::rest::GRADES, &self.restapis),
        ]
    }

    fn iter(&self) -> impl Iterator<Item = &&'static Operation> {
        self.rooms().into_iter().flat_map(|(.., handled)| handled)
    }
}

/// Walls that build nothing: the rooms are opened here only to be asked what they register.
struct NoWalls;

impl Walls for NoWalls {
    fn launch(&self, _: Spec) -> BoxFuture<'_, Result<Environment, sandbox::Error>> {
        let refused = sandbox::Error::Spec("no function runs while the table is printed".into());
        Box::pin(std::future::ready(Err(refused)))
    }

    fn survey(&self) -> Survey {
        Survey { walls: Vec::new(), usable: false, weak: false }
    }
}

/// Reaches nothing, for the same reason.
struct Nowhere;

impl httpapis::outbound::Outbound for Nowhere {
    fn send(
        &self,
        request: httpapis::outbound::Request,
    ) -> BoxFuture<'_, Result<httpapis::outbound::Response, httpapis::outbound::Unreached>> {
        let refused = httpapis::outbound::Unreached::Failed(request.url, "no network".into());
        Box::pin(std::future::ready(Err(refused)))
    }
}

/// Opens the rooms over memory and asks each what it registers: no socket, no sandbox.
async fn registered() -> anyhow::Result<Registered> {
    let folder = store::Folder::ephemeral()?;
    let kv = store::memory();
    let clocks: Arc<dyn base::Clocks> = Arc::new(SystemClocks);
    let rng: Arc<dyn base::Rng> = Arc::new(SystemRng);

    let options =
        identity::Options { kv: Arc::clone(&kv), clocks: Arc::clone(&clocks), rng: Arc::clone(&rng), loopback: true };
    let identity = Identity::open(options).await?;
    let (observe, _) = Observe::open(observe::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::new(base::LocalBell::new()),
        dispatch: RouterBuilder::default().build(door::Gate::off()),
    });
    let options = invoker::Options::new(
        Arc::new(NoWalls),
        Arc::clone(&clocks),
        Arc::clone(&rng),
        observe.clone(),
        observe.clone(),
    );
    let (invocations, _invoker) = Invoker::start(options);
    let none: BoxFuture<'static, Arc<[runtime::Interpreter]>> = Box::pin(std::future::ready(Arc::from([])));
    let (functions, _) = Functions::open(functions::Options {
        kv: Arc::clone(&kv),
        blobs: store::Blobs::at(&folder),
        trees: store::Trees::at(&folder),
        snapshots: store::Derived::snapshots(&folder),
        bytecode: store::Derived::bytecode(&folder),
        invoker: invocations,
        interpreters: none.shared(),
        bootstraps: folder.run(),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::new(LocalBell::new()),
        meter: observe.clone(),
        gate: door::Gate::off(),
        keys: identity.clone(),
        dispatch: RouterBuilder::default().build(door::Gate::off()),
        logs: observe.clone(),
        loopback: true,
        allow_older_runtimes: false,
        authority: String::new(),
        scheme: "http",
        account_concurrency: base::limits::ACCOUNT_CONCURRENCY,
        egress: Some(base::Egress::All),
    })?;

    let (objects, _) = Objects::open(objects::Options {
        kv: Arc::clone(&kv),
        blobs: store::Blobs::at(&folder),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::new(LocalBell::new()),
        dispatch: RouterBuilder::default().build(door::Gate::off()),
        gate: door::Gate::off(),
    })
    .await?;

    let (queues, _) = Queues::open(queues::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::new(LocalBell::new()),
        authority: String::new(),
        scheme: "http",
    });
    let httpapis = HttpApis::open(httpapis::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        dispatch: RouterBuilder::default().build(door::Gate::off()),
        gate: door::Gate::off(),
        logs: observe.clone(),
        outbound: Arc::new(Nowhere),
        authority: String::new(),
        scheme: "http",
    });
    let restapis = httpapis::rest::RestApis::open(Arc::clone(&httpapis));

    let of = |builder: RouterBuilder| builder.build(door::Gate::off()).registered().to_vec();
    Ok(Registered {
        functions: of(functions::register(RouterBuilder::default(), &functions)),
        identity: of(identity::register(RouterBuilder::default(), &identity)),
        observe: of(observe::register(RouterBuilder::default(), &observe)),
        objects: of(objects::register(RouterBuilder::default(), &objects)),
        queues: of(queues::register(RouterBuilder::default(), &queues)),
        httpapis: of(httpapis::register(RouterBuilder::default(), &httpapis)),
        restapis: of(httpapis::rest::register(RouterBuilder::default(), &restapis)),
    })
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_committed_table_is_what_the_command_prints() {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let committed = std::fs::read_to_string(root.join("docs/fidelity.md")).unwrap_or_default();
        let printed = super::document(root).await.unwrap();
        assert!(
            committed == printed,
            "docs/fidelity.md is out of date: run `cargo run -p lambent-cloud -- fidelity > docs/fidelity.md`, \
             read what changed, and commit it"
        );
    }

    #[tokio::test]
    async fn every_graded_operation_stands_in_the_table() {
        let registered = super::registered().await.unwrap();
        let grades = super::grades(&registered);
        for operation in registered.iter().filter(|row| !row.input_shape.members().is_empty()) {
            let key = (operation.service.name, operation.name);
            assert!(grades.contains_key(&key), "{key:?} takes members, and none has a grade");
        }
    }
}
