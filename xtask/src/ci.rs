//! `cargo xtask ci`: the same as `.ci/run`.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::{Result, process};

/// Hands over to the script.
pub fn run(root: &Path, words: &[OsString]) -> Result {
    let mut script = Command::new("bash");
    script.arg(root.join(".ci/run")).args(words).current_dir(root);
    process::become_program(script)
}
