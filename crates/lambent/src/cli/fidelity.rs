//! `lambent fidelity`: prints `docs/fidelity.md` from what the rooms register and from their tables of grades.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use base::{BoxFuture, LocalBell, SystemClocks, SystemRng};
use door::{Grade, Graded, RouterBuilder};
use functions::Functions;
use futures_util::FutureExt;
use identity::Identity;
use invoker::Invoker;
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

/// The whole document.
pub(crate) async fn document() -> anyhow::Result<String> {
    let registered = registered().await?;
    let handled = |operation: &&'static Operation| registered.iter().any(|row| std::ptr::eq(*row, *operation));
    let grades = grades(&registered);
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
            section(&mut sections, service, &done, &refused, &grades)?;
        }
    }
    out.push_str(&sections);
    if !bare.is_empty() {
        out.push_str(BARE);
        out.push_str(&bare);
    }
    Ok(out)
}

fn section(
    out: &mut String,
    service: &Service,
    done: &[&'static Operation],
    refused: &[&'static Operation],
    grades: &Grades,
) -> std::fmt::Result {
    writeln!(out, "\n## {}\n\nAPI version {}.", service.name, service.version)?;
    if !done.is_empty() {
        writeln!(out, "\n| operation | IAM action | acts | stored | refused |\n|---|---|---|---|---|")?;
    }
    let mut notes = Vec::new();
    for operation in done {
        let rows = grades.get(&(service.name, operation.name)).map_or(&[][..], Vec::as_slice);
        let of = |grade: Grade| {
            let names: Vec<_> = rows.iter().filter(|row| row.grade == grade).map(|row| row.member).collect();
            if names.is_empty() { "–".to_owned() } else { names.join(", ") }
        };
        let (acts, stored, refused) = (of(Grade::Acts), of(Grade::Stored), of(Grade::Refused));
        writeln!(out, "| {} | `{}` | {acts} | {stored} | {refused} |", operation.name, operation.action)?;
        let noted = rows.iter().filter(|row| !row.note.is_empty());
        notes.extend(noted.map(|row| format!("- {}.{} ({}): {}", operation.name, row.member, row.grade, row.note)));
    }
    if !notes.is_empty() {
        writeln!(out, "\nNotes:\n\n{}", notes.join("\n"))?;
    }
    if !refused.is_empty() {
        let named = |row: &&Operation| match row.action.split_once(':') {
            Some((_, action)) if action == row.name => row.name.to_owned(),
            _ => format!("{} (`{}`)", row.name, row.action),
        };
        let names: Vec<_> = refused.iter().map(named).collect();
        let prefix = refused.iter().find_map(|row| row.action.split_once(':')).map_or("", |(prefix, _)| prefix);
        writeln!(
            out,
            "\nRefused by name with NotImplemented; the IAM action is `{}:` and the operation's name unless told: {}.",
            prefix,
            names.join(", ")
        )?;
    }
    Ok(())
}

/// Two services may name an operation alike, so each room's table meets only what that room registered.
fn grades(registered: &Registered) -> Grades {
    let mut grades = Grades::new();
    for (table, handled) in [
        (functions::GRADES, &registered.functions),
        (identity::GRADES, &registered.identity),
        (observe::GRADES, &registered.observe),
    ] {
        for row in table {
            for operation in handled.iter().filter(|operation| operation.name == row.operation) {
                grades.entry((operation.service.name, operation.name)).or_default().push(row);
            }
        }
    }
    grades
}

/// What each room handles.
struct Registered {
    functions: Vec<&'static Operation>,
    identity: Vec<&'static Operation>,
    observe: Vec<&'static Operation>,
}

impl Registered {
    fn iter(&self) -> impl Iterator<Item = &&'static Operation> {
        self.functions.iter().chain(&self.identity).chain(&self.observe)
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

/// Opens the rooms over memory and asks each what it registers: no socket, no sandbox.
async fn registered() -> anyhow::Result<Registered> {
    let folder = store::Folder::ephemeral()?;
    let kv = store::memory();
    let clocks: Arc<dyn base::Clocks> = Arc::new(SystemClocks);
    let rng: Arc<dyn base::Rng> = Arc::new(SystemRng);

    let options =
        identity::Options { kv: Arc::clone(&kv), clocks: Arc::clone(&clocks), rng: Arc::clone(&rng), loopback: true };
    let identity = Identity::open(options).await?;
    let (observe, _) =
        Observe::open(observe::Options { kv: Arc::clone(&kv), clocks: Arc::clone(&clocks), rng: Arc::clone(&rng) });
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
        invoker: invocations,
        interpreters: none.shared(),
        bootstraps: folder.run(),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::new(LocalBell::new()),
        gate: door::Gate::off(),
        keys: identity.clone(),
        loopback: true,
        allow_older_runtimes: false,
        authority: String::new(),
        account_concurrency: base::limits::ACCOUNT_CONCURRENCY,
        egress: Some(base::Egress::All),
    })?;

    let of = |builder: RouterBuilder| builder.build(door::Gate::off()).registered().to_vec();
    Ok(Registered {
        functions: of(functions::register(RouterBuilder::default(), &functions)),
        identity: of(identity::register(RouterBuilder::default(), &identity)),
        observe: of(observe::register(RouterBuilder::default(), &observe)),
    })
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_committed_table_is_what_the_command_prints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fidelity.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let printed = super::document().await.unwrap();
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
