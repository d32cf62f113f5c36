//! Equal to Pillow and torchvision.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::crop::center_crop;
use crate::testing::{farthest, hex, named, picture, sizes};

fn golden(part: &str) -> Vec<Value> {
    let golden: Value =
        serde_json::from_str(include_str!("../../tests/golden/resize.json")).unwrap();
    golden[part].as_array().unwrap().clone()
}

#[test]
fn resizing_equals_pillows() {
    for case in golden("resize") {
        let ([w, h], [width, height]) = (sizes(&case["from"]), sizes(&case["to"]));
        let image = picture(case["picture"].as_str().unwrap(), w, h);
        let filter = named(&case["filter"]);
        let out = match case["box"].as_array() {
            None => resize(&image, width, height, filter),
            Some(region) => {
                let region = std::array::from_fn(|i| region[i].as_f64().unwrap());
                resize_region(&image, region, width, height, filter)
            }
        };
        let difference = farthest(&out, &hex(&case["pixels"]));
        let what =
            format!("{} {} {} -> {}", case["picture"], case["from"], case["box"], case["to"]);
        assert!(difference == 0, "{what} {filter:?}: {difference} levels from Pillow");
    }
}

#[test]
fn a_resized_crop_equals_torchvisions() {
    for case in golden("crop") {
        let out = resize_crop(
            &picture("noise", 37, 23),
            sizes(&case["box"]),
            14,
            11,
            named(&case["filter"]),
        );
        let difference = farthest(&out, &hex(&case["pixels"]));
        assert!(difference == 0, "{}: {difference}", case["box"]);
    }
}

#[test]
fn centers_are_torchvisions() {
    for case in golden("center") {
        let [w, h] = sizes(&case["from"]);
        let out = center_crop(&picture("smooth", w, h), sizes(&case["size"]));
        assert_eq!(out.pixels(), hex(&case["pixels"]), "{} -> {}", case["from"], case["size"]);
    }
}

#[test]
fn the_same_size_is_a_copy() {
    let image = picture("noise", 37, 23);
    for filter in [Interpolation::Bilinear, Interpolation::Bicubic] {
        assert_eq!(resize(&image, 37, 23, filter), image);
        let part = resize_crop(&image, [4, 5, 6, 7], 6, 7, filter);
        assert_eq!(part, crate::crop::crop(&image, [4, 5], 6, 7, [0; 3]));
        assert_eq!(resize_region(&image, [4.0, 5.0, 6.0, 7.0], 6, 7, filter), part);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any box and size gives an image of that size, and one colour stays that colour.
    #[test]
    fn no_box_panics(
        side in (1..40_usize, 1..40_usize),
        region in prop::array::uniform4(prop_oneof![-10.0..50.0_f64, Just(f64::NAN), Just(f64::INFINITY)]),
        size in (0..30_usize, 0..30_usize),
        cubic: bool,
    ) {
        let filter = if cubic { Interpolation::Bicubic } else { Interpolation::Bilinear };
        let image = Image::filled(side.0, side.1, [3, 150, 250]);
        let expected = Image::filled(size.0, size.1, [3, 150, 250]);
        prop_assert_eq!(&resize_region(&image, region, size.0, size.1, filter), &expected);
        let whole = region.map(|value| value as usize);
        prop_assert_eq!(&resize_crop(&image, whole, size.0, size.1, filter), &expected);
    }
}
