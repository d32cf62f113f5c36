//! The fixed way from a photo to a network's input: resize, crop, normalise.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Image;

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

/// What is wrong with a [`Preprocess`].
#[derive(Clone, Debug, PartialEq, Error)]
#[error("preprocessing: {0}")]
pub struct PreprocessError(pub String);
