//! The variables by which a function says that it is a web function. AWS has no setting for it; a version keeps its
//! variables as it keeps its code, and they come through every tool.

use std::collections::BTreeMap;

use http::uri::PathAndQuery;
use runtime::Interpreter;

/// What the variables of this module begin with; others that do are refused.
const OURS: &str = "LAMBENT_WEB_";
/// The command that listens on `$PORT`, for `/bin/sh`.
const COMMAND: &str = "LAMBENT_WEB_COMMAND";
/// Requests at a time in one environment.
const CONCURRENCY: &str = "LAMBENT_WEB_CONCURRENCY";
/// The path that answers below 500 when the program is ready.
const READY_PATH: &str = "LAMBENT_WEB_READY_PATH";
/// The path to which events go that are no requests.
const EVENTS_PATH: &str = "LAMBENT_WEB_EVENTS_PATH";

const DEFAULT_CONCURRENCY: u32 = 64;
const MOST_CONCURRENCY: u32 = 1000;
const DEFAULT_EVENTS_PATH: &str = "/events";

/// How a web function serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) command: String,
    pub(crate) concurrency: u32,
    pub(crate) ready: Option<PathAndQuery>,
    pub(crate) events: PathAndQuery,
}

impl Setup {
    /// What a function's variables say; none where it is no web function.
    ///
    /// # Errors
    /// Which variable cannot be, and what it may be.
    pub(crate) fn of(variables: Option<&BTreeMap<String, String>>) -> Result<Option<Self>, String> {
        let Some(variables) = variables else { return Ok(None) };
        let known = [COMMAND, CONCURRENCY, READY_PATH, EVENTS_PATH];
        let mut ours = variables.keys().filter(|name| name.starts_with(OURS));
        if let Some(unknown) = ours.find(|name| !known.contains(&name.as_str())) {
            return Err(format!("{unknown} is no variable of a web function. They are {}", known.join(", ")));
        }
        let Some(command) = variables.get(COMMAND) else {
            return match known.iter().find(|name| variables.contains_key(**name)) {
                Some(name) => Err(format!("{name} says how a web function serves, which needs {COMMAND}")),
                None => Ok(None),
            };
        };
        if variables.contains_key("AWS_LAMBDA_EXEC_WRAPPER") {
            return Err(format!("AWS_LAMBDA_EXEC_WRAPPER wraps a runtime, and {COMMAND} is started instead of one"));
        }
        if command.trim().is_empty() {
            return Err(format!("{COMMAND} must be a command that listens on $PORT"));
        }
        let concurrency = match variables.get(CONCURRENCY) {
            None => DEFAULT_CONCURRENCY,
            Some(text) => {
                text.parse().ok().filter(|number| (1..=MOST_CONCURRENCY).contains(number)).ok_or_else(|| {
                    format!("{CONCURRENCY} must be a number from 1 to {MOST_CONCURRENCY}, not '{text}'")
                })?
            }
        };
        let path = |name: &str| {
            let path = |text: &String| {
                let path = text.starts_with('/').then(|| text.parse().ok()).flatten();
                path.ok_or_else(|| format!("{name} must be a path that begins with '/', not '{text}'"))
            };
            variables.get(name).map(path).transpose()
        };
        let events = path(EVENTS_PATH)?.unwrap_or_else(|| PathAndQuery::from_static(DEFAULT_EVENTS_PATH));
        Ok(Some(Self { command: command.clone(), concurrency, ready: path(READY_PATH)?, events }))
    }

    /// The variables of a program of this kind: it finds what is bundled with it, and the tools that come with that.
    pub(crate) fn complete(
        &self,
        env: &mut Vec<(String, String)>,
        interpreter: Option<&Interpreter>,
        own: &BTreeMap<String, String>,
    ) {
        let mut add = |name: &str, value: &dyn Fn(&str) -> String| {
            if own.contains_key(name) {
                return;
            }
            match env.iter_mut().find(|(other, _)| other == name) {
                Some((_, old)) => *old = value(old),
                None => env.push((name.to_owned(), value(""))),
            }
        };
        add("PATH", &|path| format!("{path}:/var/task/bin:/var/task/node_modules/.bin"));
        match interpreter.map(|found| found.family) {
            Some(runtime::Family::Python) => {
                add("PYTHONPATH", &|_| "/var/task:/opt/python".to_owned());
                add("PYTHONUNBUFFERED", &|_| "1".to_owned());
                // What it would write lies beside read-only code.
                add("PYTHONDONTWRITEBYTECODE", &|_| "1".to_owned());
            }
            Some(runtime::Family::Node) => add("NODE_PATH", &|path| format!("/var/task/node_modules:{path}")),
            _ => {}
        }
        add("HOME", &|_| "/tmp".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Option<Setup>, String> {
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Setup::of(Some(&variables))
    }

    #[test]
    fn a_command_makes_a_web_function() {
        assert_eq!((Setup::of(None), of(&[("A", "b")])), (Ok(None), Ok(None)));
        let setup = of(&[(COMMAND, "python3 app.py")]).unwrap().unwrap();
        assert_eq!((setup.concurrency, setup.ready, setup.events.as_str()), (64, None, "/events"));
        let all = [(COMMAND, "x"), (CONCURRENCY, "1000"), (READY_PATH, "/up?a=b"), (EVENTS_PATH, "/e")];
        let setup = of(&all).unwrap().unwrap();
        assert_eq!((setup.concurrency, setup.ready.unwrap().as_str(), setup.events.as_str()), (1000, "/up?a=b", "/e"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (pairs, words) in [
            (&[(COMMAND, " ")][..], "LAMBENT_WEB_COMMAND must be a command"),
            (&[(CONCURRENCY, "2")], "LAMBENT_WEB_CONCURRENCY says how a web function serves, which needs"),
            (&[(COMMAND, "x"), (CONCURRENCY, "0")], "from 1 to 1000, not '0'"),
            (&[(COMMAND, "x"), (CONCURRENCY, "1001")], "from 1 to 1000, not '1001'"),
            (&[(COMMAND, "x"), (CONCURRENCY, "many")], "from 1 to 1000, not 'many'"),
            (&[(COMMAND, "x"), (READY_PATH, "up")], "LAMBENT_WEB_READY_PATH must be a path"),
            (&[(COMMAND, "x"), (EVENTS_PATH, "/a b")], "LAMBENT_WEB_EVENTS_PATH must be a path"),
            (&[(COMMAND, "x"), ("AWS_LAMBDA_EXEC_WRAPPER", "/opt/w")], "is started instead of one"),
            (&[(COMMAND, "x"), ("LAMBENT_WEB_PORT", "1")], "LAMBENT_WEB_PORT is no variable of a web function"),
        ] {
            let refused = of(pairs).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn its_own_variables_win() {
        let setup = of(&[(COMMAND, "x")]).unwrap().unwrap();
        let mut env = vec![("PATH".to_owned(), "/bin".to_owned()), ("HOME".to_owned(), "/mine".to_owned())];
        setup.complete(&mut env, None, &BTreeMap::from([("HOME".to_owned(), "/mine".to_owned())]));
        let path = "/bin:/var/task/bin:/var/task/node_modules/.bin".to_owned();
        assert_eq!(env, [("PATH".to_owned(), path), ("HOME".to_owned(), "/mine".to_owned())]);
    }
}
