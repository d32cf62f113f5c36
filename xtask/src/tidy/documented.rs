//! Every package inherits the workspace's lints, `missing_docs` among them, and says what it is.

use super::Finding;
use super::manifest::{self, Entry};
use super::tree::{File, Tree};

/// Names packages without lints, description or README, and a workspace that asks for no documentation.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tree.manifests().flat_map(check_package).collect();
    for manifest in tree.manifests().filter(|file| file.path.starts_with("crates/")) {
        let readme = manifest.path.replace("Cargo.toml", "README.md");
        if !tree.exists(&readme) {
            findings.push(Finding::new(
                &readme,
                1,
                "missing; say what the crate is for and show a use",
            ));
        }
    }
    let root = tree.files().iter().find(|file| file.path == "Cargo.toml");
    if root.is_some_and(|root| !has(root, "workspace.lints.rust", "missing_docs")) {
        let message = "[workspace.lints.rust] must have missing_docs = \"warn\"";
        findings.push(Finding::new("Cargo.toml", 1, message));
    }
    findings
}

fn check_package(package: &File) -> Vec<Finding> {
    let finding = |message: &str| Finding::new(&package.path, 1, message);
    let inherits = has(package, "lints", "workspace");
    let described = manifest::entries(&package.text).iter().any(|entry| {
        entry.table == "package" && entry.key == "description" && entry.value.len() > "\"\"".len()
    });
    let mut findings = Vec::new();
    if !inherits {
        findings.push(finding(
            "add `[lints] workspace = true`, so that every public item is documented",
        ));
    }
    if !described {
        findings.push(finding("add a description: what the package is for, in one line"));
    }
    findings
}

fn has(file: &File, table: &str, key: &str) -> bool {
    manifest::entries(&file.text)
        .iter()
        .any(|entry: &Entry| entry.table == table && entry.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::messages;

    const GOOD: &str = "[package]\ndescription = \"A\"\n[lints]\nworkspace = true\n";

    #[test]
    fn a_documented_crate_is_fine() {
        let files = [("crates/a/Cargo.toml", GOOD), ("crates/a/README.md", "")];
        assert!(messages(check, &files).is_empty());
        assert!(messages(check, &[("xtask/Cargo.toml", GOOD)]).is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let bad = "[package]\ndescription = \"\"\n";
        let found = messages(check, &[("crates/a/Cargo.toml", bad)]);
        assert_eq!(found.len(), 3);
        assert!(found[2].starts_with("crates/a/README.md:1: missing"), "{found:?}");
    }

    #[test]
    fn the_workspace_asks_for_documentation() {
        assert_eq!(messages(check, &[("Cargo.toml", "[workspace]\n")]).len(), 1);
        let good = "[workspace.lints.rust]\nmissing_docs = \"warn\"\n";
        assert!(messages(check, &[("Cargo.toml", good)]).is_empty());
    }
}
