//! What the tests share.

use ocelli_core::random::{Purpose, Stream};
use ocelli_core::{Batch, Image, Targets};

/// A stream for a test.
pub(crate) fn stream(key: u64) -> Stream {
    Stream::new(0, Purpose::Sample, 0, key)
}

/// The picture of `tests/golden/augment.py`: many hues, grays and both ends of the range.
pub(crate) fn picture(width: usize, height: usize) -> Image {
    Image::from_fn(width, height, |x, y| match (x, y) {
        (_, 0) => [(x * 14) as u8; 3],
        _ => [7 * x * x + 13 * y * y, 29 * x + 3 * y * y, 5 * x * y + 71 * y]
            .map(|value| value as u8),
    })
}

/// `n` RGB images, number i filled with `value(i)`; image i is of class i.
pub(crate) fn batch(n: usize, height: usize, width: usize, value: impl Fn(usize) -> f32) -> Batch {
    Batch {
        images: (0..n).flat_map(|i| vec![value(i); height * width * 3]).collect(),
        shape: [n, height, width, 3],
        targets: Targets::Classes((0..n as u32).collect()),
        indices: (0..n).collect(),
    }
}

/// The bytes of a hexadecimal string.
pub(crate) fn hex(text: &serde_json::Value) -> Vec<u8> {
    let digits: Vec<u8> =
        text.as_str().unwrap().chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
