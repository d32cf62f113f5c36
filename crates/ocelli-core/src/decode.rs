//! From a file's bytes to an [`Image`], within limits.

use std::path::Path;

use thiserror::Error;

use crate::{Image, SampleError};

/// What a decoder may take, checked before memory is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels (width x height) of an image.
    pub max_pixels: u64,
    /// Most bytes of an encoded file.
    pub max_bytes: u64,
}

impl Default for DecodeLimits {
    /// 100 megapixels and 256 MiB.
    fn default() -> Self {
        Self { max_pixels: 100_000_000, max_bytes: 256 << 20 }
    }
}

/// Why bytes do not decode to an image.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not (or no supported) image format.
    #[error("not an image of a supported format (JPEG, PNG, GIF, WebP, TIFF, BMP, PNM, TGA)")]
    Format,
    /// The image has more pixels, or the file more bytes, than the limits allow.
    #[error("{0}")]
    TooLarge(String),
    /// The format is known but the data is damaged or cut short.
    #[error("damaged or truncated {format} data: {reason}")]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// Decodes an image to RGB.
pub fn decode(_bytes: &[u8], _limits: &DecodeLimits) -> Result<Image, DecodeError> {
    Err(DecodeError::Format)
}

/// Reads and decodes a file; the error names the path.
pub fn open(_path: &Path, _limits: &DecodeLimits) -> Result<Image, SampleError> {
    Err(SampleError::Other(String::new()))
}
