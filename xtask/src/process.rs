//! Giving way to another program.

use std::process::{Command, ExitCode};

use crate::Result;

/// Becomes `command`: no parent is left between the caller and the program, so its exit status, Ctrl-C
/// and signals are its own. Returns only where it could not start.
#[cfg(unix)]
pub fn become_program(mut command: Command) -> Result {
    use std::os::unix::process::CommandExt;

    let error = command.exec();
    Err(cannot_start(&command, &error))
}

/// Runs `command` and ends as it ended.
#[cfg(not(unix))]
pub fn become_program(mut command: Command) -> Result {
    let status = command.status().map_err(|error| cannot_start(&command, &error))?;
    Ok(exit_code(status))
}

/// The status of a program that ended, as ours.
pub fn exit_code(status: std::process::ExitStatus) -> ExitCode {
    if status.success() {
        return ExitCode::SUCCESS;
    }
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => ExitCode::from(code),
        None => ExitCode::FAILURE,
    }
}

/// The message of a program that cannot be started.
pub fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("{}: {error}", command.get_program().to_string_lossy())
}
