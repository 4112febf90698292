//! The binary: command line, configuration and the one place where rooms are wired together.
//!
//! What: `lambent serve` runs the platform; every other command is a client of it over the AWS protocols. Why: whatever
//! the command line can do, any AWS tool can do too. Never: no rule of a service; those live in its room.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on stdout and stderr")]

mod cli;
mod client;
mod deploy;
mod interpreters;
mod serve;
mod setup;
mod trust;

use clap::Parser;

fn main() -> std::process::ExitCode {
    // The sandbox helper is this same binary, started again before any thread exists. Never returns when it is.
    sandbox::main_if_helper();
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lambent: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because {cause}");
            }
            std::process::ExitCode::FAILURE
        }
    }
}
