//! Ratchets on length: they never rise. Generated code and tests are exempt.

use std::collections::BTreeMap;

use anyhow::Context;
use syn::spanned::Spanned;
use syn::visit::Visit;

use super::Source;

/// A longer function counts against its crate unless it says `// long: why`.
const LONG_FUNCTION: usize = 70;
/// At most this share of a crate's functions may be long.
const LONG_FUNCTIONS_PERCENT: f64 = 4.0;
/// A longer file counts against its crate unless it says `// long: why`.
const LONG_FILE: usize = 600;
/// At most this share of a crate's files may be long.
const LONG_FILES_PERCENT: f64 = 3.0;

#[derive(Default)]
struct Tally {
    files: usize,
    functions: usize,
    long_files: Vec<String>,
    long_functions: Vec<String>,
}

pub(crate) fn check(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.room != "model" && !source.test) {
        let tally = tallies.entry(&source.room).or_default();
        tally.files += 1;
        let lines: Vec<&str> = source.text.lines().collect();
        if lines.len() > LONG_FILE && !lines.iter().take(5).any(|line| line.contains("// long: ")) {
            tally.long_files.push(format!("{} ({} lines)", source.path.display(), lines.len()));
        }
        let file = syn::parse_file(&source.text).with_context(|| source.path.display().to_string())?;
        let mut seen = Functions::default();
        seen.visit_file(&file);
        tally.functions += seen.spans.len();
        for (name, first, last) in seen.spans {
            let excused = lines[first.saturating_sub(3)..last].iter().any(|line| line.contains("// long: "));
            if last - first > LONG_FUNCTION && !excused {
                tally.long_functions.push(format!("{}:{first} {name} ({} lines)", source.path.display(), last - first));
            }
        }
    }
    let mut findings = Vec::new();
    for (room, tally) in tallies {
        for (what, long, all, percent) in [
            ("functions", tally.long_functions, tally.functions, LONG_FUNCTIONS_PERCENT),
            ("files", tally.long_files, tally.files, LONG_FILES_PERCENT),
        ] {
            if 100.0 * long.len() as f64 > percent * all as f64 {
                findings.push(format!("{room}: {} of {all} {what} are too long: {}", long.len(), long.join(", ")));
            }
        }
    }
    Ok(findings)
}

/// Name, first and last line of every function outside test modules.
#[derive(Default)]
struct Functions {
    spans: Vec<(String, usize, usize)>,
}

impl Functions {
    fn add(&mut self, name: &syn::Ident, span: proc_macro2::Span) {
        self.spans.push((name.to_string(), span.start().line, span.end().line));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let test = module.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
        });
        if !test {
            syn::visit::visit_item_mod(self, module);
        }
    }
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig.ident, function.block.span());
        syn::visit::visit_item_fn(self, function);
    }
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig.ident, function.block.span());
        syn::visit::visit_impl_item_fn(self, function);
    }
}
