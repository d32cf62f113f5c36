//! From pictures to a model folder and back, through the program and through the facade.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::path::Path;
use std::process::Command;

use ocelli::train::{Control, Event, Observer, Silent};
use ocelli::{Error, Recipe, finetune, resume};
use ocelli_tests::{run, small_dataset};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ocelli-under-test");

fn recipe(data: &Path, out: &Path) -> Recipe {
    let mut recipe = Recipe::bundled().unwrap();
    recipe.data.path = data.to_path_buf();
    recipe.out = Some(out.to_path_buf());
    recipe.preprocess.image_size = Some(16);
    recipe.data.batch_size = 8;
    recipe.train.epochs = 3;
    recipe.augment.mixup = 0.2;
    recipe
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model/model.safetensors")).unwrap()
}

#[test]
fn a_folder_of_pictures_becomes_a_model_that_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    small_dataset(&folder.path().join("data"));
    let (data, out) = (path("data"), path("run"));
    let ran =
        run(PROGRAM, &["finetune", &data, "--image-size", "16", "--epochs", "1", "--out", &out]);
    assert!(ran.ok, "{}", ran.err);
    for wanted in ["epoch   1", "precision", "macro average", "20 test images", "report.html"] {
        assert!(ran.out.contains(wanted), "no `{wanted}` in:\n{}", ran.out);
    }
    for file in [
        "recipe.toml",
        "epochs.jsonl",
        "report.html",
        "model/config.json",
        "checkpoints/last.safetensors",
    ] {
        assert!(folder.path().join("run").join(file).is_file(), "{file}");
    }
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(
        page.contains("<svg") && page.contains("resnet20_cifar") && !page.contains("http://"),
        "{page}"
    );

    let model = path("run/model");
    let judged = run(PROGRAM, &["evaluate", &data, "--weights", &model, "--json"]);
    let judged: serde_json::Value = serde_json::from_str(&judged.out).unwrap();
    assert_eq!(judged["count"], 20);
    assert!(ran.out.contains(&format!("({} of 20 test images)", judged["correct"])), "{}", ran.out);

    let photo = std::fs::read_dir(folder.path().join("data/test/cube"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let predict = |flags: &[&str]| {
        let flags = [&["predict", &model, photo.to_str().unwrap(), "--json"], flags].concat();
        let answer: serde_json::Value = serde_json::from_str(&run(PROGRAM, &flags).out).unwrap();
        answer["predictions"].as_array().unwrap().clone()
    };
    let predictions = predict(&["--top", "10"]);
    let probability = |p: &serde_json::Value| p["probability"].as_f64().unwrap();
    let sum: f64 = predictions.iter().map(probability).sum();
    assert_eq!(predictions.len(), 10);
    assert!((sum - 1.0).abs() < 1e-5 && predictions.iter().any(|p| p["name"] == "cube"));
    let [all, rounded] = [&["--top", "1"][..], &["--top", "1", "--bf16"]].map(predict);
    assert_eq!(all[0], predictions[0]);
    let off = (probability(&all[0]) - probability(&rounded[0])).abs();
    assert!(off > 0.0 && off < 0.05, "bf16 is off by {off}");
    let table = run(PROGRAM, &["predict", &model, photo.to_str().unwrap()]);
    assert_eq!(table.out.lines().count(), 6, "{}", table.out);
}

#[test]
fn runs_are_numbered() {
    let folder = tempfile::tempdir().unwrap();
    small_dataset(&folder.path().join("data"));
    let arguments = ["finetune", "data", "--image-size", "16", "--epochs", "1"];
    let runs = [(); 2].map(|()| {
        Command::new(PROGRAM).args(arguments).current_dir(folder.path()).output().unwrap().status
    });
    assert!(runs.iter().all(|status| status.success()));
    assert!(["data-1", "data-2"].iter().all(|run| folder.path().join("runs").join(run).is_dir()));
}

/// Stops after a number of steps.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn hear(&mut self, event: Event<'_>) -> Control {
        if matches!(event, Event::Step { .. }) {
            self.0 -= 1;
        }
        if self.0 == 0 { Control::Stop } else { Control::Continue }
    }
}

#[test]
fn a_stopped_run_ends_at_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    small_dataset(&data);
    let whole = folder.path().join("whole");
    finetune(&recipe(&data, &whole), &mut Silent).unwrap();
    // In the middle of the first epoch, at the end of one, and in the last one.
    for steps in [2, 5, 13] {
        let out = folder.path().join(format!("stopped-{steps}"));
        let stopped = finetune(&recipe(&data, &out), &mut StopAfter(steps)).unwrap_err();
        assert!(matches!(stopped, Error::Stopped { .. }), "{stopped}");
        assert!(!out.join("model").exists());
        resume(&out, &mut Silent).unwrap();
        assert!(weights(&out) == weights(&whole), "stopped after {steps} steps");
    }
}

#[test]
fn the_recipe_of_a_run_gives_the_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    small_dataset(&data);
    let first = folder.path().join("first");
    finetune(&recipe(&data, &first), &mut Silent).unwrap();
    let mut again = Recipe::open(&first.join("recipe.toml")).unwrap();
    assert_eq!(again.out, None);
    let second = folder.path().join("second");
    again.out = Some(second.clone());
    finetune(&again, &mut Silent).unwrap();
    assert!(weights(&first) == weights(&second));
}

#[test]
fn the_number_of_threads_does_not_change_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    small_dataset(&folder.path().join("data"));
    for precision in [&[][..], &["--bf16"]] {
        for threads in ["1", "3"] {
            let out = path(&format!("run-{threads}-{}", precision.len()));
            let flags =
                ["--image-size", "16", "--epochs", "2", "--threads", threads, "--out", &out];
            let ran = run(PROGRAM, &[&["finetune", &path("data")], &flags[..], precision].concat());
            assert!(ran.ok, "{}", ran.err);
        }
    }
    let weights = |run: &str| weights(&folder.path().join(run));
    assert!(weights("run-1-0") == weights("run-3-0"));
    assert!(weights("run-1-1") == weights("run-3-1"));
    assert!(weights("run-1-0") != weights("run-1-1"));
}

/// Head alone: the backbone's weights, statistics included, are the bundled ones to the bit.
#[test]
fn a_frozen_backbone_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    small_dataset(&data);
    let out = folder.path().join("run");
    let mut recipe = recipe(&data, &out);
    recipe.train.scope = ocelli::train::Scope::Head;
    finetune(&recipe, &mut Silent).unwrap();
    let tuned = ocelli::export::open(&out.join("model")).unwrap();
    let network =
        ocelli::recipe::NetworkConfig { weights: Some("bundled".into()), ..Default::default() };
    let bundled =
        ocelli::build(&network, &Default::default(), ocelli::Head::Pretrained, 0).unwrap();
    use ocelli::nn::Classifier;
    for param in
        bundled.model.params().all().iter().filter(|param| !param.name().starts_with("linear"))
    {
        let other = tuned.model.params().get(param.name()).unwrap();
        assert!(param.values().unwrap() == other.values().unwrap(), "{} moved", param.name());
    }
}
