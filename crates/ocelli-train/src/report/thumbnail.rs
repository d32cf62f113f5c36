//! Small pictures for the page.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, RgbImage};
use ocelli_core::Image;

/// Longest side in pixels.
const SIDE: u32 = 160;
const QUALITY: u8 = 80;

/// A JPEG of an image whose longer side is at most 160 pixels; smaller images keep their size. Empty where it
/// cannot be made.
pub fn thumbnail(picture: &Image) -> Vec<u8> {
    jpeg(picture).unwrap_or_default()
}

fn jpeg(picture: &Image) -> Option<Vec<u8>> {
    let (width, height) =
        (u32::try_from(picture.width()).ok()?, u32::try_from(picture.height()).ok()?);
    let longest = width.max(height);
    let full = RgbImage::from_raw(width, height, picture.pixels().to_vec())?;
    let small = if longest > SIDE {
        let scaled =
            |side: u32| ((u64::from(side) * u64::from(SIDE) / u64::from(longest)) as u32).max(1);
        imageops::resize(&full, scaled(width), scaled(height), FilterType::Triangle)
    } else {
        full
    };
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    encoder.encode(small.as_raw(), small.width(), small.height(), ExtendedColorType::Rgb8).ok()?;
    Some(bytes)
}

/// Bytes as base64 in text formats.
pub(super) mod base64_text {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn encode(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of(picture: &Image) -> (u32, u32) {
        let small = image::load_from_memory(&thumbnail(picture)).unwrap();
        (small.width(), small.height())
    }

    #[test]
    fn the_longer_side_is_at_most_160() {
        assert_eq!(size_of(&Image::filled(640, 320, [9, 9, 9])), (160, 80));
        assert_eq!(size_of(&Image::filled(32, 48, [9, 9, 9])), (32, 48));
        assert_eq!(size_of(&Image::filled(1, 2000, [9, 9, 9])), (1, 160));
    }

    #[test]
    fn colours_survive() {
        let small =
            image::load_from_memory(&thumbnail(&Image::filled(300, 200, [200, 100, 50]))).unwrap();
        let pixel = small.to_rgb8().get_pixel(80, 50).0;
        assert!(pixel.iter().zip([200u8, 100, 50]).all(|(a, b)| a.abs_diff(b) < 6), "{pixel:?}");
    }
}
