//! `cargo xtask tidy`: the rules of the repository that no compiler or linter knows, one file each.
//!
//! A rule reads the [`Tree`], the text of all files under version control, and names what breaks it with
//! what to do.

mod documented;
mod errors;
mod imports;
mod leftovers;
mod length;
mod links;
mod manifest;
mod printing;
mod rust;
mod tree;
mod unsafe_code;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use crate::{Result, output};
use tree::Tree;

/// What breaks a rule, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    /// From 1.
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_string(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

const RULES: &[fn(&Tree) -> Vec<Finding>] = &[
    imports::check,
    unsafe_code::check,
    documented::check,
    printing::check,
    leftovers::check,
    length::check,
    errors::check,
    links::check,
];

/// Checks every rule; fails where one is broken.
pub fn run(root: &Path, words: &[OsString]) -> Result {
    if !words.is_empty() {
        return Err("tidy takes no argument".into());
    }
    let tree = Tree::read(root)?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    findings.sort();
    for finding in &findings {
        output::line(finding)?;
    }
    match findings.len() {
        0 => {
            output::line(format_args!("tidy: {} files, nothing to say", tree.files().len()))?;
            Ok(ExitCode::SUCCESS)
        }
        count => {
            output::line(format_args!("tidy: {count} to mend"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The messages of a rule on a tree of these files, for its tests.
#[cfg(test)]
fn messages(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    rule(&Tree::of(files)).iter().map(Finding::to_string).collect()
}
