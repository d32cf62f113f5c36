//! Real photos and published weights against PyTorch's counts, where `OCELLI_TEST_DATA` gives them.
//!
//! The folder's README lists the files and what PyTorch gets. Whole sets take minutes, so these checks look at
//! a part of them; the counts of the parts are those of `benches/peers/evaluate.py` on the same files, and the
//! whole counts stand in `benches/RESULTS.md`.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::path::{Path, PathBuf};

use ocelli::core::{DecodeLimits, decode};
use ocelli_tests::{real_data, run, unpack};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ocelli-under-test");
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

fn evaluate(arguments: &[&str]) -> serde_json::Value {
    let ran = run(PROGRAM, &[&["evaluate", "--json"], arguments].concat());
    assert!(ran.ok, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The weights in a folder whose names begin so.
fn weights(data: &Path, start: &str) -> PathBuf {
    let files = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let named = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with(start);
    files.into_iter().find(named).unwrap()
}

/// The first hundred test images of each class.
fn some_cifar(data: &Path) -> PathBuf {
    let wanted = |file: &Path| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("00") && file.components().any(|part| part.as_os_str() == "test")
    };
    unpack(&data.join("cifar10-jpeg.tar.xz"), Path::new(SCRATCH), wanted).join("cifar")
}

#[test]
fn cifar_networks_get_pytorchs_counts() {
    let Some(data) = real_data("cifar") else { return };
    let images = some_cifar(&data);
    // PyTorch's counts of these 1,000 images, Pillow-decoded.
    for (model, wanted) in [
        ("resnet20", CIFAR[0]),
        ("resnet32", CIFAR[1]),
        ("resnet44", CIFAR[2]),
        ("resnet56", CIFAR[3]),
    ] {
        let weights = weights(&data.join("weights/cifar10"), &format!("{model}-"));
        let name = format!("{model}_cifar");
        let found = evaluate(&[path(&images), "--model", &name, "--weights", path(&weights)]);
        assert_eq!(found["count"], 1000);
        let correct = found["correct"].as_i64().unwrap();
        // Of 1,000 images some fall to either side with a decoder that differs by a few grey levels.
        assert!((correct - wanted).abs() <= 10, "{model}: {correct}, PyTorch has {wanted}");
    }
}

/// What `benches/peers/evaluate.py` counts on the images whose numbers begin with 00.
const CIFAR: [i64; 4] = [804, 840, 821, 825];

/// 500 photos, one a class, sorted into folders called by class number.
fn imagenet(data: &Path) -> PathBuf {
    let photos = unpack(&data.join("imagenet-sample-500.tar"), Path::new(SCRATCH), |_| true);
    let sorted = photos.join("sorted");
    for photo in std::fs::read_dir(photos.join("imagenet-sample-500")).unwrap() {
        let photo = photo.unwrap().path();
        let name = photo.file_name().unwrap().to_str().unwrap();
        let Some((number, _)) =
            name.split_once('_').filter(|(n, _)| n.len() == 4 && n.parse::<u32>().is_ok())
        else {
            continue;
        };
        let folder = sorted.join(number);
        std::fs::create_dir_all(&folder).unwrap();
        if !folder.join(name).exists() {
            std::fs::copy(&photo, folder.join(name)).unwrap();
        }
    }
    sorted
}

#[test]
fn imagenet_networks_get_pytorchs_counts() {
    let Some(data) = real_data("imagenet") else { return };
    let photos = imagenet(&data);
    let half = ["--mean", "0.5", "--std", "0.5", "--model-arg", "pad_type=same"];
    for (model, flags, wanted) in
        [("squeezenet1_1", &[][..], (295, 401)), ("mobilenetv2_100", &half, (423, 482))]
    {
        let weights = data.join("weights").join(format!("{model}.safetensors"));
        let arguments = [path(&photos), "--model", model, "--weights", path(&weights)];
        let found = evaluate(&[&arguments, flags].concat());
        let count = |key: &str| (500.0 * found[key].as_f64().unwrap()).round() as i64;
        let (top1, top5) = (count("top1"), count("top5"));
        assert!(
            (top1 - wanted.0).abs() <= 4 && (top5 - wanted.1).abs() <= 4,
            "{model}: {top1} {top5}, not {wanted:?}"
        );
    }
}

#[test]
fn photos_fine_tune_a_published_network() {
    let Some(data) = real_data("clothing") else { return };
    // Two kinds of clothing, a part of the photos, the head alone for one epoch.
    let wanted = |file: &Path| {
        let file = file.to_string_lossy();
        (file.contains("/pants/") || file.contains("/hat/")) && file.contains(['1', '3'])
    };
    let photos =
        unpack(&data.join("clothing-small.tar"), Path::new(SCRATCH), wanted).join("clothing");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let weights = data.join("weights/squeezenet1_1.safetensors");
    let flags = [
        "--scope",
        "head",
        "--epochs",
        "1",
        "--warmup-steps",
        "2",
        "--lr",
        "0.02",
        "--out",
        path(&out),
    ];
    let ran = run(
        PROGRAM,
        &[
            &["finetune", path(&photos), "--model", "squeezenet1_1", "--weights", path(&weights)],
            &flags[..],
        ]
        .concat(),
    );
    assert!(ran.ok, "{}", ran.err);
    let found = evaluate(&[path(&photos), "--weights", path(&out.join("model"))]);
    assert!(found["top1"].as_f64().unwrap() > 0.85, "{}", ran.out);
}

/// All orientations of a photo decode to the same picture, and every format to some picture.
#[test]
fn awkward_pictures_decode() {
    let Some(data) = real_data("awkward") else { return };
    let root =
        unpack(&data.join("awkward-images.tar.xz"), Path::new(SCRATCH), |_| true).join("awkward");
    let mut sizes = std::collections::BTreeMap::<String, Vec<(usize, usize)>>::new();
    for file in std::fs::read_dir(root.join("exif")).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let Some((kind, _)) =
            name.split_once('_').filter(|_| file.extension().is_some_and(|e| e == "jpg"))
        else {
            continue;
        };
        let image = decode::open(&file, &DecodeLimits::default()).unwrap();
        sizes.entry(kind.to_string()).or_default().push((image.width(), image.height()));
    }
    assert!(!sizes.is_empty());
    for (kind, sizes) in sizes {
        assert!(sizes.iter().all(|size| *size == sizes[0]), "{kind}: {sizes:?}");
    }
}
