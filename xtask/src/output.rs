//! What the commands print. `println!` panics where nobody reads on (`cargo xtask tidy | head`).

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use crate::Result;

/// Prints a line on standard output. Where nobody reads it is lost, and the command goes on: its status still counts.
pub fn line(text: impl Display) -> Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Prints a line on standard error. Where that fails there is nobody left to tell.
pub fn warn(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
