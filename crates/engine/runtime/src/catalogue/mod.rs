//! Which runtimes there are, and which of the host's interpreters serves one.

mod choose;
mod launch;
#[cfg(test)]
mod tests;

pub use choose::{ALLOW_OLDER_OPTION, Choice, Interpreter, Missing, Policy, choose};
pub use launch::{Ahead, Bootstraps, InvalidEntrypoint, Launch, compiler, launch};

/// A language, or none: what has to be on the host for a runtime to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// CPython 3.
    Python,
    /// Node.js.
    Node,
    /// The function brings its own program: `provided`, `provided.al2`, `provided.al2023`.
    Provided,
    /// A Java virtual machine. Not served.
    Java,
    /// .NET. Not served.
    Dotnet,
    /// Ruby. Not served.
    Ruby,
    /// `go1.x`, which AWS ended in favour of `provided.al2023`. Not served.
    Go,
}

impl Family {
    /// The language's name as its makers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Node => "Node.js",
            Self::Provided => "custom runtime",
            Self::Java => "Java",
            Self::Dotnet => ".NET",
            Self::Ruby => "Ruby",
            Self::Go => "Go",
        }
    }
}

/// A runtime identifier that AWS knows, for example `python3.12`.
/// Source: AWS Lambda API reference, `Runtime` of CreateFunction; developer guide, "Lambda runtimes".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Runtime(&'static Row);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Row {
    id: &'static str,
    family: Family,
    // What it asks for: a major version of Node, Java or .NET, a minor one of Python or Ruby. (0, 0) for any.
    version: (u32, u32),
    // Whether AWS creates no more functions with it.
    retired: bool,
}

impl Runtime {
    /// The runtime of this identifier. `None` for one that AWS does not know.
    pub fn parse(id: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.id == id).map(Self)
    }

    /// Every identifier, in AWS's order.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(Self)
    }

    /// The identifier.
    pub fn id(self) -> &'static str {
        self.0.id
    }

    /// What has to be on the host.
    pub fn family(self) -> Family {
        self.0.family
    }

    /// The version it asks for, major and minor; the minor of Node, Java and .NET is 0 and any will do. (0, 0) for a
    /// custom runtime.
    pub fn version(self) -> (u32, u32) {
        self.0.version
    }

    /// Whether AWS no longer creates functions with it. Lambent runs those it has an interpreter for.
    pub fn is_retired(self) -> bool {
        self.0.retired
    }

    /// Whether Lambent has a bootstrap for this family and version, or needs none.
    pub fn is_served(self) -> bool {
        match self.family() {
            Family::Provided => true,
            Family::Python => self.version() >= OLDEST_PYTHON,
            Family::Node => self.version() >= OLDEST_NODE,
            Family::Java | Family::Dotnet | Family::Ruby | Family::Go => false,
        }
    }
}

impl std::fmt::Display for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

/// The oldest interpreters our bootstraps run on.
const OLDEST_PYTHON: (u32, u32) = (3, 8);
const OLDEST_NODE: (u32, u32) = (18, 0);

const fn row(id: &'static str, family: Family, major: u32, minor: u32) -> Row {
    Row { id, family, version: (major, minor), retired: false }
}

const fn retired(id: &'static str, family: Family, major: u32, minor: u32) -> Row {
    Row { id, family, version: (major, minor), retired: true }
}

static ROWS: &[Row] = &[
    retired("nodejs", Family::Node, 0, 10),
    retired("nodejs4.3", Family::Node, 4, 0),
    retired("nodejs6.10", Family::Node, 6, 0),
    retired("nodejs8.10", Family::Node, 8, 0),
    retired("nodejs10.x", Family::Node, 10, 0),
    retired("nodejs12.x", Family::Node, 12, 0),
    retired("nodejs14.x", Family::Node, 14, 0),
    retired("nodejs16.x", Family::Node, 16, 0),
    row("nodejs18.x", Family::Node, 18, 0),
    row("nodejs20.x", Family::Node, 20, 0),
    row("nodejs22.x", Family::Node, 22, 0),
    row("nodejs24.x", Family::Node, 24, 0),
    row("java8", Family::Java, 8, 0),
    row("java8.al2", Family::Java, 8, 0),
    row("java11", Family::Java, 11, 0),
    row("java17", Family::Java, 17, 0),
    row("java21", Family::Java, 21, 0),
    row("java25", Family::Java, 25, 0),
    retired("python2.7", Family::Python, 2, 7),
    retired("python3.6", Family::Python, 3, 6),
    retired("python3.7", Family::Python, 3, 7),
    row("python3.8", Family::Python, 3, 8),
    row("python3.9", Family::Python, 3, 9),
    row("python3.10", Family::Python, 3, 10),
    row("python3.11", Family::Python, 3, 11),
    row("python3.12", Family::Python, 3, 12),
    row("python3.13", Family::Python, 3, 13),
    row("python3.14", Family::Python, 3, 14),
    retired("dotnetcore1.0", Family::Dotnet, 1, 0),
    retired("dotnetcore2.0", Family::Dotnet, 2, 0),
    retired("dotnetcore2.1", Family::Dotnet, 2, 1),
    retired("dotnetcore3.1", Family::Dotnet, 3, 1),
    row("dotnet6", Family::Dotnet, 6, 0),
    row("dotnet8", Family::Dotnet, 8, 0),
    row("dotnet10", Family::Dotnet, 10, 0),
    retired("nodejs4.3-edge", Family::Node, 4, 0),
    retired("go1.x", Family::Go, 1, 0),
    retired("ruby2.5", Family::Ruby, 2, 5),
    retired("ruby2.7", Family::Ruby, 2, 7),
    row("ruby3.2", Family::Ruby, 3, 2),
    row("ruby3.3", Family::Ruby, 3, 3),
    row("ruby3.4", Family::Ruby, 3, 4),
    row("ruby4.0", Family::Ruby, 4, 0),
    row("provided", Family::Provided, 0, 0),
    row("provided.al2", Family::Provided, 0, 0),
    row("provided.al2023", Family::Provided, 0, 0),
    row("nodejs26.x", Family::Node, 26, 0),
    row("python3.15", Family::Python, 3, 15),
    row("java8.al2023", Family::Java, 8, 0),
    row("java11.al2023", Family::Java, 11, 0),
    row("java17.al2023", Family::Java, 17, 0),
];
