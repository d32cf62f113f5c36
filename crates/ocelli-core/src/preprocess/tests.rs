//! Against torchvision's and timm's evaluation transforms.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::testing::{farthest, hex, named, picture, sizes};

#[test]
fn geometry_is_that_of_torchvision_and_timm() {
    let golden: Value =
        serde_json::from_str(include_str!("../../tests/golden/resize.json")).unwrap();
    for case in golden["geometry"].as_array().unwrap() {
        let preprocess = Preprocess {
            size: sizes(&case["size"]),
            crop_pct: case["crop_pct"].as_f64().unwrap() as f32,
            crop_mode: named(&case["crop_mode"]),
            interpolation: named(&case["filter"]),
            ..Preprocess::default()
        };
        preprocess.check().unwrap();
        let [w, h] = sizes(&case["from"]);
        let out = preprocess.apply_geometry(&picture("smooth", w, h));
        let difference = farthest(&out, &hex(&case["pixels"]));
        assert!(difference == 0, "{} {preprocess:?}: {difference} levels", case["from"]);
    }
}

#[test]
fn the_short_side_is_resized_before_the_crop() {
    let imagenet = Preprocess::default();
    assert_eq!(imagenet.resize_to(480, 640), [256, 341]); // 256 * 640 / 480 = 341.3
    assert_eq!(imagenet.resize_to(640, 480), [341, 256]);
    let squash = Preprocess { crop_mode: CropMode::Squash, ..imagenet.clone() };
    assert_eq!(squash.resize_to(480, 640), [256, 256]);
    // 0.8 as a 32-bit float is a little more than 0.8.
    let rounded = Preprocess { size: [256; 2], crop_pct: 0.8, ..imagenet.clone() };
    assert_eq!(rounded.resize_to(100, 100), [320, 320]);
    // 120 x 160 in 112 / 0.875 = 128 by 96: it just covers, 128 x 170.7.
    let tall = Preprocess { size: [112, 84], ..imagenet };
    assert_eq!(tall.resize_to(120, 160), [128, 171]);
}

#[test]
fn pixels_are_normalised_per_channel() {
    let image = Image::new(2, 1, vec![0, 255, 51, 255, 0, 102]).unwrap();
    let mut out = [0.0; 6];
    Normalize { mean: [0.5, 0.0, 0.2], std: [0.5, 2.0, 0.1] }.apply(&image, &mut out);
    let expected = [-1.0, 0.5, 0.0, 1.0, 0.0, 2.0];
    assert!(out.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{out:?}");
}

#[test]
fn a_run_is_geometry_and_then_normalisation() {
    let preprocess =
        Preprocess { size: [8, 8], normalize: Normalize::HALF, ..Preprocess::default() };
    let mut out = vec![0.0; 8 * 8 * 3];
    preprocess.run(&Image::filled(30, 20, [255, 0, 255]), &mut out);
    assert!(out.chunks_exact(3).all(|pixel| pixel == [1.0, -1.0, 1.0]));
}

#[test]
fn nonsense_is_refused() {
    let fine = Preprocess::default();
    assert_eq!(fine.check(), Ok(()));
    let zero = Preprocess { size: [0, 224], ..fine.clone() };
    let huge = Preprocess { size: [224, usize::MAX], ..fine.clone() };
    let tiny = Preprocess { crop_pct: 1e-9, ..fine.clone() };
    let nan = Preprocess { crop_pct: f32::NAN, ..fine.clone() };
    let above = Preprocess { crop_pct: 1.1, ..fine.clone() };
    let mean =
        Preprocess { normalize: Normalize { mean: [f32::NAN; 3], std: [1.0; 3] }, ..fine.clone() };
    let std = Preprocess { normalize: Normalize { mean: [0.0; 3], std: [1.0, 0.0, 1.0] }, ..fine };
    for wrong in [zero, huge, tiny, nan, above, mean, std] {
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
}

/// 1 x 60,000 pixels would become 256 x 15,360,000 on the way to 224 x 224.
#[test]
fn a_photo_of_one_row_takes_no_more_memory_than_another() {
    let strip = Image::from_fn(60_000, 1, |x, _| [(x / 301) as u8; 3]);
    let out = Preprocess::default().apply_geometry(&strip);
    assert_eq!(out, Image::filled(224, 224, [99; 3]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_photo_gets_the_size(
        photo in (1..50_usize, 1..50_usize),
        size in (1..20_usize, 1..20_usize),
        crop_pct in 0.05..=1.0_f32,
        squash: bool,
    ) {
        let crop_mode = if squash { CropMode::Squash } else { CropMode::Center };
        let preprocess = Preprocess { size: [size.0, size.1], crop_pct, crop_mode, ..Preprocess::default() };
        let photo = Image::filled(photo.0, photo.1, [7, 8, 9]);
        prop_assert_eq!(preprocess.apply_geometry(&photo), Image::filled(size.1, size.0, [7, 8, 9]));
    }
}
