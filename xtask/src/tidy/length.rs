//! A Rust file is one idea; more than 500 lines are several.

use super::Finding;
use super::tree::Tree;

const MOST_LINES: usize = 500;

/// Files that are tables: long, but read by looking up.
const TABLES: &[&str] = &[];

/// Names files that are too long.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let too_long = |path: &str, lines: usize| {
        let message = format!(
            "{lines} lines are more than {MOST_LINES}; give each idea its own file (tables: see \
             xtask/src/tidy/length.rs)"
        );
        Finding::new(path, lines, message)
    };
    let rust = tree.files().iter().filter(|file| file.rust.is_some());
    rust.filter(|file| !TABLES.contains(&file.path.as_str()))
        .map(|file| (file.path.as_str(), file.text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(path, lines)| too_long(path, lines))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::messages;

    #[test]
    fn long_files_are_named() {
        let (fine, long) = ("\n".repeat(MOST_LINES), "\n".repeat(MOST_LINES + 1));
        let found = messages(check, &[("a.rs", &fine), ("b.rs", &long), ("c.md", &long)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("b.rs:501: 501 lines are more than 500"), "{found:?}");
    }
}
