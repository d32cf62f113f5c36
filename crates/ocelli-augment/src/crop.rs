//! Cropping to a size, and resizing to one.

use ocelli_core::crop::{center_crop, crop};
use ocelli_core::random::Stream;
use ocelli_core::resize::resize;
use ocelli_core::{Image, Interpolation, Transform};
use serde::{Deserialize, Serialize};

use crate::AugmentError;
use crate::draw::index;
use crate::error::Check;

/// Crops at a random place after padding; torchvision's `RandomCrop`. Padding 4 around 32 x 32 is the
/// augmentation of CIFAR since "Deeply-Supervised Nets" (arXiv:1409.5185).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomCrop {
    /// Height and width of the result, in pixels.
    pub size: [usize; 2],
    /// Pixels added on every side.
    pub padding: usize,
    /// The colour of what is added.
    pub fill: [u8; 3],
}

impl Default for RandomCrop {
    fn default() -> Self {
        Self { size: [32; 2], padding: 4, fill: [0; 3] }
    }
}

impl RandomCrop {
    /// # Errors
    /// Where the size or the padding is zero or absurd.
    pub fn check(&self) -> Result<(), AugmentError> {
        Check("RandomCrop").size(self.size)?;
        Check("RandomCrop").holds(self.padding <= 32_768, "padding", "at most 32768", self.padding)
    }

    /// Where the crop starts on a side of the unpadded image. An image that is too small even when padded
    /// lies anywhere within the crop (torchvision's `pad_if_needed` leaves more room around it).
    fn start(&self, side: usize, kept: usize, random: &mut Stream) -> isize {
        let padded = side.saturating_add(self.padding.saturating_mul(2));
        let drawn = index(padded.abs_diff(kept).saturating_add(1), random) as isize;
        let drawn = if padded >= kept { drawn } else { -drawn };
        drawn.saturating_sub_unsigned(self.padding)
    }
}

impl Transform for RandomCrop {
    fn apply(&self, image: Image, random: &mut Stream) -> Image {
        let [height, width] = self.size;
        let top = self.start(image.height(), height, random);
        let left = self.start(image.width(), width, random);
        crop(&image, [left, top], width, height, self.fill)
    }
}

/// Crops the middle; torchvision's `CenterCrop`. An image that is too small is padded with black.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// Height and width of the result, in pixels.
    pub size: [usize; 2],
}

impl Transform for CenterCrop {
    fn apply(&self, image: Image, _random: &mut Stream) -> Image {
        center_crop(&image, self.size)
    }
}

/// Resizes to exactly a size, whatever that does to the shape; torchvision's `Resize` of two numbers. For
/// "short side, then centre" use [`ocelli_core::Preprocess`], which is a transform too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Height and width of the result, in pixels.
    pub size: [usize; 2],
    /// The filter.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
}

/// torchvision's default; core's, which is timm's, is bicubic.
fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

impl Transform for Resize {
    fn apply(&self, image: Image, _random: &mut Stream) -> Image {
        resize(&image, self.size[1], self.size[0], self.interpolation)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::testing::stream;

    #[test]
    fn every_offset_of_the_padded_image_is_drawn() {
        let image = Image::from_fn(3, 2, |x, y| [x as u8 + 1, y as u8 + 1, 1]);
        let transform = RandomCrop { size: [2, 3], padding: 1, fill: [9; 3] };
        let drawn: HashSet<Vec<u8>> = (0..500)
            .map(|i| transform.apply(image.clone(), &mut stream(i)).into_pixels())
            .collect();
        let possible: HashSet<Vec<u8>> = (-1..=1)
            .flat_map(|y| (-1..=1).map(move |x| [x, y]))
            .map(|corner| crop(&image, corner, 3, 2, [9; 3]).into_pixels())
            .collect();
        assert_eq!(drawn, possible);
    }

    #[test]
    fn a_small_image_stays_whole_inside_a_large_crop() {
        let transform = RandomCrop { size: [7, 8], padding: 1, fill: [0; 3] };
        for i in 0..100 {
            let out = transform.apply(Image::filled(2, 3, [5; 3]), &mut stream(i));
            assert_eq!(out.pixels().iter().filter(|&&value| value == 5).count(), 2 * 3 * 3);
        }
    }

    #[test]
    fn sizes_are_height_and_width() {
        let image = Image::filled(20, 10, [1; 3]);
        let size = [4, 6];
        let cropped = CenterCrop { size }.apply(image.clone(), &mut stream(0));
        let resized =
            Resize { size, interpolation: Interpolation::Bilinear }.apply(image, &mut stream(0));
        assert_eq!([cropped, resized], [Image::filled(6, 4, [1; 3]), Image::filled(6, 4, [1; 3])]);
    }
}
