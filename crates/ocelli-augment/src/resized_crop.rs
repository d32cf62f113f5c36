//! A crop of random area and shape, resized to the network's input.
//!
//! "Going Deeper with Convolutions", arXiv:1409.4842; drawn as torchvision's `RandomResizedCrop` draws.

use ocelli_core::random::Stream;
use ocelli_core::resize::resize_crop;
use ocelli_core::{Image, Interpolation, Transform};
use serde::{Deserialize, Serialize};

use crate::AugmentError;
use crate::draw::{happens, index, log_uniform, uniform};
use crate::error::Check;

/// Draws before the fallback.
const TRIES: usize = 10;

/// The resize filter of [`RandomResizedCrop`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropFilter {
    /// Triangle filter, torchvision's default.
    #[default]
    Bilinear,
    /// Cubic convolution.
    Bicubic,
    /// One of the two for each image, timm's default.
    Random,
}

/// Takes a random part of the image and resizes it; the same as torchvision's `RandomResizedCrop`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Height and width of the result, in pixels.
    pub size: [usize; 2],
    /// Smallest and largest share of the image's area.
    pub scale: [f64; 2],
    /// Smallest and largest width divided by height; their logarithm is uniform.
    pub ratio: [f64; 2],
    /// The resize filter.
    pub interpolation: CropFilter,
}

impl Default for RandomResizedCrop {
    fn default() -> Self {
        Self {
            size: [224; 2],
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            interpolation: CropFilter::Bilinear,
        }
    }
}

impl RandomResizedCrop {
    /// # Errors
    /// Where the size is zero or absurd, or a range is not two positive numbers in order, areas at most 1.
    pub fn check(&self) -> Result<(), AugmentError> {
        let check = Check("RandomResizedCrop");
        check.size(self.size)?;
        check.range("scale", self.scale)?;
        check.holds(self.scale[1] <= 1.0, "scale", "at most 1", self.scale)?;
        check.range("ratio", self.ratio)
    }

    /// Draws the part to take of a `width` x `height` image: x, y, width, height. After ten draws that do
    /// not fit, the largest part in the middle whose shape is allowed.
    pub fn region(&self, width: usize, height: usize, random: &mut Stream) -> [usize; 4] {
        let area = (width * height) as f64;
        for _ in 0..TRIES {
            let target = area * uniform(self.scale, random);
            let ratio = log_uniform(self.ratio, random);
            let w = (target * ratio).sqrt().round_ties_even() as usize;
            let h = (target / ratio).sqrt().round_ties_even() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let y = index(height - h + 1, random);
                let x = index(width - w + 1, random);
                return [x, y, w, h];
            }
        }
        let shape = width as f64 / height as f64;
        let [least, most] = self.ratio;
        let (w, h) = if shape < least {
            (width, (width as f64 / least).round_ties_even() as usize)
        } else if shape > most {
            ((height as f64 * most).round_ties_even() as usize, height)
        } else {
            (width, height)
        };
        let (w, h) = (w.clamp(1, width), h.clamp(1, height));
        [(width - w) / 2, (height - h) / 2, w, h]
    }

    fn filter(&self, random: &mut Stream) -> Interpolation {
        match self.interpolation {
            CropFilter::Bilinear => Interpolation::Bilinear,
            CropFilter::Bicubic => Interpolation::Bicubic,
            CropFilter::Random if happens(0.5, random) => Interpolation::Bilinear,
            CropFilter::Random => Interpolation::Bicubic,
        }
    }
}

impl Transform for RandomResizedCrop {
    fn apply(&self, image: Image, random: &mut Stream) -> Image {
        let region = self.region(image.width(), image.height(), random);
        resize_crop(&image, region, self.size[1], self.size[0], self.filter(random))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::stream;

    /// A quarter of the area in the image's own shape, half of each side: x is uniform on 0..=50.
    #[test]
    fn places_are_uniform() {
        let transform =
            RandomResizedCrop { scale: [0.25; 2], ratio: [1.0; 2], ..Default::default() };
        let mut random = stream(1);
        let regions: Vec<_> = (0..5000).map(|_| transform.region(100, 100, &mut random)).collect();
        assert!(regions.iter().all(|region| region[2..] == [50, 50]));
        for side in [0, 1] {
            let mean = regions.iter().map(|region| region[side]).sum::<usize>() as f64 / 5000.0;
            assert!((mean - 25.0).abs() < 0.84, "{mean}"); // 4 * sqrt((51^2 - 1) / 12) / sqrt(5000)
            assert!(
                regions.iter().any(|region| region[side] == 0)
                    && regions.iter().any(|region| region[side] == 50)
            );
        }
    }

    #[test]
    fn areas_and_shapes_are_within_their_ranges() {
        let transform = RandomResizedCrop::default();
        let mut random = stream(2);
        let (mut areas, mut logs) = (0.0, 0.0);
        const DRAWS: usize = 5000;
        for _ in 0..DRAWS {
            // So large that nothing is rounded away and few draws are refused.
            let [x, y, w, h] = transform.region(40_000, 30_000, &mut random);
            let (area, ratio) = ((w * h) as f64 / 1.2e9, w as f64 / h as f64);
            assert!(x + w <= 40_000 && y + h <= 30_000);
            assert!(
                (0.0799..=1.0).contains(&area) && (0.7499..=1.3335).contains(&ratio),
                "{area} {ratio}"
            );
            areas += area / DRAWS as f64;
            logs += ratio.ln() / DRAWS as f64;
        }
        // A draw is refused where the part is higher than the image (area * 4/3 > ratio). Over what is left,
        // numerical integration gives means of 0.4320 and 0.0305; four standard errors follow.
        assert!(
            (areas - 0.4320).abs() < 0.0122 && (logs - 0.0305).abs() < 0.0093,
            "{areas} {logs}"
        );
    }

    #[test]
    fn a_shape_that_never_fits_falls_back_to_the_middle() {
        let transform = RandomResizedCrop { scale: [1.0; 2], ..Default::default() };
        assert_eq!(transform.region(100, 10, &mut stream(3)), [43, 0, 13, 10]); // 10 * 4/3 = 13.3
        assert_eq!(transform.region(9, 100, &mut stream(3)), [0, 44, 9, 12]); // 9 / 0.75 = 12
    }

    #[test]
    fn nonsense_is_refused() {
        let fine = RandomResizedCrop::default();
        assert_eq!(fine.check(), Ok(()));
        let backwards = RandomResizedCrop { scale: [1.0, 0.08], ..fine.clone() };
        let message = backwards.check().unwrap_err().to_string();
        assert_eq!(
            message,
            "RandomResizedCrop: scale must be two positive numbers, the smaller first, not [1.0, 0.08]"
        );
        assert!(RandomResizedCrop { scale: [0.5, 1.5], ..fine.clone() }.check().is_err());
        assert!(RandomResizedCrop { ratio: [f64::NAN, 1.0], ..fine.clone() }.check().is_err());
        assert!(RandomResizedCrop { size: [0, 3], ..fine }.check().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Any photo and any numbers, checked or not, give a part that lies inside.
        #[test]
        fn regions_lie_inside(
            width in 1..50_usize, height in 1..50_usize, key: u64,
            scale in prop::array::uniform2(-1.0..2.0_f64),
            ratio in prop::array::uniform2(prop_oneof![-1.0..9.0_f64, Just(0.0), Just(f64::NAN)]),
        ) {
            let transform = RandomResizedCrop { scale, ratio, ..Default::default() };
            let [x, y, w, h] = transform.region(width, height, &mut stream(key));
            prop_assert!(w >= 1 && h >= 1 && x + w <= width && y + h <= height);
        }
    }
}
