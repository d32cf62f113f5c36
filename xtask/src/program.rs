//! Every other word: builds the release `ocelli` program and becomes it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use crate::{Result, process};

/// Builds the program, then becomes it with `words`. Relative paths among them mean the caller's folder.
pub fn run(root: &Path, words: &[OsString]) -> Result {
    match build(root)? {
        Ok(program) => {
            let mut command = Command::new(program);
            command.args(words);
            process::become_program(command)
        }
        Err(failed) => Ok(failed),
    }
}

/// The path of the built program, or cargo's status where the build failed. Cargo shows its progress.
fn build(root: &Path) -> Result<std::result::Result<PathBuf, ExitCode>> {
    let mut cargo = Command::new(env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo
        .args(["build", "--release", "--package", "ocelli-cli", "--bin", "ocelli"])
        .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let Output { status, stdout, .. } =
        cargo.output().map_err(|error| process::cannot_start(&cargo, &error))?;
    if !status.success() {
        return Ok(Err(process::exit_code(status)));
    }
    match String::from_utf8_lossy(&stdout).lines().rev().find_map(executable) {
        Some(program) => Ok(Ok(program)),
        None => Err("cargo built the program but did not say where it is".into()),
    }
}

/// The path in a line of cargo's messages that announces a program.
fn executable(message: &str) -> Option<PathBuf> {
    const KEY: &str = r#""executable":""#;
    if !message.starts_with(r#"{"reason":"compiler-artifact""#) {
        return None;
    }
    let mut rest = message[message.find(KEY)? + KEY.len()..].chars();
    let mut path = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(path.into()),
            '\\' => path.push(rest.next()?),
            other => path.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_program_names_it() {
        let program =
            r#"{"reason":"compiler-artifact","executable":"C:\\a \"b\"\\ocelli.exe","fresh":true}"#;
        assert_eq!(executable(program), Some(PathBuf::from(r#"C:\a "b"\ocelli.exe"#)));
    }

    #[test]
    fn other_messages_name_none() {
        let library = r#"{"reason":"compiler-artifact","executable":null,"fresh":true}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
