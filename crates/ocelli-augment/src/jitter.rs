//! Random changes of brightness, contrast, saturation and hue.

use ocelli_core::random::Stream;
use ocelli_core::{Image, Transform};
use serde::{Deserialize, Serialize};

use crate::AugmentError;
use crate::color::{brightness, contrast, hue, saturation};
use crate::draw::{index, uniform};
use crate::error::Check;

/// Changes colours by random factors in random order; torchvision's `ColorJitter`, pixel by pixel as
/// Pillow computes it. A strength of 0, the default, leaves that property alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorJitter {
    /// The factor is uniform between `1 - brightness` (at least 0) and `1 + brightness`.
    pub brightness: f64,
    /// The factor is uniform between `1 - contrast` (at least 0) and `1 + contrast`.
    pub contrast: f64,
    /// The factor is uniform between `1 - saturation` (at least 0) and `1 + saturation`.
    pub saturation: f64,
    /// The turn is uniform between `-hue` and `hue` of the full circle; at most 0.5.
    pub hue: f64,
}

impl ColorJitter {
    /// # Errors
    /// Where a strength is negative or not a number, or `hue` is above 0.5.
    pub fn check(&self) -> Result<(), AugmentError> {
        let check = Check("ColorJitter");
        let strengths = [
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
        ];
        for (field, strength) in strengths {
            check.holds(
                strength >= 0.0 && strength.is_finite(),
                field,
                "zero or a positive number",
                strength,
            )?;
        }
        check.holds((0.0..=0.5).contains(&self.hue), "hue", "between 0 and 0.5", self.hue)
    }
}

impl Transform for ColorJitter {
    fn apply(&self, mut image: Image, random: &mut Stream) -> Image {
        for property in shuffled(random) {
            match property {
                0 if self.brightness > 0.0 => {
                    brightness(&mut image, factor(self.brightness, random))
                }
                1 if self.contrast > 0.0 => contrast(&mut image, factor(self.contrast, random)),
                2 if self.saturation > 0.0 => {
                    saturation(&mut image, factor(self.saturation, random))
                }
                3 if self.hue > 0.0 => hue(&mut image, uniform([-self.hue, self.hue], random)),
                _ => {}
            }
        }
        image
    }
}

fn factor(strength: f64, random: &mut Stream) -> f32 {
    uniform([(1.0 - strength).max(0.0), 1.0 + strength], random) as f32
}

fn shuffled(random: &mut Stream) -> [u8; 4] {
    let mut order = [0, 1, 2, 3];
    for last in (1..order.len()).rev() {
        order.swap(last, index(last + 1, random));
    }
    order
}

#[cfg(test)]
mod tests;
