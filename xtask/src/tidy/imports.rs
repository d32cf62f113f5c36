//! Which crate may be built on which: the table of ARCHITECTURE.md, kept true.
//!
//! Dependencies of tests are free. A new crate wants a row here.

use super::Finding;
use super::manifest;
use super::tree::{File, Tree};

/// What a crate may import of the workspace, and whether it may know candle.
struct Row {
    name: &'static str,
    imports: &'static [&'static str],
    candle: Candle,
}

#[derive(Clone, Copy, PartialEq)]
enum Candle {
    Known,
    Unknown,
}

use Candle::{Known, Unknown};

const fn row(name: &'static str, imports: &'static [&'static str], candle: Candle) -> Row {
    Row { name, imports, candle }
}

/// `ocelli-` is left out of all names but the facade's.
const TABLE: &[Row] = &[
    row("core", &[], Unknown),
    row("kernels", &[], Unknown),
    row("graph", &[], Unknown),
    row("metrics", &[], Unknown),
    row("augment", &["core"], Unknown),
    row("data", &["core"], Unknown),
    row("nn", &["core", "kernels", "graph"], Known),
    row("models", &["core", "nn"], Known),
    row("train", &["core", "nn", "metrics"], Known),
    row("infer", &["core", "kernels", "graph"], Unknown),
    row("export", &["core", "nn", "models", "graph", "infer"], Known),
    row(
        "ocelli",
        &[
            "core", "kernels", "graph", "metrics", "augment", "data", "nn", "models", "infer",
            "train", "export",
        ],
        Known,
    ),
    row("cli", &["ocelli"], Unknown),
];

/// Names every dependency that the table does not have.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.manifests()
        .flat_map(|manifest| match manifest.path.strip_prefix("crates/") {
            Some(_) => check_crate(manifest),
            None if manifest.package() == "xtask" => check_xtask(manifest),
            None => Vec::new(),
        })
        .collect()
}

fn check_crate(manifest: &File) -> Vec<Finding> {
    let name = short(manifest.package());
    let Some(row) = TABLE.iter().find(|row| row.name == name) else {
        let message = format!(
            "{name} has no row in xtask/src/tidy/imports.rs; add it, and to ARCHITECTURE.md"
        );
        return vec![Finding::new(&manifest.path, 1, message)];
    };
    let fault = |dependency: &manifest::Dependency| {
        let message = fault(row, dependency.name)?;
        Some(Finding::new(&manifest.path, dependency.line, message))
    };
    manifest::dependencies(&manifest.text).iter().filter_map(fault).collect()
}

fn fault(row: &Row, dependency: &str) -> Option<String> {
    let name = row.name;
    if dependency.starts_with("candle-") && row.candle == Unknown {
        return Some(format!(
            "{name} must not know candle; take slices, or move what needs tensors to nn or above"
        ));
    }
    let ours = dependency == "ocelli" || dependency.starts_with("ocelli-");
    let import = short(dependency);
    if !ours || row.imports.contains(&import) {
        return None;
    }
    let allowed = match row.imports {
        [] => "no other crate".to_string(),
        imports => imports.join(", "),
    };
    Some(format!(
        "{name} may import {allowed}, and not {import}; a trait or type that both need belongs in core"
    ))
}

fn check_xtask(manifest: &File) -> Vec<Finding> {
    let ours = |found: &manifest::Dependency| found.name.starts_with("ocelli");
    let dependencies = manifest::dependencies(&manifest.text);
    let finding = |found: &manifest::Dependency| {
        let message =
            format!("xtask must build in seconds, without {}; run the program instead", found.name);
        Finding::new(&manifest.path, found.line, message)
    };
    dependencies.iter().filter(|found| ours(found)).map(finding).collect()
}

fn short(package: &str) -> &str {
    package.strip_prefix("ocelli-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::messages;

    fn of(path: &str, dependencies: &str) -> Vec<String> {
        messages(check, &[(path, &format!("[dependencies]\n{dependencies}\n"))])
    }

    #[test]
    fn what_the_table_has_is_fine() {
        assert!(
            of("crates/ocelli-data/Cargo.toml", "ocelli-core.workspace = true\nserde = \"1\"")
                .is_empty()
        );
        assert!(of("crates/ocelli-nn/Cargo.toml", "candle-core.workspace = true").is_empty());
        assert!(of("tests/Cargo.toml", "ocelli-core.workspace = true").is_empty());
        let dev = "[dev-dependencies]\nocelli-data.workspace = true\n";
        assert!(messages(check, &[("crates/ocelli-core/Cargo.toml", dev)]).is_empty());
    }

    #[test]
    fn what_it_has_not_is_named() {
        let expected = "crates/ocelli-data/Cargo.toml:2: data may import core, and not nn; \
                        a trait or type that both need belongs in core";
        assert_eq!(of("crates/ocelli-data/Cargo.toml", "ocelli-nn.workspace = true"), [expected]);
        assert_eq!(of("crates/ocelli-core/Cargo.toml", "ocelli = \"1\"").len(), 1);
        assert_eq!(of("crates/ocelli-cli/Cargo.toml", "ocelli-core = \"1\"").len(), 1);
    }

    #[test]
    fn low_crates_know_no_candle() {
        let found = of("crates/ocelli-metrics/Cargo.toml", "candle-core = \"1\"");
        assert!(found[0].contains("metrics must not know candle"), "{found:?}");
    }

    #[test]
    fn xtask_stands_alone() {
        assert_eq!(of("xtask/Cargo.toml", "ocelli-core = \"1\"").len(), 1);
    }

    #[test]
    fn a_new_crate_wants_a_row() {
        assert!(of("crates/ocelli-new/Cargo.toml", "")[0].contains("new has no row"));
    }
}
