//! Nothing unfinished, switched off or tied to one machine is left behind.

use super::Finding;
use super::rust::has_word;
use super::tree::{File, Tree};

/// Code that is not finished, with what to do about it.
const CODE: &[(&str, &str)] = &[
    ("todo!", "finish it"),
    ("unimplemented!", "finish it, or return an error that says what is supported"),
    ("#[ignore", "make the test quick enough to run, or delete it"),
    ("allow(dead_code", "delete what nothing uses"),
    ("allow(missing_docs", "document it"),
];

/// Words that mark a comment as unfinished.
const COMMENTS: &[&str] = &["FIXME", "TODO"];

/// Folders at the top of a machine that no file may name.
const PLACES: &[&str] = &["home", "root", "tmp"];

/// Names what was left behind.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.files().iter().flat_map(|file| check_file(tree, file)).collect()
}

fn check_file(tree: &Tree, file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |number: usize, message: String| {
        findings.push(Finding::new(&file.path, number, message));
    };
    for (index, line) in file.text.lines().enumerate() {
        let number = index + 1;
        let source = file.rust.as_ref();
        if let Some(code) = source.and_then(|source| source.code().get(index)) {
            for (word, advice) in CODE.iter().filter(|(word, _)| has_word(code, word)) {
                say(number, format!("`{word}` is left; {advice}"));
            }
        }
        let comment = source.map_or(line, |source| source.comments()[index].as_str());
        for word in COMMENTS.iter().filter(|word| has_word(comment, word)) {
            say(
                number,
                format!("{word} is left; do it, or open an issue and say why it is as it is"),
            );
        }
        if !tree.is_test(file, number)
            && let Some(place) = PLACES.iter().find(|place| names_place(line, place))
        {
            say(
                number,
                format!("a path under /{place}/ exists on one machine only; make it relative"),
            );
        }
    }
    findings
}

/// Whether an absolute path under this folder begins somewhere in the line.
fn names_place(line: &str, place: &str) -> bool {
    let path = format!("/{place}/");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_-.~/)}*>".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::messages;

    fn lib(text: &str) -> Vec<String> {
        messages(check, &[("crates/ocelli-nn/src/a.rs", text)])
    }

    #[test]
    fn what_is_left_is_named() {
        assert_eq!(
            lib("fn f() { todo!() }\n"),
            ["crates/ocelli-nn/src/a.rs:1: `todo!` is left; finish it"]
        );
        let bad = "#[ignore = \"slow\"]\n#[allow(dead_code)]\n// FIXME: wrong\nunimplemented!()\n";
        assert_eq!(lib(bad).len(), 4);
        assert_eq!(messages(check, &[("a.py", "# TODO later\n")]).len(), 1);
    }

    #[test]
    fn words_elsewhere_are_fine() {
        assert!(lib("let a = \"TODO and todo!()\"; // nothing to do\n").is_empty());
        assert!(lib("struct TodoList;\n").is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_named() {
        let found =
            messages(check, &[("README.md", "open `/home/me/photos` or a/home/b or ~/tmp/x\n")]);
        let expected =
            "README.md:1: a path under /home/ exists on one machine only; make it relative";
        assert_eq!(found, [expected]);
        assert!(lib("#[cfg(test)]\nmod tests { const A: &str = \"/tmp/x\"; }\n").is_empty());
        assert_eq!(lib("const A: &str = \"/tmp/x\";\n").len(), 1);
    }
}
