//! What the program does where its output cannot be written.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::process::{Command, Output};

use ocelli_tests::small_dataset;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ocelli-under-test");

/// Runs the program with nobody at the other end of its standard output, as after `| head`.
fn unread(arguments: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Command::new(PROGRAM).args(arguments).stdout(writer).output().unwrap()
}

#[track_caller]
fn ends_well(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("panicked"), "{said}");
}

#[test]
fn a_reader_that_goes_ends_the_program_well() {
    ends_well(&unread(&["models", "list"]));
    ends_well(&unread(&["models", "resnet20_cifar", "--summary"]));
    ends_well(&unread(&["dataset", "list"]));
    ends_well(&unread(&["--help"]));
}

#[test]
fn a_run_goes_on_without_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (folder.path().join("data"), folder.path().join("run"));
    small_dataset(&data);
    let out = run.to_str().unwrap();
    ends_well(&unread(&["finetune", data.to_str().unwrap(), "--epochs", "1", "--out", out]));
    assert!(run.join("report.html").is_file());
}

#[test]
fn errors_need_no_reader_either() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(PROGRAM).args(["models", "resnet19"]).stderr(writer).status();
    assert_eq!(status.unwrap().code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(PROGRAM).args(["models", "list"]).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("cannot write to standard output"), "{said}");
}
