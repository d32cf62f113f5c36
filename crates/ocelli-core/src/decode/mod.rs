//! From a file's bytes to an [`Image`], within limits.
//!
//! The format is told from the content and never from the name. Whatever a file holds becomes upright
//! 8-bit RGB: the EXIF (or TIFF) orientation is applied, gray and palettes are expanded, CMYK is
//! converted without a colour profile, alpha is composited over white, 16-bit samples keep their high
//! byte (as Pillow does), and of an animation the first frame is taken.
//!
//! What libjpeg would call truncated is an error here too and never a half-gray picture; a panic inside
//! a decoder counts as damage, because one bad file must not end a run.

mod file;
mod format;
mod jpeg;
mod raster;
mod rgb;

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use thiserror::Error;

use crate::Image;
use format::Format;

pub use file::open;

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

impl DecodeLimits {
    fn check_bytes(&self, bytes: u64) -> Result<(), DecodeError> {
        if bytes > self.max_bytes {
            let most = self.max_bytes;
            return Err(DecodeError::TooLarge(format!(
                "the file has {bytes} bytes; the limit is {most}"
            )));
        }
        Ok(())
    }

    fn check_pixels(&self, width: u64, height: u64) -> Result<(), DecodeError> {
        if width.saturating_mul(height) > self.max_pixels {
            let most = self.max_pixels;
            return Err(DecodeError::TooLarge(format!(
                "the image has {width} x {height} pixels; the limit is {most}"
            )));
        }
        Ok(())
    }
}

/// Why bytes do not decode to an image.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// Not (or no supported) image format.
    #[error("not an image of a supported format (JPEG, PNG, GIF, WebP, TIFF, BMP, PNM, TGA)")]
    Format,
    /// The image has more pixels, or the file more bytes, than the limits allow.
    #[error("{0}")]
    TooLarge(String),
    /// The format is known but this kind of it cannot be decoded (lossless JPEG, TIFF with a palette).
    #[error("a kind of {format} that is not supported: {reason}")]
    Unsupported {
        /// The format's name.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The format is known but the data is damaged or cut short.
    #[error("damaged or truncated {format} data: {reason}")]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// Decodes an image to upright RGB.
///
/// # Errors
/// Where the bytes are of no supported format, exceed the limits, or are damaged. A JPEG without its
/// end marker counts as truncated; bytes after the end marker are ignored.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Image, DecodeError> {
    guarded(bytes, limits, |format| match format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        other => raster::decode(bytes, other, limits),
    })
}

/// Reads the width and height, in pixels, that [`decode`] would give, from the header alone.
///
/// # Errors
/// As [`decode`], as far as the header tells.
pub fn dimensions(bytes: &[u8], limits: &DecodeLimits) -> Result<(usize, usize), DecodeError> {
    guarded(bytes, limits, |format| match format {
        Format::Jpeg => jpeg::dimensions(bytes, limits),
        other => raster::dimensions(bytes, other, limits),
    })
}

fn guarded<T>(
    bytes: &[u8],
    limits: &DecodeLimits,
    read: impl FnOnce(Format) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    limits.check_bytes(bytes.len() as u64)?;
    let format = format::of(bytes).ok_or(DecodeError::Format)?;
    // The decoders keep no state between calls that a panic could leave broken.
    catch_unwind(AssertUnwindSafe(|| read(format)))
        .unwrap_or_else(|_| Err(damaged(format, "the decoder gave up on it (an internal error)")))
}

fn unsupported(format: Format, reason: impl ToString) -> DecodeError {
    DecodeError::Unsupported { format: format.name(), reason: reason.to_string() }
}

fn damaged(format: Format, reason: impl ToString) -> DecodeError {
    DecodeError::Damaged { format: format.name(), reason: reason.to_string() }
}

/// Width and height after an orientation has been applied.
fn upright((width, height): (u32, u32), orientation: Orientation) -> (usize, usize) {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    match orientation {
        Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH => (height as usize, width as usize),
        _ => (width as usize, height as usize),
    }
}

#[cfg(test)]
mod tests;
