//! Libraries print nothing: what they have to say goes through values, errors and observers.

use super::Finding;
use super::rust::has_word;
use super::tree::Tree;

const PROGRAMS: &[&str] = &["ocelli-cli", "xtask"];
const MACROS: &[&str] = &["print!", "println!", "eprint!", "eprintln!", "dbg!"];

/// Names every line of a library that prints.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        let Some(source) = file.rust.as_ref().filter(|_| !PROGRAMS.contains(&file.package()))
        else {
            continue;
        };
        for (number, line) in source.numbered() {
            let Some(name) = MACROS.iter().find(|name| has_word(line, name)) else { continue };
            if !tree.is_test(file, number) {
                let message =
                    format!("{name} in a library; return the text, or hand it to an observer");
                findings.push(Finding::new(&file.path, number, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::messages;

    #[test]
    fn libraries_are_silent() {
        let text = "//! println!(\"in a doc\")\nfn f() {\n    println!(\"a\");\n}\n";
        let expected = "crates/ocelli-nn/src/a.rs:3: println! in a library; return the text, or hand it \
                        to an observer";
        assert_eq!(messages(check, &[("crates/ocelli-nn/src/a.rs", text)]), [expected]);
    }

    #[test]
    fn programs_tests_and_examples_speak() {
        let print = "println!(\"a\");\n";
        let test = format!("#[cfg(test)]\nmod tests {{\n    {print}}}\n");
        let files = [
            ("crates/ocelli-cli/src/a.rs", print),
            ("xtask/src/a.rs", print),
            ("examples/1-a/src/main.rs", print),
            ("crates/ocelli-nn/tests/a.rs", print),
            ("crates/ocelli-nn/src/a.rs", &test),
        ];
        assert!(messages(check, &files).is_empty());
    }
}
