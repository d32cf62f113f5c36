//! Erasing a random rectangle of each image.
//!
//! "Random Erasing Data Augmentation", arXiv:1708.04896; drawn as timm's `RandomErasing` draws, on
//! normalised pixels.

use ocelli_core::random::Stream;
use ocelli_core::{Batch, BatchTransform};
use serde::{Deserialize, Serialize};

use crate::AugmentError;
use crate::draw::{happens, index, log_uniform, normal, uniform};
use crate::error::Check;

/// Draws before an image is left as it is.
const TRIES: usize = 10;

/// What an erased rectangle is filled with; timm's modes `const`, `rand` and `pixel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// Zero, which is the mean colour of normalised pixels.
    #[default]
    Const,
    /// One random normal colour for the rectangle.
    Rand,
    /// Random normal values, one for each pixel and channel.
    Pixel,
}

/// Erases a rectangle of random area, shape and place in each image with probability `p`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomErasing {
    /// Probability for each image.
    pub p: f64,
    /// Smallest and largest share of the image's area.
    pub scale: [f64; 2],
    /// Smallest and largest height divided by width; their logarithm is uniform.
    pub ratio: [f64; 2],
    /// What the rectangle is filled with.
    pub mode: Fill,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self { p: 0.5, scale: [0.02, 1.0 / 3.0], ratio: [0.3, 1.0 / 0.3], mode: Fill::Const }
    }
}

impl RandomErasing {
    /// # Errors
    /// Where `p` is no probability, or a range is not two positive numbers in order, areas at most 1.
    pub fn check(&self) -> Result<(), AugmentError> {
        let check = Check("RandomErasing");
        check.probability("p", self.p)?;
        check.range("scale", self.scale)?;
        check.holds(self.scale[1] <= 1.0, "scale", "at most 1", self.scale)?;
        check.range("ratio", self.ratio)
    }

    /// The rectangle to erase: x, y, width, height; none where ten draws did not fit.
    fn region(&self, width: usize, height: usize, random: &mut Stream) -> Option<[usize; 4]> {
        let area = (width * height) as f64;
        for _ in 0..TRIES {
            let target = area * uniform(self.scale, random);
            let ratio = log_uniform(self.ratio, random);
            let h = (target * ratio).sqrt().round_ties_even() as usize;
            let w = (target / ratio).sqrt().round_ties_even() as usize;
            if w < width && h < height {
                let y = index(height - h + 1, random);
                let x = index(width - w + 1, random);
                return Some([x, y, w, h]);
            }
        }
        None
    }

    fn fill(&self, row: &mut [f32], color: &[f32], random: &mut Stream) {
        match self.mode {
            Fill::Const => row.fill(0.0),
            Fill::Rand => {
                row.chunks_exact_mut(color.len()).for_each(|pixel| pixel.copy_from_slice(color))
            }
            Fill::Pixel => row.iter_mut().for_each(|value| *value = normal(random)),
        }
    }
}

impl BatchTransform for RandomErasing {
    fn apply(&self, batch: &mut Batch, random: &mut Stream) {
        let [_, height, width, channels] = batch.shape;
        for image in batch.images.chunks_exact_mut((height * width * channels).max(1)) {
            if !happens(self.p, random) {
                continue;
            }
            let Some([x, y, w, h]) = self.region(width, height, random) else { continue };
            let color: Vec<f32> = match self.mode {
                Fill::Rand => (0..channels).map(|_| normal(random)).collect(),
                _ => vec![0.0; channels],
            };
            for row in image.chunks_exact_mut(width * channels).skip(y).take(h) {
                self.fill(&mut row[x * channels..(x + w) * channels], &color, random);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{batch, stream};

    /// Images of sevens: the erased values are a rectangle within the ranges.
    #[test]
    fn one_rectangle_of_the_right_size_is_erased() {
        let mut erased = batch(200, 40, 30, |_| 7.0);
        RandomErasing { p: 1.0, ..Default::default() }.apply(&mut erased, &mut stream(1));
        for image in erased.images.chunks_exact(40 * 30 * 3) {
            let gone: Vec<(usize, usize)> =
                (0..40 * 30).filter(|i| image[i * 3] == 0.0).map(|i| (i % 30, i / 30)).collect();
            let span = |side: fn(&(usize, usize)) -> usize| {
                gone.iter().map(side).max().unwrap() - gone.iter().map(side).min().unwrap() + 1
            };
            let (w, h) = (span(|at| at.0), span(|at| at.1));
            assert_eq!(gone.len(), w * h);
            let area = gone.len() as f64 / 1200.0;
            assert!((0.015..0.36).contains(&area), "{w} x {h}");
            assert!(image.iter().all(|&value| value == 7.0 || value == 0.0));
        }
    }

    #[test]
    fn fills_are_zero_one_colour_or_noise() {
        for (mode, distinct) in [(Fill::Const, 1), (Fill::Rand, 3), (Fill::Pixel, 3 * 8 * 8)] {
            let mut erased = batch(1, 16, 16, |_| 7.0);
            let erasing = RandomErasing { p: 1.0, scale: [0.25; 2], ratio: [1.0; 2], mode };
            erasing.apply(&mut erased, &mut stream(2));
            let mut values: Vec<u32> = erased
                .images
                .iter()
                .filter(|&&value| value != 7.0)
                .map(|value| value.to_bits())
                .collect();
            assert_eq!(values.len(), 3 * 8 * 8);
            values.sort();
            values.dedup();
            assert_eq!(values.len(), distinct, "{mode:?}");
        }
    }

    /// 1,000 images at 0.25: five standard deviations are 68.
    #[test]
    fn the_probability_is_that_of_an_image() {
        let mut erased = batch(1000, 8, 8, |_| 7.0);
        RandomErasing { p: 0.25, ..Default::default() }.apply(&mut erased, &mut stream(3));
        let count =
            erased.images.chunks_exact(8 * 8 * 3).filter(|image| image.contains(&0.0)).count();
        assert!((182..=318).contains(&count), "{count}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Any shape and any numbers, checked or not.
        #[test]
        fn nothing_panics(
            n in 0..3_usize, height in 0..9_usize, width in 0..9_usize, key: u64,
            scale in prop::array::uniform2(-1.0..2.0_f64), ratio in prop::array::uniform2(-1.0..4.0_f64),
        ) {
            for mode in [Fill::Const, Fill::Rand, Fill::Pixel] {
                let mut erased = batch(n, height, width, |_| 7.0);
                RandomErasing { p: 1.0, scale, ratio, mode }.apply(&mut erased, &mut stream(key));
                prop_assert_eq!(erased.images.len(), n * height * width * 3);
            }
        }
    }
}
