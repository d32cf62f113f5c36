//! Developer commands of the workspace: `cargo xtask WORD`.
//!
//! `ci`, `tidy`, `golden` and `help` are answered here. Every other word goes to the release build of
//! the `ocelli` program unchanged, so that `cargo xtask finetune ...` is all a newcomer has to type.
//! Nothing of the workspace is a dependency: this builds in seconds.

mod ci;
mod golden;
mod output;
mod process;
mod program;
mod tidy;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a command ends with: a status, or the message of what went wrong.
type Result<T = ExitCode> = std::result::Result<T, String>;

const HELP: &str = "\
Developer commands of the ocelli workspace

  cargo xtask ci                   everything a change must pass: format, lints, docs, tests, examples
  cargo xtask tidy                 the rules of the repository that no other tool knows
  cargo xtask golden               lists the scripts that make golden values, and how to run them
  cargo xtask help                 this text

Every other word goes to the release build of the ocelli program, which is built first:

  cargo xtask finetune             = ocelli finetune
  cargo xtask finetune --help      what it can do, with an example
  cargo xtask --help               all its commands";

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    run(&words).unwrap_or_else(|message| {
        output::warn(format_args!("xtask: {message}"));
        ExitCode::from(2)
    })
}

fn run(words: &[OsString]) -> Result {
    let (first, rest) = match words.split_first() {
        Some((first, rest)) => (first.to_string_lossy(), rest),
        None => ("help".into(), words),
    };
    match (&*first, rest) {
        ("help", []) => help(),
        ("ci", _) => ci::run(&root()?, rest),
        ("tidy", _) => tidy::run(&root()?, rest),
        ("golden", _) => golden::run(&root()?, rest),
        _ => program::run(&root()?, words),
    }
}

fn help() -> Result {
    output::line(HELP)?;
    Ok(ExitCode::SUCCESS)
}

/// The top folder of the repository: the one above this package's.
fn root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .ok_or("CARGO_MANIFEST_DIR is not set; run me through cargo, as `cargo xtask`")?;
    let parent = Path::new(&package).parent().ok_or("this package has no parent folder")?;
    Ok(parent.to_path_buf())
}
