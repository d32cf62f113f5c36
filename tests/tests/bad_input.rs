//! Everything a user can get wrong: a clear message, a non-zero exit, nothing lost.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ocelli_tests::{Ran, run, small_dataset};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ocelli-under-test");

/// A folder with a small dataset in `data`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        small_dataset(&place.join("data"));
        place
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn finetune(&self, flags: &[&str]) -> Ran {
        let (data, out) = (self.join("data"), self.join("run"));
        let mut arguments = vec!["finetune"];
        let out = out.to_str().unwrap();
        for (flag, value) in
            [("--image-size", "16"), ("--epochs", "1"), ("--batch-size", "8"), ("--out", out)]
        {
            if !flags.contains(&flag) {
                arguments.extend([flag, value]);
            }
        }
        if flags.first().is_none_or(|flag| flag.starts_with('-')) {
            arguments.push(data.to_str().unwrap());
        }
        arguments.extend(flags);
        run(PROGRAM, &arguments)
    }
}

#[track_caller]
fn refused(ran: &Ran, words: &[&str]) {
    assert!(!ran.ok, "it succeeded: {}", ran.out);
    for word in words {
        assert!(ran.err.contains(word), "no `{word}` in: {}", ran.err);
    }
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

fn first_picture(folder: &Path) -> PathBuf {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

#[test]
fn folders_that_are_no_dataset() {
    let place = Place::new();
    refused(&place.finetune(&["nowhere/photos"]), &["nowhere/photos", "does not exist"]);
    std::fs::create_dir_all(place.join("empty")).unwrap();
    refused(&place.finetune(&[place.join("empty").to_str().unwrap()]), &["empty", "class folder"]);
    std::fs::create_dir_all(place.join("data/train/zebra")).unwrap();
    refused(&place.finetune(&[]), &["zebra", "no image"]);
    std::fs::create_dir_all(place.join("one")).unwrap();
    std::fs::rename(place.join("data/train/cube"), place.join("one/cube")).unwrap();
    refused(&place.finetune(&[place.join("one").to_str().unwrap()]), &["cube", "at least two"]);
}

#[test]
fn files_that_are_no_pictures() {
    let place = Place::new();
    let text = place.join("data/train/cube/notes.jpg");
    std::fs::write(&text, "not a picture").unwrap();
    refused(&place.finetune(&[]), &["notes.jpg", "--max-bad"]);
    let _ = std::fs::remove_dir_all(place.join("run"));
    let ran = place.finetune(&["--max-bad", "0.1"]);
    assert!(ran.ok, "{}", ran.err);
    let page = std::fs::read_to_string(place.join("run/report.html")).unwrap();
    assert!(page.contains("notes.jpg"), "the report must name the file that was skipped");
    std::fs::remove_file(&text).unwrap();
    std::fs::remove_dir_all(place.join("run")).unwrap();
    let picture = first_picture(&place.join("data/train/cube"));
    let whole = std::fs::read(&picture).unwrap();
    std::fs::write(&picture, &whole[..whole.len() / 2]).unwrap();
    refused(&place.finetune(&[]), &[picture.file_name().unwrap().to_str().unwrap(), "truncated"]);
}

#[test]
fn weights_that_do_not_fit() {
    let place = Place::new();
    let run_once = place.finetune(&[]);
    assert!(run_once.ok, "{}", run_once.err);
    let weights = place.join("run/model/model.safetensors");
    let other = place.finetune(&[
        "--model",
        "resnet32_cifar",
        "--weights",
        weights.to_str().unwrap(),
        "--out",
        "x",
    ]);
    refused(&other, &["resnet32_cifar", "does not fit", "missing"]);
    let bytes = std::fs::read(&weights).unwrap();
    let cut = place.join("cut.safetensors");
    std::fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    let cut = cut.to_str().unwrap();
    refused(
        &place.finetune(&["--model", "resnet20_cifar", "--weights", cut, "--out", "x"]),
        &["cut.safetensors"],
    );
    refused(
        &place.finetune(&[
            "--model",
            "squeezenet1_1",
            "--weights",
            weights.to_str().unwrap(),
            "--out",
            "x",
        ]),
        &["another architecture"],
    );
    refused(
        &place.finetune(&["--model", "resnet19", "--weights", cut, "--out", "x"]),
        &["resnet19", "models list"],
    );
    let config = place.join("run/model/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("\"cube\",", "", 1)).unwrap();
    let model = place.join("run/model");
    let picture = first_picture(&place.join("data/train/cube"));
    let predicted = run(PROGRAM, &["predict", model.to_str().unwrap(), picture.to_str().unwrap()]);
    refused(&predicted, &["config.json", "9 label names", "10 classes"]);
    assert!(!Path::new("x").exists(), "a refused run must leave no folder");
}

#[test]
fn settings_that_make_no_sense() {
    let place = Place::new();
    refused(&place.finetune(&["--lr", "nan"]), &["learning_rate", "NaN"]);
    refused(&place.finetune(&["--lr", "-1"]), &["learning_rate", "-1"]);
    refused(&place.finetune(&["--epochs", "0"]), &["epochs", "at least 1"]);
    refused(&place.finetune(&["--scope", "some"]), &["--scope"]);
    refused(&place.finetune(&["--scope", "17"]), &["scope", "17"]);
    refused(&place.finetune(&["--batch-size", "0"]), &["batch"]);
    refused(&place.finetune(&["--model", "resnet18"]), &["--weights"]);
    refused(&place.finetune(&["--model-arg", "pad_type=same"]), &["pad_type"]);
    refused(&place.finetune(&["--min-scale", "2"]), &["scale"]);
    refused(&place.finetune(&["--image-size", "0"]), &["preprocessing", "pixels a side"]);
    let recipe = place.join("recipe.toml");
    std::fs::write(&recipe, "[train]\nepoch = 3\n").unwrap();
    refused(&place.finetune(&["--recipe", recipe.to_str().unwrap()]), &["recipe.toml", "epoch"]);
    std::fs::write(&recipe, "threads = 100000\n[model]\nweights = \"bundled\"\n").unwrap();
    let wanted = ["threads in the recipe", "1024 at most"];
    refused(&place.finetune(&["--recipe", recipe.to_str().unwrap()]), &wanted);
    assert!(!place.join("run").exists(), "a refused run must leave no folder");
}

#[test]
fn folders_that_cannot_be_written() {
    let place = Place::new();
    let under_a_file = first_picture(&place.join("data/train/cube")).join("run");
    refused(&place.finetune(&["--out", under_a_file.to_str().unwrap()]), &["run", "cannot write"]);
    assert!(place.finetune(&[]).ok);
    let before = std::fs::read(place.join("run/model/model.safetensors")).unwrap();
    refused(&place.finetune(&[]), &["holds a run already", "--resume"]);
    let data = place.join("data");
    refused(
        &run(PROGRAM, &["finetune", "--resume", data.to_str().unwrap()]),
        &["no run folder", "recipe.toml"],
    );
    // A run goes on with its own settings.
    let folder = place.join("run");
    for flags in [&["--epochs", "8"][..], &["--bf16"], &["--balanced"], &["--model", "resnet18"]] {
        let resume = ["finetune", "--resume", folder.to_str().unwrap()];
        let ran = run(PROGRAM, &[&resume[..], flags].concat());
        refused(&ran, &["cannot be used with", flags[0]]);
    }
    assert_eq!(std::fs::read(place.join("run/model/model.safetensors")).unwrap(), before);
}

#[test]
fn photos_that_cannot_be_predicted() {
    let place = Place::new();
    assert!(place.finetune(&[]).ok);
    let model = place.join("run/model");
    let picture = first_picture(&place.join("data/train/cube"));
    let answer = run(
        PROGRAM,
        &["predict", model.to_str().unwrap(), "nowhere.jpg", picture.to_str().unwrap()],
    );
    refused(&answer, &["nowhere.jpg", "1 of 2"]);
    assert!(answer.out.contains('%'), "the other photo must be answered: {}", answer.out);
    // A folder stands for its photos.
    let (cubes, none) = (place.join("data/train/cube"), place.join("none"));
    std::fs::create_dir(&none).unwrap();
    let answer = run(PROGRAM, &["predict", model.to_str().unwrap(), cubes.to_str().unwrap()]);
    assert!(answer.ok, "{}", answer.err);
    let photos = std::fs::read_dir(&cubes).unwrap().count();
    assert_eq!(answer.out.matches("cube/").count(), photos, "{}", answer.out);
    let answer = run(PROGRAM, &["predict", model.to_str().unwrap(), none.to_str().unwrap()]);
    refused(&answer, &["none has no photos"]);
    let data = place.join("data").to_str().unwrap().to_string();
    refused(&run(PROGRAM, &["evaluate", &data]), &["--weights"]);
    refused(
        &run(PROGRAM, &["evaluate", &data, "--model", model.to_str().unwrap()]),
        &["is a path", "--weights"],
    );
    refused(
        &run(PROGRAM, &["predict", "nowhere", "x.jpg"]),
        &["nowhere", "no such file or folder"],
    );
    let run_folder = place.join("run").to_str().unwrap().to_string();
    refused(&run(PROGRAM, &["predict", &run_folder, "x.jpg"]), &["model.safetensors", "model/"]);
    std::fs::remove_file(model.join("config.json")).unwrap();
    refused(
        &run(PROGRAM, &["predict", model.to_str().unwrap(), "x.jpg"]),
        &["config.json", "architecture"],
    );
}

/// Ctrl-C once ends in good order and the run can go on; twice ends at once and leaves whole files.
#[cfg(unix)]
#[test]
fn ctrl_c_loses_nothing() {
    let place = Place::new();
    let (data, out) = (place.join("data"), place.join("run"));
    let arguments = [
        "finetune",
        data.to_str().unwrap(),
        "--image-size",
        "48",
        "--batch-size",
        "8",
        "--epochs",
        "500",
    ];
    for signals in [1, 2] {
        let mut command = Command::new(PROGRAM);
        if signals == 1 {
            command.args(arguments).args(["--out", out.to_str().unwrap()]);
        } else {
            command.args(["finetune", "--resume", out.to_str().unwrap()]);
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let last = out.join("checkpoints/last.safetensors");
        let before = std::fs::metadata(&last).and_then(|data| data.modified()).ok();
        let begun = Instant::now();
        while std::fs::metadata(&last).and_then(|data| data.modified()).ok() == before {
            assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint was written");
            std::thread::sleep(Duration::from_millis(20));
        }
        for _ in 0..signals {
            let id = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(signals == 2 || said.contains("--resume"), "{said}");
        ocelli::train::Checkpoint::open(&last).unwrap();
    }
}
