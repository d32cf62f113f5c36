//! What the program prints. All of it goes through here: `println!` panics where nobody reads on (`ocelli ... | head`).

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};

use anyhow::Context;

/// Whoever read standard output has gone. Nothing went wrong, and there is nothing left to do.
#[derive(Debug)]
pub struct Closed;

impl Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for Closed {}

/// Prints a line on standard output.
///
/// # Errors
/// [`Closed`] where nobody reads it; the system's error where it cannot be written, to a full disk for instance.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints a line on standard error. Where that fails there is nobody left to tell.
pub fn warn(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
