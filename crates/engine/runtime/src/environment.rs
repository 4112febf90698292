//! The environment variables of a function.
//! Source: AWS Lambda developer guide, "Defined runtime environment variables".

use std::collections::BTreeMap;

use crate::{Family, Interpreter, Runtime};

/// Names that the platform sets and a function's configuration may not.
const RESERVED: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

/// Whether a function's configuration may not set this variable.
pub fn reserved(name: &str) -> bool {
    RESERVED.binary_search(&name).is_ok()
}

/// What AWS answers (InvalidParameterValueException) when a configuration sets reserved variables. `None` when it sets
/// none of them.
pub fn reserved_refusal<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let used: Vec<&str> = names.into_iter().filter(|name| reserved(name)).collect();
    (!used.is_empty()).then(|| {
        format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            used.join(", ")
        )
    })
}

/// What the variables of a function are made from.
#[derive(Debug, Clone, Copy)]
pub struct FunctionEnv<'a> {
    /// Its name.
    pub name: &'a str,
    /// `$LATEST` or a number.
    pub version: &'a str,
    /// MiB.
    pub memory_mb: u32,
    /// Its region.
    pub region: &'a str,
    /// For example `/aws/lambda/hello`.
    pub log_group: &'a str,
    /// Where the runtime finds the code's entry.
    pub handler: &'a str,
    /// The runtime that was asked for.
    pub runtime: Runtime,
    /// What serves it: its folder comes first in `PATH`. None for a custom runtime.
    pub interpreter: Option<&'a Interpreter>,
    /// `JSON`, or none for text (`LoggingConfig.LogFormat`).
    pub log_format: Option<&'a str>,
    /// The least level that is logged (`LoggingConfig.ApplicationLogLevel`).
    pub log_level: Option<&'a str>,
    /// The function's own. They win over those that are not reserved.
    pub variables: Option<&'a BTreeMap<String, String>>,
}

/// The variables that every environment of the function version shares. Those that differ come from whoever starts one:
/// `AWS_LAMBDA_RUNTIME_API`, `AWS_LAMBDA_LOG_STREAM_NAME`, the credentials `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`
/// and `AWS_SESSION_TOKEN`, and `AWS_ENDPOINT_URL` unless the function sets it. The bootstraps set `_X_AMZN_TRACE_ID` for
/// each invocation.
///
/// Reserved names among the function's own are left out: [`reserved_refusal`] has refused them before.
pub fn environment(function: &FunctionEnv<'_>) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = defaults(function).into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let own = function.variables.into_iter().flatten().filter(|(name, _)| !reserved(name));
    all.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    all.into_iter().collect()
}

fn defaults(function: &FunctionEnv<'_>) -> Vec<(&'static str, String)> {
    let mut set = vec![
        ("_HANDLER", function.handler.to_owned()),
        ("AWS_DEFAULT_REGION", function.region.to_owned()),
        ("AWS_REGION", function.region.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", function.version.to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", function.log_group.to_owned()),
        // The X-Ray SDKs log, rather than raise, when no segment is open.
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("PATH", path(function.interpreter)),
        ("LD_LIBRARY_PATH", LIBRARIES.to_owned()),
    ];
    // AWS sets no execution environment where the runtime is the function's own.
    if function.runtime.family() != Family::Provided {
        set.push(("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", function.runtime)));
    }
    match function.runtime.family() {
        Family::Python => set.push(("PYTHONPATH", "/var/runtime".to_owned())),
        Family::Node => set.push(("NODE_PATH", node_path(function.runtime))),
        _ => {}
    }
    set.extend(function.log_format.map(|format| ("AWS_LAMBDA_LOG_FORMAT", format.to_owned())));
    set.extend(function.log_level.map(|level| ("AWS_LAMBDA_LOG_LEVEL", level.to_owned())));
    set
}

const LIBRARIES: &str =
    "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";

/// As on Lambda, with the interpreter's folder for `/var/lang/bin`, so that `python3` is the one that runs the function.
fn path(interpreter: Option<&Interpreter>) -> String {
    let rest = "/usr/local/bin:/usr/bin:/bin:/opt/bin";
    match interpreter.and_then(|found| found.exe.parent()?.to_str()) {
        Some(folder) if folder != "/usr/bin" => format!("{folder}:{rest}"),
        _ => rest.to_owned(),
    }
}

fn node_path(runtime: Runtime) -> String {
    let (major, _) = runtime.version();
    format!(
        "/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_names_are_sorted_as_the_search_needs_them() {
        assert!(RESERVED.is_sorted());
        assert!(reserved("_HANDLER") && reserved("AWS_REGION") && !reserved("PATH") && !reserved("TZ"));
        let refusal = reserved_refusal(["A", "AWS_REGION", "_HANDLER"]).expect("two are reserved");
        assert!(
            refusal.starts_with("Lambda was unable to configure your environment variables because the environment")
        );
        assert!(refusal.ends_with("for modification. Reserved keys used in this request: AWS_REGION, _HANDLER"));
        assert_eq!(reserved_refusal(["A"]), None);
    }

    #[test]
    fn own_variables_win_unless_reserved() {
        let own = BTreeMap::from([
            ("PATH".to_owned(), "/mine".to_owned()),
            ("AWS_REGION".to_owned(), "moon".to_owned()),
            ("A".to_owned(), "b".to_owned()),
        ]);
        let interpreter = Interpreter {
            family: Family::Python,
            version: (3, 12, 1),
            exe: "/opt/py/bin/python3.12".into(),
            mounts: Vec::new(),
        };
        let function = FunctionEnv {
            name: "f",
            version: "$LATEST",
            memory_mb: 128,
            region: "eu-west-1",
            log_group: "/aws/lambda/f",
            handler: "app.handler",
            runtime: Runtime::parse("python3.12").expect("it is known"),
            interpreter: Some(&interpreter),
            log_format: Some("JSON"),
            log_level: None,
            variables: Some(&own),
        };
        let all: BTreeMap<_, _> = environment(&function).into_iter().collect();
        assert_eq!((all["PATH"].as_str(), all["AWS_REGION"].as_str(), all["A"].as_str()), ("/mine", "eu-west-1", "b"));
        assert_eq!(all["AWS_EXECUTION_ENV"], "AWS_Lambda_python3.12");
        assert_eq!(all["AWS_LAMBDA_LOG_FORMAT"], "JSON");
        assert_eq!(all["_HANDLER"], "app.handler");
        let all: BTreeMap<_, _> = environment(&FunctionEnv { variables: None, ..function }).into_iter().collect();
        assert!(all["PATH"].starts_with("/opt/py/bin:/usr/local/bin"));
        let node = FunctionEnv { runtime: Runtime::parse("nodejs20.x").expect("it is known"), ..function };
        let all: BTreeMap<_, _> = environment(&node).into_iter().collect();
        assert!(all["NODE_PATH"].starts_with("/opt/nodejs/node20/node_modules:/opt/nodejs/node_modules:"));
    }
}
