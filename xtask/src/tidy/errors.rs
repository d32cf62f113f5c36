//! A library's error is an enum that `thiserror` makes an error of: callers match it, users read it.

use super::Finding;
use super::rust::{Source, has_word};
use super::tree::Tree;

/// Names every public enum called `...Error` that does not derive `Error`.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        let Some(source) = &file.rust else { continue };
        for (number, line) in source.numbered() {
            let Some(name) = public_enum(line).filter(|name| name.ends_with("Error")) else {
                continue;
            };
            if !derives_error(source, number - 1) {
                let message =
                    format!("{name} must derive thiserror::Error, with a message for each variant");
                findings.push(Finding::new(&file.path, number, message));
            }
        }
    }
    findings
}

fn public_enum(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix("pub enum ")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// Whether the attributes above a line have `#[derive(.., Error, ..)]`.
fn derives_error(source: &Source, index: usize) -> bool {
    let above = source.code()[..index].iter().rev();
    above
        .take_while(|line| !line.trim_end().ends_with([';', '{', '}']))
        .any(|line| has_word(line, "Error") && (line.contains("derive") || !line.contains('[')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::messages;

    #[test]
    fn errors_derive_error() {
        let fine = "/// Why.\n#[derive(Debug, Error)]\n#[non_exhaustive]\npub enum DataError {\n}\n\
                    #[derive(\n    Debug,\n    thiserror::Error,\n)]\npub enum Error {}\npub enum Mode {}\n";
        assert!(messages(check, &[("a.rs", fine)]).is_empty());
        let bad = "use thiserror::Error;\n#[derive(Debug)]\npub enum DataError {\n    A,\n}\n";
        let expected =
            "a.rs:3: DataError must derive thiserror::Error, with a message for each variant";
        assert_eq!(messages(check, &[("a.rs", bad)]), [expected]);
    }
}
