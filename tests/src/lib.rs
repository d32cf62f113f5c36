//! What the end-to-end tests share: running the program, small datasets, and real data where it is given.

#![allow(clippy::print_stdout)] // a skipped check says so

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use ocelli::data::solids::{SolidsConfig, generate};

/// What a command printed, and whether it succeeded.
pub struct Ran {
    /// Exit status 0.
    pub ok: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs the program at `path` with arguments.
///
/// # Panics
/// Where it cannot be started.
pub fn run<S: AsRef<std::ffi::OsStr>>(path: &str, arguments: &[S]) -> Ran {
    let output = Command::new(path).args(arguments).output();
    let Ok(Output { status, stdout, stderr }) = output else { panic!("{path} cannot be started") };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { ok: status.success(), out: text(stdout), err: text(stderr) }
}

/// A dataset of ten classes with a few small pictures each, drawn into `folder`.
///
/// # Panics
/// Where the folder cannot be written.
pub fn small_dataset(folder: &Path) {
    let config = SolidsConfig {
        size: 16,
        train_per_class: 4,
        val_per_class: 1,
        test_per_class: 2,
        ..SolidsConfig::default()
    };
    if let Err(error) = generate(folder, &config, &|_, _| {}) {
        panic!("{error}");
    }
}

/// The folder of real photos and weights that `OCELLI_TEST_DATA` names, or none where it is not set: the check
/// `name` is then skipped, and says so.
///
/// # Panics
/// Where the variable is set and the folder lacks what its README lists.
pub fn real_data(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("OCELLI_TEST_DATA").map(PathBuf::from) else {
        log(&format!("skipped {name}"));
        println!("{name}: skipped, OCELLI_TEST_DATA is not set");
        return None;
    };
    for part in [
        "README.md",
        "cifar10-jpeg.tar.xz",
        "clothing-small.tar",
        "imagenet-sample-500.tar",
        "weights",
    ] {
        assert!(
            folder.join(part).exists(),
            "OCELLI_TEST_DATA is {}, which has no {part}; unset it to skip the checks on real data",
            folder.display()
        );
    }
    log(&format!("ran {name}"));
    Some(folder)
}

/// Appends a line to the file that `OCELLI_TEST_LOG` names, if any: CI counts them.
fn log(line: &str) {
    let Some(path) = std::env::var_os("OCELLI_TEST_LOG") else { return };
    if let Ok(mut file) = File::options().create(true).append(true).open(path) {
        let _ = writeln!(file, "{line}"); // a log that cannot be written shows in the count
    }
}

static UNPACKING: Mutex<()> = Mutex::new(());

/// Unpacks the files of an archive whose path `wanted` accepts into a folder below `into`, once.
///
/// # Panics
/// Where the archive is damaged or the folder cannot be written.
pub fn unpack(archive: &Path, into: &Path, wanted: impl Fn(&Path) -> bool) -> PathBuf {
    let _one_at_a_time = UNPACKING.lock();
    let stem = archive
        .file_name()
        .map(|name| name.to_string_lossy().replace('.', "-"))
        .unwrap_or_default();
    let folder = into.join(stem);
    if folder.join("whole").exists() {
        return folder;
    }
    if let Err(error) = unpack_into(archive, &folder, wanted) {
        panic!("{}: {error}", archive.display());
    }
    folder
}

fn unpack_into(
    archive: &Path,
    folder: &Path,
    wanted: impl Fn(&Path) -> bool,
) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = File::open(archive)?;
    let packed = archive.extension().is_some_and(|extension| extension == "xz");
    let reader: Box<dyn std::io::Read> =
        if packed { Box::new(liblzma::read::XzDecoder::new(file)) } else { Box::new(file) };
    for entry in tar::Archive::new(reader).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() && wanted(&entry.path()?) {
            entry.unpack_in(folder)?;
        }
    }
    File::create(folder.join("whole"))?;
    Ok(())
}
