//! All formats but JPEG, through the `image` crate.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use super::{DecodeError, DecodeLimits, Format, damaged, rgb, unsupported, upright};
use crate::Image;

/// Most bytes that a decoder needs for a pixel: four 16-bit samples, beside a copy of the same.
const BYTES_PER_PIXEL: u64 = 16;
/// What a decoder may take beside pixels: tables, metadata, compressed strips.
const OVERHEAD: u64 = 64 << 20;

pub(super) fn decode(
    bytes: &[u8],
    format: Format,
    limits: &DecodeLimits,
) -> Result<Image, DecodeError> {
    let (decoder, orientation) = header(bytes, format, limits)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| reason(format, error))?;
    let size = (picture.width(), picture.height());
    rgb::oriented(format, size, rgb::from_dynamic(picture), orientation)
}

pub(super) fn dimensions(
    bytes: &[u8],
    format: Format,
    limits: &DecodeLimits,
) -> Result<(usize, usize), DecodeError> {
    let (decoder, orientation) = header(bytes, format, limits)?;
    Ok(upright(decoder.dimensions(), orientation))
}

fn header<'a>(
    bytes: &'a [u8],
    format: Format,
    limits: &DecodeLimits,
) -> Result<(impl ImageDecoder + 'a, Orientation), DecodeError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.of_image_crate());
    let mut inner = Limits::no_limits();
    inner.max_alloc =
        Some(limits.max_pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(OVERHEAD));
    reader.limits(inner);
    let mut decoder = reader.into_decoder().map_err(|error| reason(format, error))?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(width.into(), height.into())?;
    // Damaged metadata is no reason to refuse a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

fn reason(format: Format, error: ImageError) -> DecodeError {
    match error {
        ImageError::Limits(limit) => {
            DecodeError::TooLarge(format!("{} data: {limit}", format.name()))
        }
        ImageError::Unsupported(what) => unsupported(format, what),
        other => damaged(format, other),
    }
}
