//! `ocelli bench`: that it measures what it is asked for. How fast is no matter for a test.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use ocelli_tests::{Ran, run, small_dataset};

fn bench(arguments: &[&str]) -> Ran {
    let all = [&["bench"], arguments].concat();
    run(env!("CARGO_BIN_EXE_ocelli-under-test"), &all)
}

#[track_caller]
fn lines(arguments: &[&str]) -> Vec<String> {
    let Ran { ok, out, err } = bench(arguments);
    assert!(ok, "{err}");
    out.lines().map(String::from).collect()
}

const SMALL: [&str; 5] = ["resnet20_cifar", "--batch-size", "2", "--steps", "1"];

#[test]
fn a_profile_adds_up_to_the_step() {
    let said = lines(&[&["model", "--profile"][..], &SMALL].concat());
    let row = |what: &str| {
        said.iter().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {said:?}"))
    };
    assert!(said[0].starts_with("train  resnet20_cifar  batch 2"), "{}", said[0]);
    let number = |text: &str| text.parse::<f64>().unwrap();
    let (mut forward, mut behind) = (0.0, 0.0);
    let rows = said.iter().skip_while(|line| !line.starts_with("forward ms")).skip(1);
    for line in rows.take_while(|line| !line.contains("  step")) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        forward += number(cells[0]);
        behind += number(cells[1]);
    }
    let step: Vec<&str> = row("  step").split_whitespace().collect();
    assert!((forward - number(step[0])).abs() < 0.1 && (behind - number(step[1])).abs() < 0.1);
    assert!(row("layer1.0.conv1").contains("Conv"));
    assert!(row("infer  resnet20_cifar").contains("images/s"));
    assert!(row("first image answered").contains("ready after"));
    assert!(row("Winograd").contains("convolution"));
}

#[test]
fn one_of_two_as_json() {
    for only in ["train", "infer"] {
        let said = lines(&[&["model", "--json", "--only", only][..], &SMALL].concat());
        let [line] = &said[..] else { panic!("{said:?}") };
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((json["what"].as_str(), json["batch_size"].as_u64()), (Some(only), Some(2)));
        assert!(json["images_per_second"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn mixed_precision() {
    let said = lines(&[&["model", "--bf16", "--only", "train"][..], &SMALL].concat());
    assert!(said[0].starts_with("train  resnet20_cifar  batch 2"), "{}", said[0]);
    let said = lines(&[&["model", "--bf16", "--only", "infer", "--profile"][..], &SMALL].concat());
    assert!(said[0].starts_with("infer  resnet20_cifar  batch 2"), "{}", said[0]);
    let peer = ["model", "--bf16", "--peer", "onnxruntime", "--peers", "../benches/peers"];
    let Ran { ok, err, .. } = bench(&[&peer[..], &SMALL].concat());
    assert!(!ok && err.contains("ONNX Runtime has no bf16"), "{err}");
    let Ran { ok, err, .. } = bench(&[&["model", "--bf16", "--precise"][..], &SMALL].concat());
    assert!(!ok && err.contains("--bf16") && err.contains("--precise"), "{err}");
}

#[test]
fn kernels_beside_the_peak() {
    let small = ["kernels", "resnet20_cifar", "--batch-size", "1", "--seconds", "0"];
    let said = lines(&[&small[..], &["--layer", "layer1"]].concat());
    assert!(said[0].contains("peaks measured") && said[0].contains("GF/s"), "{}", said[0]);
    for pass in ["forward", "dx", "dw", "pack"] {
        assert!(said.iter().any(|line| line.contains(pass)), "{pass}: {said:?}");
    }
    assert!(said.iter().any(|line| line.contains("Winograd")));
    let said = lines(&[&small[..], &["--layer", "bn1"]].concat());
    assert!(said.iter().any(|line| line.contains("backward") && line.contains("GB/s")));
    let said = lines(&[&small[..], &["--layer", "layer1", "--precise"]].concat());
    assert!(!said.iter().any(|line| line.contains("Winograd")), "{said:?}");
    // Convolution, norm, pool; the classifier, whose values stay f32.
    for layer in ["layer1.0", "maxpool", "fc"] {
        let small = ["kernels", "resnet18", "--image-size", "32", "--batch-size", "1"];
        let rest = ["--seconds", "0", "--bf16", "--layer", layer];
        let said = lines(&[&small[..], &rest[..]].concat());
        assert!(said.iter().any(|line| line.contains(layer) && line.contains('%')), "{said:?}");
    }
}

#[test]
fn the_loader() {
    let folder = tempfile::tempdir().unwrap();
    small_dataset(folder.path());
    let data = folder.path().to_str().unwrap();
    let said =
        lines(&["load", "--data", data, "--steps", "2", "--batch-size", "4", "--image-size", "32"]);
    assert!(said[0].contains("images/s"), "{said:?}");
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    for (arguments, wanted) in [
        (&["model", "--batch-size", "0"][..], "--batch-size must be at least 1"),
        (&["model", "resnet20_cifar", "--steps", "0"], "--steps must be at least 1"),
        (&["model", "resnet19"], "resnet19"),
        (
            &["model", "resnet18", "--threads", "100000"],
            "100000 threads are too many: 1024 at most",
        ),
        (
            &["model", "resnet18", "--peer", "pytorch", "--peers", "nowhere"],
            "train_speed.py is not there",
        ),
        (&["kernels", "resnet18", "--seconds", "-1"], "--seconds must not be negative"),
        (&["kernels", "resnet20_cifar", "--layer", "no-such"], "resnet20_cifar has no such layer"),
        (&["load", "--data", "nowhere"], "nowhere"),
    ] {
        let Ran { ok, err, .. } = bench(arguments);
        assert!(!ok && err.contains(wanted), "{arguments:?}: {err}");
    }
}
