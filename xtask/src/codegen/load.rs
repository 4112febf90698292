//! Finds botocore's data and reads one service's allowed part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

/// One allowed operation.
pub(crate) struct Allowed {
    pub(crate) name: String,
    pub(crate) action: Option<String>,
    pub(crate) resource: String,
}

/// One service, read.
pub(crate) struct Service {
    pub(crate) module: String,
    pub(crate) metadata: Value,
    pub(crate) operations: Vec<(Allowed, Value)>,
    /// Reachable shapes by AWS's name.
    pub(crate) shapes: BTreeMap<String, Value>,
    /// Reachable error shapes.
    pub(crate) errors: BTreeSet<String>,
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
    let api: Value = serde_json::from_str(&json)?;
    let mut operations = Vec::new();
    for (name, row) in list["operations"].as_object().context("'operations' is missing")? {
        let operation = api["operations"].get(name).with_context(|| format!("no operation {name} in the model"))?;
        let action = row["action"].as_str().map(str::to_owned);
        operations.push((Allowed { name: name.clone(), action, resource: text(row, "resource")? }, operation.clone()));
    }
    operations.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    let mut service = Service {
        module: text(&list, "module")?,
        metadata: api["metadata"].clone(),
        operations,
        shapes: BTreeMap::new(),
        errors: BTreeSet::new(),
    };
    reach(&mut service, &api["shapes"]);
    Ok(service)
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
