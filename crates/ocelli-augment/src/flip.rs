//! Mirroring.

use ocelli_core::random::Stream;
use ocelli_core::{Image, Transform};
use serde::{Deserialize, Serialize};

use crate::AugmentError;
use crate::draw::happens;
use crate::error::Check;

/// Mirrors left and right with probability `p`; torchvision's `RandomHorizontalFlip`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HorizontalFlip {
    /// Probability.
    pub p: f64,
}

impl Default for HorizontalFlip {
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

impl HorizontalFlip {
    /// # Errors
    /// Where `p` is no probability.
    pub fn check(&self) -> Result<(), AugmentError> {
        Check("HorizontalFlip").probability("p", self.p)
    }
}

impl Transform for HorizontalFlip {
    fn apply(&self, mut image: Image, random: &mut Stream) -> Image {
        if happens(self.p, random) {
            let stride = image.width() * 3;
            for row in image.pixels_mut().chunks_exact_mut(stride) {
                row.as_chunks_mut::<3>().0.reverse();
            }
        }
        image
    }
}

/// Mirrors top and bottom with probability `p`; torchvision's `RandomVerticalFlip`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerticalFlip {
    /// Probability.
    pub p: f64,
}

impl Default for VerticalFlip {
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

impl VerticalFlip {
    /// # Errors
    /// Where `p` is no probability.
    pub fn check(&self) -> Result<(), AugmentError> {
        Check("VerticalFlip").probability("p", self.p)
    }
}

impl Transform for VerticalFlip {
    fn apply(&self, mut image: Image, random: &mut Stream) -> Image {
        if happens(self.p, random) {
            let stride = image.width() * 3;
            let middle = image.height() / 2 * stride;
            let (above, below) = image.pixels_mut().split_at_mut(middle);
            for (upper, lower) in
                above.chunks_exact_mut(stride).zip(below.rchunks_exact_mut(stride))
            {
                upper.swap_with_slice(lower);
            }
        }
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::stream;

    #[test]
    fn flips_move_pixels_to_the_other_side() {
        for (width, height) in [(5, 4), (4, 5), (1, 1), (1, 3), (3, 1)] {
            let image = Image::from_fn(width, height, |x, y| [x as u8, y as u8, 7]);
            let across = HorizontalFlip { p: 1.0 }.apply(image.clone(), &mut stream(0));
            assert_eq!(
                across,
                Image::from_fn(width, height, |x, y| [(width - 1 - x) as u8, y as u8, 7])
            );
            let over = VerticalFlip { p: 1.0 }.apply(image.clone(), &mut stream(0));
            assert_eq!(
                over,
                Image::from_fn(width, height, |x, y| [x as u8, (height - 1 - y) as u8, 7])
            );
            assert_eq!(HorizontalFlip { p: 0.0 }.apply(image.clone(), &mut stream(0)), image);
        }
    }

    /// 1,000 flips at 0.5: five standard deviations are 79.
    #[test]
    fn half_of_the_images_are_flipped() {
        let image = Image::from_fn(2, 1, |x, _| [x as u8; 3]);
        let flipped = (0..1000)
            .filter(|&i| HorizontalFlip::default().apply(image.clone(), &mut stream(i)) != image);
        let count = flipped.count();
        assert!((421..=579).contains(&count), "{count}");
    }
}
