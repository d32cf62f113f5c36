//! Brightness, contrast and saturation: moving each pixel from a reference towards itself or beyond.
//!
//! Pillow's `ImageEnhance`: the result is `reference + factor * (pixel - reference)` in 32-bit floats,
//! clamped and truncated. The reference is black, the mean gray, or the pixel's own gray.

use ocelli_core::Image;

/// Scales all values by a factor; 0 gives black, 1 the image.
pub(crate) fn brightness(image: &mut Image, factor: f32) {
    map(image, &table(0, factor));
}

/// Moves all values from the image's mean gray; 0 gives that gray, 1 the image.
pub(crate) fn contrast(image: &mut Image, factor: f32) {
    let grays = image.pixels().chunks_exact(3).map(|pixel| u64::from(gray(pixel)));
    let mean = grays.sum::<u64>() as f64 / (image.pixels().len() / 3) as f64;
    map(image, &table((mean + 0.5) as u8, factor));
}

/// Moves each pixel from its own gray; 0 gives a gray image, 1 the image.
pub(crate) fn saturation(image: &mut Image, factor: f32) {
    for pixel in image.pixels_mut().chunks_exact_mut(3) {
        let reference = gray(pixel);
        for value in pixel {
            *value = blend(reference, *value, factor);
        }
    }
}

/// ITU-R 601 luma in fixed point, as Pillow's mode `L`.
fn gray(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
    ((19_595 * red + 38_470 * green + 7_471 * blue + (1 << 15)) >> 16) as u8
}

fn blend(reference: u8, value: u8, factor: f32) -> u8 {
    let difference = i16::from(value) - i16::from(reference);
    // The conversion truncates and clamps.
    (f32::from(reference) + factor * f32::from(difference)) as u8
}

fn table(reference: u8, factor: f32) -> [u8; 256] {
    std::array::from_fn(|value| blend(reference, value as u8, factor))
}

fn map(image: &mut Image, table: &[u8; 256]) {
    for value in image.pixels_mut() {
        *value = table[usize::from(*value)];
    }
}
