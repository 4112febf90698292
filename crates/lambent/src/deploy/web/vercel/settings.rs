//! `vercel.json`: what of it is carried out, what says nothing here, and what is refused by name.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};

use super::pattern;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// There is a `vercel.json`.
    pub(crate) is_declared: bool,
    /// The folder of static files.
    pub(super) output: Option<String>,
    /// MB, the most that a function asks for.
    pub(crate) memory: Option<u32>,
    /// Seconds, the most that a function asks for.
    pub(crate) timeout: Option<u32>,
    /// `redirects`, `headers`, `rewrites`, `clean` and `slash`, for the router.
    pub(super) rules: Map<String, Value>,
    /// Keys that say nothing here.
    pub(super) unused: Vec<String>,
}

/// These are for editors, for the vendor's own hosts, or what is so anyway.
const UNUSED: &[&str] =
    &["regions", "functionFailoverRegions", "public", "fluid", "github", "git", "devCommand", "ignoreCommand"];

pub(super) fn read(directory: &Path) -> anyhow::Result<Settings> {
    let path = directory.join("vercel.json");
    if !path.exists() {
        return Ok(Settings::default());
    }
    let text = std::fs::read_to_string(&path)?;
    let value: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    of_json(&value).with_context(|| path.display().to_string())
}

fn of_json(value: &Value) -> anyhow::Result<Settings> {
    let mut settings = Settings { is_declared: true, ..Settings::default() };
    for (key, value) in value.as_object().context("it must be an object")? {
        match key.as_str() {
            "$schema" | "name" => {}
            "version" => ensure!(value == &json!(2), "version may be 2"),
            "rewrites" | "redirects" | "headers" => {
                let rules = value.as_array().with_context(|| format!("{key} must be a list"))?;
                let rules = rules.iter().map(|one| rule(key, one).with_context(|| format!("{key}: {one}")));
                settings.rules.insert(key.clone(), Value::Array(rules.collect::<anyhow::Result<_>>()?));
            }
            "cleanUrls" => {
                settings
                    .rules
                    .insert("clean".to_owned(), value.as_bool().context("cleanUrls is true or false")?.into());
            }
            "trailingSlash" => {
                let slash = value.as_bool().context("trailingSlash is true or false")?;
                settings.rules.insert("slash".to_owned(), slash.into());
            }
            "outputDirectory" if value.is_null() => {}
            "outputDirectory" => {
                let folder = value.as_str().context("outputDirectory must be a string")?;
                settings.output = Some(folder.trim_start_matches("./").trim_end_matches('/').to_owned());
            }
            "functions" => functions(&mut settings, value)?,
            "framework" | "buildCommand" | "installCommand" if value.is_null() || value == "" => {}
            "framework" | "buildCommand" => {
                bail!("{key} is not carried out here: build before you deploy, and take it out")
            }
            key if UNUSED.contains(&key) => settings.unused.push(key.to_owned()),
            key => bail!("{key} is not known here"),
        }
    }
    Ok(settings)
}

fn functions(settings: &mut Settings, value: &Value) -> anyhow::Result<()> {
    for (file, wants) in value.as_object().context("functions must be an object")? {
        for (key, value) in wants.as_object().with_context(|| format!("functions.{file} must be an object"))? {
            let number = || {
                let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
                number.with_context(|| format!("functions.{file}.{key} must be a whole number"))
            };
            // One function serves them all, so it gets the most that any asks for.
            match key.as_str() {
                "memory" => settings.memory = settings.memory.max(Some(number()?)),
                "maxDuration" => settings.timeout = settings.timeout.max(Some(number()?)),
                key => bail!("functions.{file}.{key} is not known here"),
            }
        }
    }
    Ok(())
}

/// One rule as the router reads it.
fn rule(kind: &str, value: &Value) -> anyhow::Result<Value> {
    let allowed: &[&str] = match kind {
        "redirects" => &["source", "destination", "permanent", "statusCode", "has", "missing"],
        "rewrites" => &["source", "destination", "has", "missing"],
        _ => &["source", "headers", "has", "missing"],
    };
    let rule = value.as_object().context("a rule must be an object")?;
    if let Some(key) = rule.keys().find(|key| !allowed.contains(&key.as_str())) {
        bail!("{key} is not known here");
    }
    let pattern = pattern::compile(rule.get("source").and_then(Value::as_str).context("source is missing")?)?;
    let mut out = json!({ "source": pattern.regex, "names": pattern.names });
    for key in ["has", "missing"] {
        let conditions = match rule.get(key) {
            Some(value) => value.as_array().with_context(|| format!("{key} must be a list"))?.as_slice(),
            None => &[],
        };
        out[key] = conditions.iter().map(condition).collect::<anyhow::Result<Vec<_>>>()?.into();
    }
    if kind == "headers" {
        let headers = rule.get("headers").and_then(Value::as_array).context("headers must be a list")?;
        let pair = |one: &Value| Some(json!([one["key"].as_str()?, one["value"].as_str()?]));
        let pairs: Option<Vec<Value>> = headers.iter().map(pair).collect();
        out["headers"] = pairs.context("a header has a key and a value")?.into();
        return Ok(out);
    }
    let to = rule.get("destination").and_then(Value::as_str).context("destination is missing")?;
    if kind == "rewrites" {
        ensure!(
            to.starts_with('/'),
            "a rewrite leads to a path of this folder; requests are not passed on to other hosts"
        );
    } else {
        let status = match (rule.get("permanent"), rule.get("statusCode")) {
            (Some(_), Some(_)) => bail!("permanent and statusCode exclude each other"),
            (Some(permanent), None) if permanent.as_bool() == Some(false) => 307,
            (Some(Value::Bool(true)), None) | (None, None) => 308,
            (_, Some(status)) => status
                .as_u64()
                .filter(|n| [301, 302, 303, 307, 308].contains(n))
                .context("statusCode may be 301, 302, 303, 307 or 308")?,
            (Some(_), None) => bail!("permanent is true or false"),
        };
        out["status"] = status.into();
    }
    out["to"] = to.into();
    Ok(out)
}

fn condition(value: &Value) -> anyhow::Result<Value> {
    let kind = value["type"].as_str().context("a condition has a type")?;
    let key = value["key"].as_str();
    ensure!(
        ["header", "cookie", "query", "host"].contains(&kind),
        "a condition's type may be header, cookie, query or host"
    );
    ensure!(
        key.is_some() != (kind == "host"),
        "a condition of the type {kind} has {} key",
        if key.is_some() { "no" } else { "a" }
    );
    let wanted = match &value["value"] {
        Value::Null => None,
        Value::String(text) => Some(text.as_str()),
        _ => bail!("a condition's value is an expression, as a string"),
    };
    ensure!(kind != "host" || wanted.is_some(), "a condition of the type host has a value");
    ensure!(!wanted.is_some_and(|text| text.contains("(?<")), "named groups in conditions are not read here");
    Ok(json!({ "type": kind, "key": key, "value": wanted }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_out_is_read() {
        let settings = of_json(&json!({
            "$schema": "x", "version": 2, "regions": ["fra1"], "cleanUrls": true, "trailingSlash": false, "outputDirectory": "./dist/",
            "functions": {"api/a.js": {"memory": 512, "maxDuration": 10}, "api/b.js": {"maxDuration": 30}},
            "redirects": [{"source": "/old/:x", "destination": "/new/:x"}, {"source": "/t", "destination": "https://e.example/", "permanent": false}],
            "headers": [{"source": "/(.*)", "headers": [{"key": "x-a", "value": "b"}], "has": [{"type": "header", "key": "x-b"}]}],
        }));
        let settings = settings.unwrap();
        assert_eq!(
            (settings.memory, settings.timeout, settings.output.as_deref()),
            (Some(512), Some(30), Some("dist"))
        );
        assert_eq!(settings.unused, ["regions"]);
        assert_eq!(settings.rules["redirects"][0]["status"], 308);
        assert_eq!(settings.rules["redirects"][1]["status"], 307);
        assert_eq!(settings.rules["headers"][0]["headers"], json!([["x-a", "b"]]));
    }

    #[test]
    fn what_is_not_is_refused_by_name() {
        for (value, word) in [
            (json!({"crons": []}), "crons"),
            (json!({"routes": []}), "routes"),
            (json!({"framework": "nextjs"}), "framework"),
            (json!({"functions": {"api/a.js": {"runtime": "x"}}}), "api/a.js.runtime"),
            (json!({"rewrites": [{"source": "/a", "destination": "https://e.example"}]}), "other hosts"),
            (json!({"rewrites": [{"source": "/a", "destination": "/b", "statusCode": 404}]}), "statusCode"),
            (json!({"redirects": [{"source": "/a", "destination": "/b", "statusCode": 200}]}), "statusCode"),
            (json!({"redirects": [{"source": "/a", "destination": "/b", "has": [{"type": "ip"}]}]}), "type"),
            (
                json!({"redirects": [{"source": "/a", "destination": "/b", "missing": [{"type": "host", "key": "x"}]}]}),
                "no key",
            ),
            (json!([]), "object"),
        ] {
            let error = format!("{:#}", of_json(&value).unwrap_err());
            assert!(error.contains(word), "{value}: {error}");
        }
    }
}
