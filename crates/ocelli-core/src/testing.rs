//! Reading the golden values of tests.

use crate::Image;

/// The bytes of a hexadecimal string.
pub(crate) fn hex(text: &serde_json::Value) -> Vec<u8> {
    let digits: Vec<u8> =
        text.as_str().unwrap().chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Numbers of a list.
pub(crate) fn sizes<const N: usize>(list: &serde_json::Value) -> [usize; N] {
    std::array::from_fn(|i| list[i].as_u64().unwrap() as usize)
}

/// A value of an enum, by its name.
pub(crate) fn named<T: serde::de::DeserializeOwned>(name: &serde_json::Value) -> T {
    serde_json::from_value(name.clone()).unwrap()
}

/// The pictures of `tests/golden/resize.py`.
pub(crate) fn picture(kind: &str, width: usize, height: usize) -> Image {
    let value = |x: usize, y: usize, c: usize| match kind {
        "noise" => 7 * x * x + 13 * y * y + 5 * x * y + 91 * c,
        _ => 3 * x + 2 * y + 40 * c,
    };
    Image::from_fn(width, height, |x, y| [0, 1, 2].map(|c| value(x, y, c) as u8))
}

/// The largest difference between an image and reference pixels.
pub(crate) fn farthest(image: &Image, reference: &[u8]) -> u8 {
    assert_eq!(image.pixels().len(), reference.len());
    image.pixels().iter().zip(reference).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}
