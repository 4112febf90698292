//! The report for people: what is right in one line each, what is wrong with the command that mends it.

use std::io::IsTerminal;

use super::{Finding, Report, State};

/// Wide enough for every name, so that all sections line up.
const NAME: usize = 22;

pub(super) fn print(report: &Report) {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let holds = report.walls.iter().filter(|wall| wall.state == State::Ok).count();
    let weak = if report.weak { " (weak: asked for by --walls=weak)" } else { "" };
    println!("walls {holds}/{}{weak}", report.walls.len());
    for line in lines(&merged(&report.walls), colours) {
        println!("{line}");
    }
    for (title, findings) in [("host", &report.host), ("runtimes", &report.runtimes), ("tools", &report.tools)] {
        println!("{title}");
        for line in lines(findings, colours) {
            println!("{line}");
        }
    }
    if !report.setup.is_empty() {
        println!("`sudo {} setup` would", crate::setup::own_name());
        for change in &report.setup {
            println!("  - {change}");
        }
    }
    if !report.usable {
        println!("functions cannot run here: mend what is missing, or start with --walls=weak while developing");
    }
}

/// Walls that are missing for one reason and mended by one command are one line.
fn merged(walls: &[Finding]) -> Vec<Finding> {
    let mut out: Vec<Finding> = Vec::new();
    for wall in walls {
        let same =
            |known: &&mut Finding| known.state == State::Missing && known.says == wall.says && known.fix == wall.fix;
        match out.iter_mut().find(same) {
            Some(known) if wall.state == State::Missing => known.name = format!("{}, {}", known.name, wall.name),
            _ => out.push(wall.clone()),
        }
    }
    let all = walls.iter().filter(|wall| wall.state == State::Missing).count();
    for finding in &mut out {
        let names = finding.name.split(", ").count();
        if finding.state == State::Missing && names == all && names == walls.len() {
            "all of them".clone_into(&mut finding.name);
        }
    }
    out
}

/// One line for each finding, and one for its fix.
fn lines(findings: &[Finding], colours: bool) -> Vec<String> {
    let mut out = Vec::new();
    for Finding { name, state, says, fix } in findings {
        let (word, colour) = match state {
            State::Ok => ("ok     ", "32"),
            State::Note => ("note   ", "33"),
            State::Missing => ("missing", "31"),
        };
        let word = if colours { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() };
        out.push(format!("  {word}  {name:<NAME$}  {says}"));
        if let Some(fix) = fix {
            out.push(format!("  {:9}{:NAME$}  -> {fix}", "", ""));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_line_up_and_fixes_follow() {
        let findings = [Finding::ok("seccomp", "on"), Finding::missing("uid range", "no ids", "do this")];
        let lines = lines(&findings, false);
        assert_eq!(
            lines,
            [
                "  ok       seccomp                 on",
                "  missing  uid range               no ids",
                "                                   -> do this",
            ]
        );
    }

    #[test]
    fn one_reason_is_told_once() {
        let missing = |name: &str| Finding::missing(name, "no", "yes");
        assert_eq!(merged(&[missing("a"), missing("b")])[0].name, "all of them");
        let some = merged(&[missing("a"), Finding::ok("c", "no"), missing("b"), Finding::missing("d", "other", "yes")]);
        let names: Vec<&str> = some.iter().map(|finding| finding.name.as_str()).collect();
        assert_eq!(names, ["a, b", "c", "d"]);
    }
}
