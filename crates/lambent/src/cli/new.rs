//! `lambent new`: writes a small project that can be deployed as it is.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};

/// What to write, and where.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder to make; its last part is the function's name.
    #[arg(required_unless_present = "list")]
    folder: Option<PathBuf>,
    /// What the function is for; `--list` shows them.
    #[arg(long, short, default_value = "http")]
    template: String,
    /// The language it is written in.
    #[arg(long, short, value_enum, default_value_t = Language::Python)]
    language: Language,
    /// List the templates.
    #[arg(long)]
    list: bool,
}

/// The languages of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Python.
    Python,
    /// JavaScript on Node.js.
    Node,
    /// Rust, by the official runtime client.
    Rust,
}

/// One kind of project, in every language it is written in.
struct Template {
    name: &'static str,
    /// Half a sentence for people.
    what: &'static str,
    /// What its trigger sends.
    event: &'static str,
    python: &'static str,
    node: &'static str,
    rust: Option<&'static str>,
}

const TEMPLATES: &[Template] = &[
    Template {
        name: "http",
        what: "answers HTTP requests: routes, JSON, errors",
        event: include_str!("../../templates/events/http.json"),
        python: include_str!("../../templates/python/http.py"),
        node: include_str!("../../templates/node/http.mjs"),
        rust: Some(include_str!("../../templates/rust/http.rs")),
    },
    Template {
        name: "cron",
        what: "runs on a schedule",
        event: include_str!("../../templates/events/cron.json"),
        python: include_str!("../../templates/python/cron.py"),
        node: include_str!("../../templates/node/cron.mjs"),
        rust: None,
    },
    Template {
        name: "queue",
        what: "takes SQS messages in batches; only what failed comes again",
        event: include_str!("../../templates/events/queue.json"),
        python: include_str!("../../templates/python/queue.py"),
        node: include_str!("../../templates/node/queue.mjs"),
        rust: Some(include_str!("../../templates/rust/queue.rs")),
    },
    Template {
        name: "s3",
        what: "runs when an object is created in a bucket",
        event: include_str!("../../templates/events/s3.json"),
        python: include_str!("../../templates/python/s3.py"),
        node: include_str!("../../templates/node/s3.mjs"),
        rust: None,
    },
    Template {
        name: "crud",
        what: "keeps items in a DynamoDB table, behind HTTP",
        event: include_str!("../../templates/events/crud.json"),
        python: include_str!("../../templates/python/crud.py"),
        node: include_str!("../../templates/node/crud.mjs"),
        rust: None,
    },
    Template {
        name: "stream",
        what: "reads a Kinesis stream in batches, in order",
        event: include_str!("../../templates/events/stream.json"),
        python: include_str!("../../templates/python/stream.py"),
        node: include_str!("../../templates/node/stream.mjs"),
        rust: None,
    },
    Template {
        name: "webhook",
        what: "takes webhooks signed with HMAC-SHA256",
        event: include_str!("../../templates/events/webhook.json"),
        python: include_str!("../../templates/python/webhook.py"),
        node: include_str!("../../templates/node/webhook.mjs"),
        rust: None,
    },
    Template {
        name: "web",
        what: "a web application: WSGI in Python, routes in Node",
        event: include_str!("../../templates/events/web.json"),
        python: include_str!("../../templates/python/web.py"),
        node: include_str!("../../templates/node/web.mjs"),
        rust: None,
    },
];

const CARGO: &str = include_str!("../../templates/rust/Cargo.toml.txt");
const IGNORED: &str = "README.md\nevent.json\n";
const NODE_PACKAGE: &str = "{\n  \"private\": true,\n  \"type\": \"module\"\n}\n";
const NODE_CRUD_PACKAGE: &str = "{\n  \"private\": true,\n  \"type\": \"module\",\n  \"dependencies\": {\n    \
                                 \"@aws-sdk/client-dynamodb\": \"^3\",\n    \"@aws-sdk/lib-dynamodb\": \"^3\"\n  }\n}\n";

impl Template {
    fn find(name: &str) -> anyhow::Result<&'static Self> {
        let found = TEMPLATES.iter().find(|template| template.name == name);
        found.with_context(|| {
            let names: Vec<_> = TEMPLATES.iter().map(|template| template.name).collect();
            format!("there is no template {name}; there are {}", names.join(", "))
        })
    }

    /// The project's files: path and contents.
    fn files(&self, language: Language, function: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
        let mut files = vec![
            ("README.md", self.readme(function)),
            ("event.json", self.event.to_owned()),
            (".lambentignore", IGNORED.to_owned()),
        ];
        let is_crud = self.name == "crud";
        match language {
            Language::Python => {
                files.push(("app.py", self.python.to_owned()));
                files.push(("requirements.txt", if is_crud { "boto3>=1.34\n".into() } else { String::new() }));
                files.push(("lambent.json", self.settings("app.handler")));
            }
            Language::Node => {
                files.push(("index.mjs", self.node.to_owned()));
                files.push(("package.json", if is_crud { NODE_CRUD_PACKAGE } else { NODE_PACKAGE }.to_owned()));
                files.push(("lambent.json", self.settings("index.handler")));
            }
            Language::Rust => {
                let source = self.rust.with_context(|| {
                    let some: Vec<_> = TEMPLATES.iter().filter(|one| one.rust.is_some()).map(|one| one.name).collect();
                    format!("the template {} is not written in Rust; {} are", self.name, some.join(" and "))
                })?;
                files.push(("src/main.rs", source.to_owned()));
                files.push(("Cargo.toml", CARGO.to_owned()));
                files.push((".gitignore", "target\n".to_owned()));
                files.push(("lambent.json", self.settings("bootstrap")));
            }
        }
        Ok(files)
    }

    fn settings(&self, handler: &str) -> String {
        // What waits for nobody may take longer.
        let timeout = if matches!(self.name, "http" | "crud" | "web" | "webhook") { 10 } else { 60 };
        format!("{{ \"handler\": \"{handler}\", \"memory\": 256, \"timeout\": {timeout} }}\n")
    }

    fn readme(&self, function: &str) -> String {
        let options = match self.name {
            "crud" => " --env TABLE=items",
            "webhook" => " --env WEBHOOK_SECRET=change-me",
            _ => "",
        };
        // `deploy` gives a minute; a queue must give its messages at least as long, and AWS advises six times that.
        let trigger = if self.name == "queue" {
            format!(
                "\nA queue that calls it:\n\n    lambent aws sqs create-queue --queue-name {function} --attributes \
                 VisibilityTimeout=360\n    lambent aws lambda create-event-source-mapping --function-name {function} \\\n        \
                 --event-source-arn arn:aws:sqs:us-east-1:000000000000:{function} --function-response-types \
                 ReportBatchItemFailures\n    lambent aws sqs send-message --message-body '{{\"order\": 1}}' \\\n        \
                 --queue-url http://localhost:4566/000000000000/{function}\n"
            )
        } else {
            String::new()
        };
        format!(
            "# {function}\n\nA function that {what}.\n\n    lambent deploy .{options}\n    lambent invoke {function} --file \
             event.json\n    lambent logs {function} --follow\n\n`event.json` is what its trigger sends.\n{trigger}",
            what = self
                .what
                .strip_prefix("a web application")
                .map_or_else(|| self.what.to_owned(), |rest| { format!("is a web application{rest}") }),
        )
    }
}

/// Writes the project, or lists what there is.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Some(folder) = arguments.folder.as_ref().filter(|_| !arguments.list) else {
        for Template { name, what, rust, .. } in TEMPLATES {
            let languages = if rust.is_some() { "python, node, rust" } else { "python, node" };
            println!("{name:<8}  {what} ({languages})");
        }
        return Ok(());
    };
    let function = name(folder)?;
    let files = Template::find(&arguments.template)?.files(arguments.language, &function)?;
    write(folder, &files)?;
    println!("made {} in {} files", folder.display(), files.len());
    println!("next: lambent deploy {}", folder.display());
    Ok(())
}

/// The function's name, which Lambda must take.
fn name(folder: &Path) -> anyhow::Result<String> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.with_context(|| format!("{} has no last part that could name a function", folder.display()))?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    ensure!(
        name.len() <= 64 && name.chars().all(fits),
        "{name} cannot name a function: up to 64 letters, digits, hyphens and underscores can"
    );
    Ok(name)
}

/// Writes files into a folder that holds none yet.
fn write(folder: &Path, files: &[(&str, String)]) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    if fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?.next().is_some() {
        bail!("{} holds files already, and nothing is ever overwritten: name another folder", folder.display());
    }
    for (path, text) in files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        let mut file = fs::File::create_new(&path).with_context(|| format!("making {}", path.display()))?;
        file.write_all(text.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_whole_in_every_language() {
        for template in TEMPLATES {
            let event: serde_json::Value = serde_json::from_str(template.event).unwrap();
            assert!(event.is_object(), "{}", template.name);
            for language in [Language::Python, Language::Node] {
                let files = template.files(language, "f").unwrap();
                for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".json")) {
                    serde_json::from_str::<serde_json::Value>(text)
                        .unwrap_or_else(|error| panic!("{}: {path}: {error}", template.name));
                }
            }
            assert_eq!(template.files(Language::Rust, "f").is_ok(), matches!(template.name, "http" | "queue"));
        }
        assert!(Template::find("nothing").is_err());
    }

    #[test]
    fn nothing_is_overwritten_and_names_are_lambdas() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("made");
        write(&inside, &[("src/a", "1".into())]).unwrap();
        assert!(write(&inside, &[("src/a", "2".into())]).is_err());
        assert_eq!(fs::read_to_string(inside.join("src/a")).unwrap(), "1");
        for wrong in ["a b", "../..", "ä", &"x".repeat(65)] {
            assert!(name(Path::new(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(name(Path::new("some/where/my-fn_2")).unwrap(), "my-fn_2");
    }
}
