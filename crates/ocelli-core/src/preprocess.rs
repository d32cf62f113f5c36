//! The fixed way from a photo to a network's input: resize, crop, normalise.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::crop::{center, center_crop};
use crate::random::Stream;
use crate::resize::resize_window;
use crate::{Image, Transform};

/// How pixels are interpolated on resizing; both are Pillow's antialiased filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Triangle filter.
    Bilinear,
    /// Cubic convolution with a = -0.5.
    #[default]
    Bicubic,
}

/// How a photo of any shape becomes the network's input size; timm's `crop_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropMode {
    /// Resize the short side to `size / crop_pct`, then crop the centre.
    #[default]
    Center,
    /// Resize both sides to `size / crop_pct` without keeping the shape, then crop the centre.
    Squash,
}

/// Mean and standard deviation per channel, of pixels scaled to 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalize {
    /// Mean of red, green, blue.
    pub mean: [f32; 3],
    /// Standard deviation of red, green, blue.
    pub std: [f32; 3],
}

impl Normalize {
    /// The statistics of ImageNet, which most published networks use.
    pub const IMAGENET: Self = Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
    /// Maps 0..255 to -1..1.
    pub const HALF: Self = Self { mean: [0.5; 3], std: [0.5; 3] };

    /// Writes `(pixel / 255 - mean) / std` for every pixel, `[H, W, 3]`.
    ///
    /// # Panics
    /// Where `out` is not as long as the image's pixels.
    pub fn apply(&self, image: &Image, out: &mut [f32]) {
        assert_eq!(out.len(), image.pixels().len(), "one output per pixel and channel");
        let [red, green, blue] = [0, 1, 2].map(|channel| self.table(channel));
        for (out, pixel) in out.chunks_exact_mut(3).zip(image.pixels().chunks_exact(3)) {
            out[0] = red[usize::from(pixel[0])];
            out[1] = green[usize::from(pixel[1])];
            out[2] = blue[usize::from(pixel[2])];
        }
    }

    /// What each of the 256 values of a channel becomes, rounded as torchvision rounds.
    fn table(&self, channel: usize) -> [f32; 256] {
        std::array::from_fn(|value| (value as f32 / 255.0 - self.mean[channel]) / self.std[channel])
    }
}

/// From any photo to a network's input. The fields are those of timm's `pretrained_cfg`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Height and width of the network's input, in pixels.
    pub size: [usize; 2],
    /// Share of the resized image that the crop keeps, above 0 and at most 1.
    pub crop_pct: f32,
    /// How the shape is made to fit.
    pub crop_mode: CropMode,
    /// The resize filter.
    pub interpolation: Interpolation,
    /// What is subtracted and divided by.
    pub normalize: Normalize,
}

impl Default for Preprocess {
    /// timm's defaults: short side to 256 by bicubic interpolation, centre 224, ImageNet statistics.
    fn default() -> Self {
        Self {
            size: [224; 2],
            crop_pct: 0.875,
            crop_mode: CropMode::Center,
            interpolation: Interpolation::Bicubic,
            normalize: Normalize::IMAGENET,
        }
    }
}

/// What is wrong with a [`Preprocess`].
#[derive(Clone, Debug, PartialEq, Error)]
#[error("preprocessing: {0}")]
pub struct PreprocessError(pub String);

/// Longest side that an image is resized to before cropping.
const MAX_SIDE: f64 = 32_768.0;

impl Preprocess {
    /// Checks that every field has a value that makes sense. The other methods assume it.
    ///
    /// # Errors
    /// Where the size is zero or absurd, `crop_pct` is not above 0 and at most 1, a mean is not finite, or
    /// a standard deviation is not a positive number.
    pub fn check(&self) -> Result<(), PreprocessError> {
        let wrong = |message: String| Err(PreprocessError(message));
        let Self { size: [height, width], crop_pct, normalize: Normalize { mean, std }, .. } =
            *self;
        if !(crop_pct > 0.0 && crop_pct <= 1.0) {
            return wrong(format!("crop_pct must be above 0 and at most 1, not {crop_pct}"));
        }
        let fits = |side: usize| side > 0 && side as f64 / f64::from(crop_pct) <= MAX_SIDE;
        if !(fits(height) && fits(width)) {
            let most = MAX_SIDE;
            return wrong(format!(
                "{height} x {width} at crop_pct {crop_pct} is not between 1 and {most} pixels a side"
            ));
        }
        if let Some(value) = mean.into_iter().find(|value| !value.is_finite()) {
            return wrong(format!("a mean is {value}"));
        }
        if let Some(value) = std.into_iter().find(|&value| !(value > 0.0 && value.is_finite())) {
            return wrong(format!("a standard deviation must be a positive number, not {value}"));
        }
        Ok(())
    }

    /// The height and width that a photo is resized to before the crop.
    ///
    /// With a square size, torchvision's `Resize`: the short side becomes `floor(size / crop_pct)`, the
    /// long side is truncated. With another, timm's `ResizeKeepRatio`: the image just covers the target,
    /// each side rounded. Squashed: `floor(size / crop_pct)` for each side.
    pub fn resize_to(&self, photo_height: usize, photo_width: usize) -> [usize; 2] {
        let target = self.size.map(|side| {
            (side as f64 / decimal(self.crop_pct)).floor().clamp(1.0, MAX_SIDE) as usize
        });
        let photo = [photo_height.max(1), photo_width.max(1)];
        match self.crop_mode {
            CropMode::Squash => target,
            CropMode::Center if target[0] == target[1] => {
                let short = photo[0].min(photo[1]);
                photo.map(|side| {
                    if side == short { target[0] } else { target[0].saturating_mul(side) / short }
                })
            }
            CropMode::Center => {
                let [down, across] = [0, 1].map(|side| photo[side] as f64 / target[side] as f64);
                photo.map(|side| {
                    (side as f64 / down.min(across)).round_ties_even().max(1.0) as usize
                })
            }
        }
    }

    /// Resizes and crops a photo to [`size`](Self::size): the geometry alone, still 8-bit RGB.
    pub fn apply_geometry(&self, image: &Image) -> Image {
        let resized = self.resize_to(image.height(), image.width());
        // Only what the crop keeps is computed; a photo of one row would else become a huge image.
        let windows = [0, 1].map(|side| {
            let start = center(resized[side], self.size[side]);
            let end = start.saturating_add_unsigned(self.size[side]);
            start.max(0).unsigned_abs()..end.max(0).unsigned_abs().min(resized[side])
        });
        center_crop(&resize_window(image, resized, windows, self.interpolation), self.size)
    }

    /// Resizes, crops and normalises a photo into `out`, `[height, width, 3]` of [`size`](Self::size).
    ///
    /// # Panics
    /// Where `out` has another length.
    pub fn run(&self, image: &Image, out: &mut [f32]) {
        self.normalize.apply(&self.apply_geometry(image), out);
    }
}

/// The geometry alone, the same for every draw.
impl Transform for Preprocess {
    fn apply(&self, image: Image, _random: &mut Stream) -> Image {
        self.apply_geometry(&image)
    }
}

/// The number that was written down: 0.8 for the 32-bit float next to it. The sizes of timm come from
/// 64-bit divisions, and 256 / 0.8 must be 320, not 319.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests;
