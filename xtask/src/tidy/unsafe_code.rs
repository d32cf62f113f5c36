//! `unsafe` lives in few places, and each says why it is sound.

use super::Finding;
use super::rust::{Source, has_word};
use super::tree::Tree;

/// Folders and files where `unsafe` may stand.
const ALLOWED: &[&str] = &["crates/ocelli-kernels/"];

/// Names every `unsafe` that stands elsewhere or says nothing.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        let Some(source) = &file.rust else { continue };
        let allowed = ALLOWED.iter().any(|place| file.path.starts_with(place));
        for (number, line) in source.numbered().filter(|(_, line)| has_word(line, "unsafe")) {
            let message = if !allowed {
                "`unsafe` lives in ocelli-kernels; move it there, or write it without"
            } else if is_private(line) || is_justified(source, number - 1, line) {
                continue;
            } else {
                "say above this `unsafe` why it is sound: // SAFETY: ..."
            };
            findings.push(Finding::new(&file.path, number, message));
        }
    }
    findings
}

/// Whether a function's contract concerns its file alone, or is its trait's; or this is only a function's type.
fn is_private(line: &str) -> bool {
    has_word(line, "unsafe fn") && !has_word(line, "pub")
}

/// Whether a comment on the line, or above the statement that it belongs to, justifies it.
fn is_justified(source: &Source, index: usize, line: &str) -> bool {
    let word = if has_word(line, "unsafe fn") || has_word(line, "unsafe trait") {
        "# Safety" // what callers must know
    } else {
        "SAFETY:"
    };
    let says = |index: usize| {
        let comment = &source.comments()[index];
        comment.contains(word) || comment.contains("SAFETY:")
    };
    says(index) || (0..index).rev().take_while(|&above| goes_on(&source.code()[above])).any(says)
}

/// Whether a statement may go on after this line: it is blank, a comment, an attribute or unfinished.
fn goes_on(code: &str) -> bool {
    !code.trim_end().ends_with([';', '{', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::messages;

    fn kernels(text: &str) -> Vec<String> {
        messages(check, &[("crates/ocelli-kernels/src/a.rs", text)])
    }

    #[test]
    fn justified_blocks_are_fine() {
        assert!(kernels("// SAFETY: i < n\nunsafe { f(i) }\n").is_empty());
        assert!(
            kernels("// SAFETY: i < n,\n// checked above\nlet x =\n    unsafe { f(i) };\n")
                .is_empty()
        );
        assert!(kernels("unsafe { f(i) } // SAFETY: i < n\n").is_empty());
        assert!(kernels("/// # Safety\n/// i < n\n#[inline]\npub unsafe fn f() {}\n").is_empty());
        assert!(kernels("unsafe fn f() {}\nconst F: unsafe fn() = f;\n").is_empty());
    }

    #[test]
    fn silent_ones_are_named() {
        let expected = "crates/ocelli-kernels/src/a.rs:3: say above this `unsafe` why it is sound: \
                        // SAFETY: ...";
        assert_eq!(kernels("// SAFETY: of g\ng();\nunsafe { f(i) }\n"), [expected]);
        assert_eq!(kernels("/// # Safety\nunsafe { f(i) }\n").len(), 1);
        assert_eq!(kernels("pub unsafe fn f() {}\n").len(), 1);
    }

    #[test]
    fn elsewhere_it_is_not_allowed() {
        let text = "// SAFETY: sound\nunsafe { f() }\n// unsafe\nlet a = \"unsafe\";\n";
        let found = messages(check, &[("crates/ocelli-nn/src/a.rs", text)]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("crates/ocelli-nn/src/a.rs:2: `unsafe` lives in"),
            "{found:?}"
        );
    }
}
