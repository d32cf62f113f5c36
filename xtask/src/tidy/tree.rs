//! The files that the rules read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::rust::Source;
use crate::Result;

/// Folders that a walk leaves out where there is no git to ask.
const NOT_OURS: &[&str] = &[".git", "target", "runs", "__pycache__"];

/// The text of all files under version control.
pub struct Tree {
    files: Vec<File>,
    /// Where modules that only tests compile live: `crates/a/src/tests`, without `.rs`.
    test_modules: BTreeSet<String>,
    /// Paths that exist, text or not.
    paths: BTreeSet<String>,
}

/// One text file.
pub struct File {
    /// From the top of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// Rust, taken apart; `None` for other files.
    pub rust: Option<Source>,
}

impl Tree {
    /// Reads what git tracks below `root`; where there is no git, everything but build results.
    pub fn read(root: &Path) -> Result<Self> {
        let paths = match tracked(root) {
            Some(paths) => paths,
            None => walk(root)?,
        };
        let mut files = Vec::new();
        let mut present = BTreeSet::new();
        for path in paths {
            match fs::read(root.join(&path)) {
                Ok(bytes) => {
                    present.insert(path.clone());
                    if let Ok(text) = String::from_utf8(bytes) {
                        files.push(File::new(path, text));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{path}: {error}")),
            }
        }
        Ok(Self::new(files, present))
    }

    fn new(files: Vec<File>, paths: BTreeSet<String>) -> Self {
        let test_modules = files.iter().flat_map(File::test_modules).collect();
        Self { files, test_modules, paths }
    }

    /// A tree of these paths and texts.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let paths = files.iter().map(|(path, _)| path.to_string()).collect();
        let file = |(path, text): &(&str, &str)| File::new(path.to_string(), text.to_string());
        Self::new(files.iter().map(file).collect(), paths)
    }

    /// All text files.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The manifests of the workspace's packages: those of crates, tests and xtask.
    pub fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| {
            file.path.ends_with("/Cargo.toml") && !file.path.starts_with("examples/")
        })
    }

    /// Whether there is such a file, or a folder with files.
    pub fn exists(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self.paths.contains(path)
            || self.paths.range(folder.clone()..).next().is_some_and(|p| p.starts_with(&folder))
    }

    /// Whether only tests, benchmarks or examples see this line of a Rust file.
    pub fn is_test(&self, file: &File, line: usize) -> bool {
        let in_folder = |name: &str| file.path.split('/').any(|part| part == name);
        ["tests", "benches", "examples"].into_iter().any(in_folder)
            || self.test_modules.iter().any(|module| {
                file.path
                    .strip_prefix(module)
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            })
            || file.rust.as_ref().is_some_and(|source| source.is_test(line))
    }
}

impl File {
    fn new(path: String, text: String) -> Self {
        let rust = path.ends_with(".rs").then(|| Source::new(&text));
        Self { path, text, rust }
    }

    /// `ocelli-core` for `crates/ocelli-core/src/lib.rs`, `xtask` for `xtask/src/main.rs`.
    pub fn package(&self) -> &str {
        let path = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        path.split('/').next().unwrap_or_default()
    }

    /// Where the modules live that this file declares for tests only.
    fn test_modules(&self) -> Vec<String> {
        let Some(source) = &self.rust else { return Vec::new() };
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let folder = match stem.rsplit_once('/') {
            Some((folder, "mod" | "lib" | "main")) => folder,
            _ => stem,
        };
        source.test_modules().iter().map(|name| format!("{folder}/{name}")).collect()
    }
}

/// What git tracks, or `None` where there is no git or no repository.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().ok()?;
    let paths = git.stdout.split(|&byte| byte == 0).filter(|path| !path.is_empty());
    let paths: Vec<_> = paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    (git.status.success() && !paths.is_empty()).then_some(paths)
}

fn walk(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let at = root.join(&folder);
        let fault = |error: std::io::Error| format!("{}: {error}", at.display());
        for entry in fs::read_dir(&at).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(fault)?;
            if kind.is_dir() && !NOT_OURS.iter().any(|name| *entry.file_name() == **name) {
                folders.push(path);
            } else if kind.is_file() {
                paths.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_tests_are_tests_wherever_their_file_is() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "#[cfg(test)]\nmod testing;\nmod b;\n"),
            ("crates/a/src/testing.rs", "x\n"),
            ("crates/a/src/testing/more.rs", "x\n"),
            ("crates/a/src/b.rs", "#[cfg(test)]\nmod checks;\n"),
            ("crates/a/src/b/checks.rs", "x\n"),
            ("crates/a/src/b/testing.rs", "x\n"),
            ("crates/a/examples/look.rs", "x\n"),
        ]);
        let tests: Vec<_> = tree.files().iter().map(|file| tree.is_test(file, 1)).collect();
        assert_eq!(tests, [true, true, true, true, true, false, true]);
        assert!(!tree.is_test(&tree.files()[0], 3));
    }

    #[test]
    fn folders_exist_where_they_have_files() {
        let tree = Tree::of(&[("a/b/c.md", ""), ("a/bc.md", "")]);
        let there =
            ["a", "a/b", "a/b/c.md", "a/bc.md", "a/c", "a/b/c"].map(|path| tree.exists(path));
        assert_eq!(there, [true, true, true, true, false, false]);
    }

    #[test]
    fn without_git_everything_but_build_results_is_read() {
        let root = std::env::temp_dir().join(format!("xtask-walk-{}", std::process::id()));
        for file in ["src/lib.rs", "target/debug/x.rs", ".ci/run"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut paths = walk(&root).unwrap();
        paths.sort();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(paths, [".ci/run", "src/lib.rs"]);
    }
}
