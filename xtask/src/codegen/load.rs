//! Finds botocore's data and reads one service's allowed part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::names::screaming;

/// One allowed operation.
pub(crate) struct Allowed {
    pub(crate) name: String,
    pub(crate) action: Option<String>,
    pub(crate) resource: String,
}

/// One service, read.
pub(crate) struct Service {
    pub(crate) module: String,
    /// What its IAM actions begin with, if it is not the name that requests are signed with.
    pub(crate) prefix: Option<String>,
    pub(crate) metadata: Value,
    pub(crate) operations: Vec<(Allowed, Value)>,
    /// The operations that AWS has and the list does not name.
    pub(crate) others: Vec<(String, Value)>,
    /// The XML namespace of the service's bodies.
    pub(crate) namespace: String,
    /// Reachable shapes by AWS's name.
    pub(crate) shapes: BTreeMap<String, Value>,
    /// Reachable error shapes.
    pub(crate) errors: BTreeSet<String>,
    /// The names of the shapes' statics, where two differ in case only or one is called like the service's own row.
    renamed: BTreeMap<String, String>,
}

impl Service {
    /// The static of a shape.
    pub(crate) fn row(&self, shape: &str) -> String {
        self.renamed.get(shape).cloned().unwrap_or_else(|| screaming(shape))
    }

    /// Whether a structure needs a Rust type: an error is a row and a fault, unless a message of an event stream holds it.
    pub(crate) fn is_typed(&self, name: &str) -> bool {
        let holds = |shape: &Value| {
            let members = shape["members"].as_object().into_iter().flat_map(|all| all.values());
            members.chain(["member", "value"].map(|part| &shape[part])).any(|part| part["shape"] == name)
        };
        let others = || self.shapes.iter().filter(|(owner, _)| !self.errors.contains(*owner));
        !self.errors.contains(name) || others().any(|(_, shape)| holds(shape))
    }

    /// Gives each shape a static of its own.
    fn rename(&mut self) {
        let mut taken = BTreeSet::from(["SERVICE".to_owned()]);
        for name in self.shapes.keys() {
            let mut row = screaming(name);
            if taken.contains(&row) {
                row.push('_');
                self.renamed.insert(name.clone(), row.clone());
            }
            taken.insert(row);
        }
    }
}

/// The folder `botocore/data` of the pinned release, fetched by pip into `target/` once.
pub(crate) fn botocore(root: &Path, version: &str) -> anyhow::Result<PathBuf> {
    let folder = root.join(format!("target/botocore-{version}"));
    let data = folder.join("botocore/data");
    if !data.exists() {
        let pip = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
            .arg(&folder)
            .arg(format!("botocore=={version}"))
            .status()
            .context("codegen needs python3 with pip to fetch botocore")?;
        ensure!(pip.success(), "pip could not fetch botocore {version}");
    }
    Ok(data)
}

/// Reads the service that the allow-list names.
pub(crate) fn service(data: &Path, list: &Path) -> anyhow::Result<Service> {
    let list: Value = serde_json::from_str(&fs::read_to_string(list)?)?;
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned).context(format!("'{key}' is missing"));
    let file = data.join(text(&list, "directory")?).join("service-2.json.gz");
    let mut json = String::new();
    flate2::read::GzDecoder::new(fs::File::open(&file).with_context(|| file.display().to_string())?)
        .read_to_string(&mut json)?;
    let mut api: Value = serde_json::from_str(&json)?;
    if list["patch"].is_object() {
        merge(&mut api, &list["patch"]);
    }
    let mut operations = Vec::new();
    for (name, row) in list["operations"].as_object().context("'operations' is missing")? {
        let operation = api["operations"].get(name).with_context(|| format!("no operation {name} in the model"))?;
        let action = row["action"].as_str().map(str::to_owned);
        operations.push((Allowed { name: name.clone(), action, resource: text(row, "resource")? }, operation.clone()));
    }
    operations.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    let all = api["operations"].as_object().context("'operations' is missing")?;
    let mut others: Vec<_> = all
        .iter()
        .filter(|(name, _)| !operations.iter().any(|(allowed, _)| allowed.name == **name))
        .map(|(name, row)| {
            let mut http = row["http"].clone();
            let place = place(row, &api["shapes"]);
            http["requestUri"] = place.into();
            (name.clone(), http)
        })
        .collect();
    others.sort_by(|a, b| a.0.cmp(&b.0));
    let mut service = Service {
        module: text(&list, "module")?,
        prefix: list["prefix"].as_str().map(str::to_owned),
        metadata: api["metadata"].clone(),
        operations,
        others,
        namespace: namespace(&api),
        shapes: BTreeMap::new(),
        errors: BTreeSet::new(),
        renamed: BTreeMap::new(),
    };
    reach(&mut service, &api["shapes"]);
    service.rename();
    Ok(service)
}

/// Adds to a service's model what AWS's own leaves out, such as a protocol that it no longer names and still speaks.
fn merge(model: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *model = patch.clone();
        return;
    };
    for (name, patch) in members {
        merge(&mut model[name], patch);
    }
}

/// The path template of an operation, with the parameters and, after `#`, the headers that it needs: what tells it from
/// others at the same path.
fn place(operation: &Value, shapes: &Value) -> String {
    let mut place = operation["http"]["requestUri"].as_str().unwrap_or("/").to_owned();
    let input = &shapes[operation["input"]["shape"].as_str().unwrap_or_default()];
    let needed = |location: &str| -> Vec<&str> {
        let names = input["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let members = names.map(|name| (name, &input["members"][name]));
        let here = members.filter(|(_, member)| member["location"] == location);
        here.map(|(name, member)| member["locationName"].as_str().unwrap_or(name)).collect()
    };
    for name in needed("querystring") {
        place.push(if place.contains('?') { '&' } else { '?' });
        place.push_str(name);
    }
    let headers = needed("header");
    if !headers.is_empty() {
        place.push('#');
        place.push_str(&headers.join(","));
    }
    place
}

/// The service's namespace where its metadata says it, else the first that an input declares.
fn namespace(api: &Value) -> String {
    if let Some(found) = api["metadata"]["xmlNamespace"].as_str() {
        return found.to_owned();
    }
    let inputs = api["operations"].as_object().into_iter().flatten().map(|(_, operation)| &operation["input"]);
    let members = api["shapes"].as_object().into_iter().flatten().flat_map(|(_, shape)| {
        let payload = shape["payload"].as_str();
        payload.map(|name| &shape["members"][name])
    });
    inputs.chain(members).find_map(|place| place["xmlNamespace"]["uri"].as_str()).unwrap_or_default().to_owned()
}

/// Collects every shape that the allowed operations reach.
fn reach(service: &mut Service, all: &Value) {
    let mut todo: Vec<String> = Vec::new();
    for (_, operation) in &service.operations {
        for side in ["input", "output"] {
            todo.extend(operation[side]["shape"].as_str().map(str::to_owned));
        }
        for error in operation["errors"].as_array().into_iter().flatten() {
            let name = error["shape"].as_str().unwrap_or_default().to_owned();
            service.errors.insert(name.clone());
            todo.push(name);
        }
    }
    while let Some(name) = todo.pop() {
        if service.shapes.contains_key(&name) {
            continue;
        }
        let shape = all[&name].clone();
        for member in shape["members"].as_object().into_iter().flat_map(|members| members.values()) {
            todo.extend(member["shape"].as_str().map(str::to_owned));
        }
        for part in ["member", "key", "value"] {
            todo.extend(shape[part]["shape"].as_str().map(str::to_owned));
        }
        service.shapes.insert(name, shape);
    }
}
