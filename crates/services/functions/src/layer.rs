//! Layers: how callers name them, what a version of one is, and which of them a function may use together.

use std::fmt;

use base::{Account, Fault, Region};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::faults;
use crate::types::{Code, Statement};

/// Most layers of one function. Source: AWS Lambda quotas.
const OF_ONE_FUNCTION: usize = 5;

/// Where a layer is: what its ARN says without a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Layer {
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) name: String,
}

impl Layer {
    pub(crate) fn arn(&self) -> String {
        self.to_string()
    }

    pub(crate) fn version_arn(&self, version: u64) -> String {
        format!("{self}:{version}")
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:lambda:{}:{}:layer:{}", self.region, self.account, self.name)
    }
}

/// Resolves what a caller wrote in `LayerName`: a name of its own account, or an ARN.
///
/// # Errors
/// AWS's words for a layer of another region.
pub(crate) fn resolve(account: Account, region: &Region, text: &str) -> Result<Layer, Fault> {
    let Some((layer, _)) = parse(text) else {
        return Ok(Layer { account, region: region.clone(), name: text.to_owned() });
    };
    if layer.region != *region {
        return Err(faults::not_found(format!(
            "Layers from '{}' are not reachable in this region ('{region}')",
            layer.region
        )));
    }
    Ok(layer)
}

/// The layer and the version that an ARN names; none when it is no layer's, or spelt otherwise than AWS spells it: a policy
/// must see the same text that names the layer.
pub(crate) fn parse(arn: &str) -> Option<(Layer, Option<u64>)> {
    let mut parts = arn.split(':');
    let head = [parts.next()?, parts.next()?, parts.next()?];
    let (region, account, kind, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if head[0] != "arn" || head[2] != "lambda" || kind != "layer" || name.is_empty() {
        return None;
    }
    let version = match parts.next() {
        Some(version) => Some(version.parse().ok()?),
        None => None,
    };
    let layer = Layer { account: account.parse().ok()?, region: region.parse().ok()?, name: name.to_owned() };
    let spelt = version.map_or_else(|| layer.arn(), |version| layer.version_arn(version));
    (spelt == arn).then_some((layer, version))
}

/// The layers a function asks for, taken apart: at most five, no layer twice, all of the function's region.
///
/// # Errors
/// AWS's words for each of these; that an ARN names no layer there could be.
pub(crate) fn wanted(region: &Region, arns: &[String]) -> Result<Vec<(Layer, u64)>, Fault> {
    if arns.len() > OF_ONE_FUNCTION {
        return Err(faults::invalid(format!("Cannot reference more than {OF_ONE_FUNCTION} layers.")));
    }
    let mut wanted: Vec<(Layer, u64)> = Vec::new();
    for arn in arns {
        let Some((layer, Some(version))) = parse(arn) else { return Err(missing(arn)) };
        if layer.region != *region {
            return Err(faults::invalid(format!(
                "Layers are not in the same region as the function. Layers are expected to be in region {region}."
            )));
        }
        if let Some((same, other)) = wanted.iter().find(|(other, _)| *other == layer) {
            return Err(faults::invalid(format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. \
                 {} and {arn} are versions of the same layer.",
                same.version_arn(*other)
            )));
        }
        wanted.push((layer, version));
    }
    Ok(wanted)
}

/// A layer version that a function names and that is not there.
pub(crate) fn missing(arn: &str) -> Fault {
    faults::invalid(format!("Layer version {arn} does not exist."))
}

/// A layer version: its row in the store. Only its policy ever changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerVersion {
    /// Its zip.
    pub(crate) code: Code,
    /// Free text.
    #[serde(default)]
    pub(crate) description: String,
    /// Free text about its licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) license: Option<String>,
    /// The runtimes its owner says it is for; AWS does not hold functions to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) runtimes: Vec<String>,
    /// The architectures its owner says it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) architectures: Vec<String>,
    /// Product time, ms since the epoch.
    pub(crate) created_ms: i64,
    /// Which other accounts may use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) policy: Vec<Statement>,
    /// Changes with every change of the policy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) policy_revision: String,
}

impl LayerVersion {
    /// Whether it is listed when these are asked for.
    pub(crate) fn matches(&self, runtime: Option<&str>, architecture: Option<&str>) -> bool {
        let among =
            |all: &[String], wanted: Option<&str>| wanted.is_none_or(|wanted| all.iter().any(|one| one == wanted));
        among(&self.runtimes, runtime) && among(&self.architectures, architecture)
    }

    /// The policy as JSON; none without statements.
    pub(crate) fn document(&self) -> Option<String> {
        let statements: Vec<&str> = self.policy.iter().map(|statement| statement.json.as_str()).collect();
        if statements.is_empty() {
            return None;
        }
        let statements = statements.join(",");
        Some(format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statements}]}}"#))
    }

    /// Whether the policy lets an account other than the owner's use it. A statement for an organization lets nobody
    /// in: no account here is in one.
    pub(crate) fn lets_in(&self, account: Account) -> bool {
        let root = format!("arn:aws:iam::{account}:root");
        self.policy.iter().any(|statement| {
            let Ok(statement) = serde_json::from_str::<Value>(&statement.json) else { return false };
            let principal = &statement["Principal"];
            statement.get("Condition").is_none() && (principal == "*" || principal["AWS"] == root.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(name: &str, version: u64) -> String {
        format!("arn:aws:lambda:us-east-1:000000000000:layer:{name}:{version}")
    }

    #[test]
    fn a_layer_is_named_by_name_or_arn() {
        let (account, region) = (Account::DEFAULT, Region::default_region());
        let named = resolve(account, &region, "libs").unwrap();
        assert_eq!(resolve(account, &region, &named.arn()), Ok(named.clone()));
        assert_eq!(parse(&arn("libs", 7)), Some((named, Some(7))));
        for other in ["libs", "arn:aws:lambda:us-east-1:000000000000:function:libs", "arn:aws:lambda:::awslayer:A", ""]
        {
            assert_eq!(parse(other), None, "{other}");
        }
        let elsewhere = "arn:aws:lambda:eu-west-1:000000000000:layer:libs";
        assert_eq!(resolve(account, &region, elsewhere).unwrap_err().code, "ResourceNotFoundException");
    }

    #[test]
    fn five_different_layers_of_the_region_go_together() {
        let region = Region::default_region();
        let told = |arns: &[String]| wanted(&region, arns).map_err(|fault| fault.message);
        let five: Vec<String> = (0..5).map(|n| arn(&format!("l{n}"), 1)).collect();
        assert_eq!(told(&five).unwrap().len(), 5);
        let six: Vec<String> = (0..6).map(|n| arn(&format!("l{n}"), 1)).collect();
        assert_eq!(told(&six).unwrap_err(), "Cannot reference more than 5 layers.");
        let (one, two) = (arn("libs", 1), arn("libs", 2));
        assert_eq!(
            told(&[one.clone(), two.clone()]).unwrap_err(),
            format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. {one} and \
                 {two} are versions of the same layer."
            )
        );
        assert_eq!(
            told(&["arn:aws:lambda:eu-west-1:000000000000:layer:libs:1".into()]).unwrap_err(),
            "Layers are not in the same region as the function. Layers are expected to be in region us-east-1."
        );
        assert_eq!(
            told(&["arn:aws:lambda:::awslayer:AmazonLinux1803".into()]).unwrap_err(),
            "Layer version arn:aws:lambda:::awslayer:AmazonLinux1803 does not exist."
        );
    }

    #[test]
    fn a_policy_lets_in_whom_it_names() {
        let other: Account = "111111111111".parse().unwrap();
        let with = |json: &str| LayerVersion {
            code: Code { sha256: String::new(), size_bytes: 0 },
            description: String::new(),
            license: None,
            runtimes: Vec::new(),
            architectures: Vec::new(),
            created_ms: 0,
            policy: vec![Statement { id: "s".into(), qualifier: None, json: json.into() }],
            policy_revision: String::new(),
        };
        assert!(with(r#"{"Principal":"*"}"#).lets_in(other));
        assert!(with(r#"{"Principal":{"AWS":"arn:aws:iam::111111111111:root"}}"#).lets_in(other));
        assert!(!with(r#"{"Principal":{"AWS":"arn:aws:iam::222222222222:root"}}"#).lets_in(other));
        assert!(!with(r#"{"Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}"#).lets_in(other));
        assert!(!with("").lets_in(other));
    }
}
