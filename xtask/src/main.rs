//! Chores of the repository: `codegen` writes the model, `tidy` checks the house, `drops` checks the grades.
//!
//! What: generates `crates/foundation/model` from a pinned botocore, and checks what reviewers must not have to:
//! allowed edges, headers, sizes, and that what is said to act is missed by a test. Why: a promise nobody checks does not hold. Never: part of the product.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore speaks on stdout and stderr")]

mod codegen;
mod drops;
mod tidy;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["codegen"] => codegen::run(false),
        ["codegen", "--check"] => codegen::run(true),
        ["tidy"] => tidy::run(),
        ["drops", words @ ..] => drops::run(words),
        _ => anyhow::bail!("usage: cargo xtask codegen [--check] | cargo xtask tidy | {}", drops::USAGE),
    }
}
