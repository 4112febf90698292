//! What the policies must know of functions: their real ARNs, their own policies, their tags.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Lambda", and AWS Lambda
//! Developer Guide, "Control access to Lambda function URLs".

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use base::{Fault, Principal, Region};
use door::{About, Ask, AuthContext, ConditionKeys, Mode, Need, SiteRequest, Subject, Visit};
use model::lambda::{self as aws, ops};
use wire::Op;

use crate::Functions;
use crate::aws::document;
use crate::layer::{self, Layer};
use crate::name::{self, Address, LATEST};
use crate::signing;
use crate::state::Home;
use crate::target::Behind;
use crate::types::{EventInvoke, Function, UrlAuth};

/// To whom functions' roles are passed.
pub(crate) const SERVICE: &str = "lambda.amazonaws.com";

impl AuthContext for Functions {
    fn about(&self, subject: &Subject<'_>) -> About {
        let mut about = About { keys: of_input(subject), ..About::default() };
        if let Some((layer, version)) = layer_meant(subject) {
            let found = version.and_then(|version| self.state.layer_version(&layer, version).ok().flatten());
            about.policy = found.and_then(|found| found.document()).map(Into::into);
            about.resource = Some(version.map_or_else(|| layer.arn(), |version| layer.version_arn(version)));
            return about;
        }
        if let Some(keys) = self.signing_tags(subject) {
            about.keys.extend(keys);
        }
        let Some((address, qualifier)) = self.meant(subject) else { return about };
        let resource = address.qualified(qualifier.as_deref());
        if let Some(access) = self.state.access(&address).ok().flatten() {
            about.policy = access.policy(qualifier.as_deref());
            about.keys.extend(access.keys.iter().cloned());
        }
        about.also.extend(passed_role(subject, &address));
        about.also.extend(self.given_signing(subject));
        about.also.extend(layers(subject).iter().map(|arn| self.layer_need(arn)));
        about.resource = Some(resource);
        about
    }
}

impl Functions {
    /// The function an input names, and which of its versions.
    fn meant(&self, subject: &Subject<'_>) -> Option<(Address, Option<String>)> {
        let text = match subject.text("FunctionName") {
            Some(text) if !subject.operation.name.contains("EventSourceMapping") => text,
            _ => subject.text("Resource").filter(|arn| arn.contains(":function:"))?,
        };
        let qualifier = subject.text("Qualifier");
        let named = name::resolve(subject.account(), subject.region, &text, qualifier.as_deref()).ok()?;
        Some((named.address, named.qualifier))
    }

    /// The keys of the tags of the code signing configuration that a call is about.
    fn signing_tags(&self, subject: &Subject<'_>) -> Option<ConditionKeys> {
        if subject.text("FunctionName").is_some() {
            return None;
        }
        self.tags_of_signing_named(subject, &subject.text("CodeSigningConfigArn").or_else(|| subject.text("Resource"))?)
    }

    /// Who gives a function a code signing configuration must be allowed to use that, too.
    fn given_signing(&self, subject: &Subject<'_>) -> Option<Need> {
        let resource = subject.text("CodeSigningConfigArn")?;
        if subject.operation.name != "PutFunctionCodeSigningConfig" {
            return None;
        }
        let mut keys = of_input(subject);
        keys.extend(self.tags_of_signing_named(subject, &resource).unwrap_or_default());
        Some(Need {
            action: "lambda:PutFunctionCodeSigningConfig",
            resource,
            keys,
            owner: None,
            policy: None,
            trust: false,
        })
    }

    /// The keys of the tags of a code signing configuration of the caller's.
    fn tags_of_signing_named(&self, subject: &Subject<'_>, arn: &str) -> Option<ConditionKeys> {
        let home = Home { account: subject.account(), region: subject.region.clone() };
        let id = signing::named_by(home.account, &home.region, arn)?;
        let tags = self.state.signing(&home, &id).ok()??.tags;
        Some(tags.into_iter().map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value])).collect())
    }

    /// Who gives a function a layer must be allowed to read it.
    /// Source: AWS Lambda Developer Guide, "Granting Lambda layer access to other accounts".
    fn layer_need(&self, arn: &str) -> Need {
        let found =
            layer::parse(arn).and_then(|(layer, version)| self.state.layer_version(&layer, version?).ok().flatten());
        let policy = found.and_then(|found| found.document()).map(Into::into);
        Need {
            action: "lambda:GetLayerVersion",
            resource: arn.to_owned(),
            keys: Vec::new(),
            owner: None,
            policy,
            trust: false,
        }
    }

    /// Whether a function URL lets a request in. Both permissions are needed, since October 2025.
    pub(crate) fn lets_in(&self, behind: &Behind, request: &SiteRequest) -> bool {
        let Behind { named, url, open } = behind;
        let (gate, address) = (&self.options.gate, &named.address);
        let signed = request.principal != Principal::Anonymous;
        let by_account = signed && request.principal.account() == address.account;
        let anonymous = Principal::Anonymous;
        let principal = match url.auth {
            UrlAuth::Iam if !signed => return false,
            // Where policies do not decide, the function's own account does.
            UrlAuth::Iam if !by_account && gate.mode() != Mode::Enforce => return false,
            UrlAuth::Iam => &request.principal,
            // Nobody's signature counts where none is asked for.
            UrlAuth::None => &anonymous,
        };
        let resource = address.qualified(named.qualifier.as_deref());
        let access = self.state.access(address).ok().flatten();
        let policy = access.as_ref().and_then(|access| access.policy(named.qualifier.as_deref()));
        // A function's policy has no conditions on the moment, the connection or the tags: strangers are let in as the last was.
        let for_all = policy.as_ref().filter(|_| url.auth == UrlAuth::None);
        let known = open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if for_all.zip(known).is_some_and(|(policy, known)| Arc::ptr_eq(policy, &known)) {
            return true;
        }
        let keys = || {
            let mut keys = gate.keys(&request.origin, principal, &address.region);
            keys.push(("lambda:FunctionUrlAuthType".into(), vec![url.auth.as_str().into()]));
            keys.push(("lambda:InvokedViaFunctionUrl".into(), vec!["true".into()]));
            keys.extend(access.iter().flat_map(|access| access.keys.iter().cloned()));
            keys
        };
        let let_in = ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"].iter().all(|action| {
            let ask = Ask {
                principal,
                key_id: request.origin.key_id.as_deref(),
                action,
                resource: &resource,
                owner: Some(address.account),
                policy: policy.as_deref(),
                trust: false,
                keys: &keys,
            };
            let decided = gate.authorise(&ask, request.request_id);
            if let Err(denial) = &decided {
                let visit = Visit { origin: &request.origin, region: &address.region, request: request.request_id };
                gate.record(ops::Invoke::ROW, &ask, &visit, denial);
            }
            decided.is_ok()
        });
        *open.lock().unwrap_or_else(PoisonError::into_inner) = for_all.filter(|_| let_in).cloned();
        let_in
    }
}

/// The keys that Lambda's own inputs give.
fn of_input(subject: &Subject<'_>) -> ConditionKeys {
    let mut keys = ConditionKeys::new();
    let operation = subject.operation.name;
    let mut put = |key: &str, value: Option<String>| keys.extend(value.map(|value| (key.to_owned(), vec![value])));
    if operation.ends_with("FunctionUrlConfig") {
        put("lambda:FunctionUrlAuthType", subject.text("AuthType"));
    }
    if matches!(operation, "CreateFunction" | "PutFunctionCodeSigningConfig") {
        put("lambda:CodeSigningConfigArn", subject.text("CodeSigningConfigArn"));
    }
    if operation == "AddPermission" {
        put("lambda:Principal", subject.text("Principal"));
        put("lambda:FunctionUrlAuthType", subject.text("FunctionUrlAuthType"));
    }
    if operation.contains("EventSourceMapping") {
        let function = subject.text("FunctionName");
        put("lambda:FunctionArn", function.and_then(|text| arn(&text, subject, subject.region)));
    }
    keys
}

/// The layer a call is about, and which of its versions.
fn layer_meant(subject: &Subject<'_>) -> Option<(Layer, Option<u64>)> {
    if let Some(arn) = subject.text("Arn").filter(|_| subject.operation.name == "GetLayerVersionByArn") {
        return layer::parse(&arn);
    }
    let name = subject.text("LayerName").filter(|_| subject.operation.resource != "*")?;
    // From its member: where the layer is named by its ARN, the template's resource is that ARN alone.
    let version = subject.text("VersionNumber").and_then(|version| version.parse().ok());
    Some((layer::resolve(subject.account(), subject.region, &name).ok()?, version))
}

/// The layers a call gives a function.
fn layers(subject: &Subject<'_>) -> Vec<String> {
    let input: &dyn Any = subject.input;
    let created = input.downcast_ref::<aws::CreateFunctionRequest>().and_then(|input| input.layers.clone());
    let changed =
        input.downcast_ref::<aws::UpdateFunctionConfigurationRequest>().and_then(|input| input.layers.clone());
    created.or(changed).unwrap_or_default()
}

fn arn(text: &str, subject: &Subject<'_>, region: &Region) -> Option<String> {
    let named = name::resolve(subject.account(), region, text, None).ok()?;
    Some(named.address.qualified(named.qualifier.as_deref()))
}

/// What policies must know of a function.
#[derive(Debug)]
pub(crate) struct Access {
    // By qualifier: each has a policy of its own.
    policies: Vec<(Option<String>, Arc<str>)>,
    // `aws:ResourceTag/…`
    keys: ConditionKeys,
    // By qualifier. Every asynchronous event asks, too.
    event_invoke: BTreeMap<String, EventInvoke>,
}

impl Access {
    fn of(function: &Function) -> Self {
        let mut qualifiers: Vec<_> = function.policy.iter().map(|statement| statement.qualifier.clone()).collect();
        qualifiers.sort();
        qualifiers.dedup();
        let policies = qualifiers.into_iter().filter_map(|qualifier| {
            let document = document(function, qualifier.as_deref())?;
            Some((qualifier, document.into()))
        });
        let tags = function.tags.iter();
        Self {
            policies: policies.collect(),
            keys: tags.map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value.clone()])).collect(),
            event_invoke: function.event_invoke.clone(),
        }
    }

    /// How asynchronous invocations of a qualifier end.
    pub(crate) fn event_invoke(&self, qualifier: Option<&str>) -> EventInvoke {
        self.event_invoke.get(qualifier.unwrap_or(LATEST)).cloned().unwrap_or_default()
    }

    fn policy(&self, qualifier: Option<&str>) -> Option<Arc<str>> {
        let found = self.policies.iter().find(|(of, _)| of.as_deref() == qualifier);
        found.map(|(_, document)| Arc::clone(document))
    }
}

/// [`Access`] of functions asked for lately.
#[derive(Default)]
pub(crate) struct Remembered(RwLock<Memory>);

#[derive(Default)]
struct Memory {
    // Counts changes: what was read before one must not be kept after it.
    version: u64,
    known: HashMap<Address, Arc<Access>>,
}

/// Functions remembered at most; beyond it all are forgotten.
const MOST: usize = 10_000;

impl Remembered {
    pub(crate) fn get(
        &self,
        address: &Address,
        read: impl FnOnce() -> Result<Option<Function>, Fault>,
    ) -> Result<Option<Arc<Access>>, Fault> {
        let version = {
            let memory = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = memory.known.get(address) {
                return Ok(Some(Arc::clone(known)));
            }
            memory.version
        };
        let Some(function) = read()? else { return Ok(None) };
        let access = Arc::new(Access::of(&function));
        let mut memory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if memory.known.len() >= MOST {
            memory.known.clear();
        }
        if memory.version == version {
            memory.known.insert(address.clone(), Arc::clone(&access));
        }
        Ok(Some(access))
    }

    pub(crate) fn forget(&self, address: &Address) {
        let mut memory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        memory.version += 1;
        memory.known.remove(address);
    }
}

/// Who gives a function a role must be allowed to pass it.
/// Source: IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
fn passed_role(subject: &Subject<'_>, address: &Address) -> Option<Need> {
    let passes = matches!(subject.operation.name, "CreateFunction" | "UpdateFunctionConfiguration");
    let resource = if passes { subject.text("Role")? } else { return None };
    let keys = vec![
        ("iam:PassedToService".to_owned(), vec![SERVICE.to_owned()]),
        ("iam:AssociatedResourceArn".to_owned(), vec![address.arn()]),
    ];
    Some(Need { action: "iam:PassRole", resource, keys, owner: None, policy: None, trust: false })
}
