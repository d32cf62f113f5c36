//! From whatever samples a decoder gave to upright 8-bit RGB.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::{DecodeError, Format, damaged};
use crate::Image;

/// The pixels of a decoded picture as RGB: gray repeated, alpha composited over white, of 16-bit
/// samples the high byte, floats clamped to 0..1.
pub(super) fn from_dynamic(picture: DynamicImage) -> Vec<u8> {
    match picture {
        DynamicImage::ImageRgb8(pixels) => pixels.into_raw(),
        DynamicImage::ImageLuma8(pixels) => from_channels(1, pixels.into_raw()),
        DynamicImage::ImageLumaA8(pixels) => from_channels(2, pixels.into_raw()),
        DynamicImage::ImageRgba8(pixels) => from_channels(4, pixels.into_raw()),
        DynamicImage::ImageLuma16(pixels) => from_channels(1, high_bytes(&pixels)),
        DynamicImage::ImageLumaA16(pixels) => from_channels(2, high_bytes(&pixels)),
        DynamicImage::ImageRgb16(pixels) => high_bytes(&pixels),
        DynamicImage::ImageRgba16(pixels) => from_channels(4, high_bytes(&pixels)),
        other => from_channels(4, other.into_rgba8().into_raw()),
    }
}

/// RGB from samples of 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha) channels a pixel.
pub(super) fn from_channels(channels: usize, samples: Vec<u8>) -> Vec<u8> {
    match channels {
        1 => samples.into_iter().flat_map(|gray| [gray; 3]).collect(),
        2 => samples.chunks_exact(2).flat_map(|p| [over_white(p[0], p[1]); 3]).collect(),
        4 => samples
            .chunks_exact(4)
            .flat_map(|p| [0, 1, 2].map(|c| over_white(p[c], p[3])))
            .collect(),
        _ => samples,
    }
}

/// Turns a decoded picture upright.
pub(super) fn oriented(
    format: Format,
    (width, height): (u32, u32),
    pixels: Vec<u8>,
    orientation: Orientation,
) -> Result<Image, DecodeError> {
    let (width, height, pixels) = match orientation {
        Orientation::NoTransforms => (width, height, pixels),
        turn => {
            let stored = RgbImage::from_raw(width, height, pixels)
                .ok_or_else(|| damaged(format, "it has fewer pixels than its header says"))?;
            let mut picture = DynamicImage::ImageRgb8(stored);
            picture.apply_orientation(turn);
            (picture.width(), picture.height(), picture.into_rgb8().into_raw())
        }
    };
    Image::new(width as usize, height as usize, pixels).map_err(|error| damaged(format, error))
}

fn high_bytes(samples: &[u16]) -> Vec<u8> {
    samples.iter().map(|sample| (sample >> 8) as u8).collect()
}

fn over_white(value: u8, alpha: u8) -> u8 {
    255 - scaled(255 - value, alpha)
}

/// `a * b / 255`, rounded.
fn scaled(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}
