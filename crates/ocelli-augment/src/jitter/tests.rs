//! The adjustments against torchvision's, and what is drawn.

use std::collections::HashMap;

use serde_json::Value;

use super::*;
use crate::testing::{hex, picture, stream};

#[test]
fn adjustments_equal_torchvisions() {
    let golden: Value =
        serde_json::from_str(include_str!("../../tests/golden/augment.json")).unwrap();
    for case in golden["adjust"].as_array().unwrap() {
        let (what, factor) = (case["what"].as_str().unwrap(), case["factor"].as_f64().unwrap());
        let mut image = picture(19, 13);
        match what {
            "brightness" => brightness(&mut image, factor as f32),
            "contrast" => contrast(&mut image, factor as f32),
            "saturation" => saturation(&mut image, factor as f32),
            _ => hue(&mut image, factor),
        }
        let reference = hex(&case["pixels"]);
        let differing = image.pixels().iter().zip(&reference).filter(|(a, b)| a != b).count();
        assert_eq!(
            differing,
            0,
            "{what} {factor}: {differing} of {} values differ",
            reference.len()
        );
    }
}

/// 2,400 shuffles of four: each of 24 orders 100 times, five standard deviations are 49.
#[test]
fn all_orders_are_equally_likely() {
    let mut counts = HashMap::new();
    let mut random = stream(1);
    for _ in 0..2400 {
        *counts.entry(shuffled(&mut random)).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 24);
    assert!(counts.values().all(|count| (51..=149).contains(count)), "{counts:?}");
}

/// White times a factor from 0.6 to 1.4, clamped: half of the images stay white, none is below 153.
#[test]
fn factors_are_within_the_strength() {
    let jitter = ColorJitter { brightness: 0.4, ..ColorJitter::default() };
    let mut random = stream(2);
    let values: Vec<u8> = (0..1000)
        .map(|_| jitter.apply(Image::filled(1, 1, [255; 3]), &mut random).pixel(0, 0)[0])
        .collect();
    let white = values.iter().filter(|&&value| value == 255).count();
    assert!(values.iter().all(|&value| value >= 152) && (421..=579).contains(&white), "{white}");
}

#[test]
fn no_strength_changes_nothing() {
    assert_eq!(ColorJitter::default().apply(picture(9, 5), &mut stream(3)), picture(9, 5));
}

#[test]
fn nonsense_is_refused() {
    assert!(ColorJitter { hue: 0.6, ..ColorJitter::default() }.check().is_err());
    assert!(ColorJitter { contrast: -0.1, ..ColorJitter::default() }.check().is_err());
    assert!(ColorJitter { saturation: f64::NAN, ..ColorJitter::default() }.check().is_err());
}
