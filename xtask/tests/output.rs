//! What the commands do where nobody reads their output.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::process::Command;

#[test]
fn a_reader_that_goes_ends_the_command_well() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let command = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("help").stdout(writer).output();
    let output = command.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
